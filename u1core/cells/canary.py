"""Two pictures before a cell's first part: alone twice and in their batch they must give the same rows.

`u1core.networks.proof` asks the same of the network and of noise, once; this asks it of what the cell runs
(folded, cast, compiled) and of its own pictures. Shape legend: B images, N channels, H x W pixels, C colours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from u1core.cells.forward import Extractor
from u1core.common.errors import U1Error
from u1core.measures.reduce import Collapsed, collapse

TOLERANCE = {"float32": 1e-3, "bfloat16": 0.1, "float16": 0.02}
"""Largest `canary_difference` by precision. Kernels differ with the size of the batch: that makes 1e-6 in
float32, 1e-4 in deep networks with random weights; 1e-2 in bfloat16, 1e-3 in float16."""

PICTURES = 2


def canary(
    extractor: Extractor, pixels: np.ndarray, image_ids: Sequence[int], together: Mapping[str, Collapsed]
) -> float | None:
    """Compare the rows of two pictures of a batch with those that they give alone.

    Args:
        extractor: Of the cell.
        pixels: The batch, (B, H, W, C) uint8. Where it has one picture, its negative stands in for another.
        image_ids: Of the batch, (B,).
        together: What the batch gave, by layer.

    Returns:
        The largest difference of pooled activations or energies, as a share of their norm; None where the
        pictures gave no finite numbers, which makes them failures and no rows.

    Raises:
        U1Error: It is more than rounding, or a picture alone does not give the same twice.
    """
    pixels, ids = pixels[:PICTURES], list(image_ids[:PICTURES])
    if len(pixels) < PICTURES:
        pixels, ids = np.concatenate([pixels, 255 - pixels]), ids * PICTURES
        together = _rows(extractor, pixels, ids)
    differences = []
    for index, picture in enumerate(pixels):
        alone, again = (_rows(extractor, picture[None], ids[index : index + 1]) for _ in range(2))
        for layer, rows in alone.items():
            _check_twice(extractor, layer, rows, again[layer])
            differences.append((_difference(rows, together[layer], index), layer))
    finite = [(difference, layer) for difference, layer in differences if difference is not None]
    worst, layer = max(finite, default=(None, ""))
    if worst is not None and worst > TOLERANCE[extractor.cell.precision]:
        got = f"rows that differ by {worst:.1e} of their norm, most at {layer}"
        todo = "the network's answers hang on the rest of the batch: correct it, or its precision"
        raise U1Error(f"{extractor.cell} to give a picture alone the rows it has in a batch", got, todo)
    return worst


def _rows(extractor: Extractor, pixels: np.ndarray, image_ids: Sequence[int]) -> dict[str, Collapsed]:
    outputs = extractor.eager(torch.from_numpy(pixels).to(extractor.runtime.device), image_ids)
    return {name: collapse(outputs[name], signed=False) for name in extractor.cell.model.layers}


def _check_twice(extractor: Extractor, layer: str, rows: Collapsed, again: Collapsed) -> None:
    """Raise U1Error unless both are alike: bit by bit on a CPU."""
    difference = _difference(rows, again, 0)
    allowed = 0.0 if extractor.runtime.kind == "cpu" else TOLERANCE[extractor.cell.precision]
    if difference is not None and difference > allowed:
        got = f"rows that differ by {difference:.1e} of their norm at {layer}"
        todo = "leave random numbers out of the network's evaluation mode"
        raise U1Error(f"{extractor.cell} to give a picture the same rows twice", got, todo)


def _difference(alone: Collapsed, together: Collapsed, index: int) -> float | None:
    """Compare the only picture of one batch with a picture of another; None where that one is not finite."""
    pairs = ((alone.pooled[0], together.pooled[index]), (alone.energy[0], together.energy[index]))
    if not all(bool(there.isfinite().all()) for _, there in pairs):
        return None
    return max(_share(here.double(), there.double()) for here, there in pairs)


def _share(values: Tensor, others: Tensor) -> float:
    difference = float((values - others).norm())
    if not math.isfinite(difference):
        return math.inf
    return difference / max(float(values.norm()), float(others.norm())) if difference else 0.0
