"""What of a cell's theta_image is beyond the pixel bank, computed once when the cell is committed.

The bank looks at the very pictures that the network was fed, resized and cropped for it, in grey values of
[0, 1]. Shape legend: n images, B of a batch, M maps, S x S pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch

from u1core.catalog.entries import Preprocessing
from u1core.cells.open_cell import OpenCell
from u1core.common.errors import U1Error
from u1core.images.cache import Images
from u1core.images.resize import resize
from u1core.images.sources.listing import Labels
from u1core.measures import optics
from u1core.measures.beyond import beyond_bank, fit_quadratic
from u1core.measures.effect import corrected_effect
from u1core.networks.preprocess import preprocessing_of
from u1core.networks.sources.pixels import BANK, PixelBank

_BATCH_PIXELS = 2**19
"""Of pictures that are looked at together: 512 of 32 px, 10 of 224 px; 25 numbers of four bytes for each."""

_SETS = 2
"""Sets of pictures whose dipoles stay known, for networks that are fed the same: 112 bytes an image."""


class BankDipoles(NamedTuple):
    """Dipoles of the bank's maps."""

    image_ids: np.ndarray  # (n,), ascending
    dipoles: np.ndarray  # (n, M, 2), half images, NaN of a map without energy

    def of(self, image_ids: np.ndarray) -> np.ndarray:
        """Return the dipoles (len(image_ids), M, 2) of some images.

        Raises:
            U1Error: One of them gave no picture.
        """
        at = np.searchsorted(self.image_ids, image_ids)
        found = np.append(self.image_ids, -1)[at] == image_ids
        if not found.all():
            got = f"none of image {image_ids[~found][0]}, whose activations are in the lake"
            raise U1Error("the pictures of a cell until it is committed", got, "put it back and sweep again")
        rows: np.ndarray = self.dipoles[at]
        return rows


@dataclass(frozen=True)
class _Fed:
    """The pictures that a network is fed: where they are, and what makes them the same."""

    fingerprint: str
    limit: int | None
    memory: str
    geometry: Preprocessing
    images: Images = field(compare=False, repr=False)
    positions: Labels = field(compare=False, repr=False)

    @classmethod
    def to(cls, opened: OpenCell) -> _Fed:
        """Return what the network of an open cell is fed."""
        cell = opened.cell
        geometry = replace(preprocessing_of(opened.model), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        return cls(cell.fingerprint, cell.limit, cell.memory, geometry, opened.images, opened.positions)


def write_beyond_bank(opened: OpenCell) -> None:
    """Write the effect of the bottleneck's theta_image beyond the bank, where the cell changes nothing.

    Raises:
        U1Error: A picture whose activations are in the lake is not there any more.
    """
    if opened.cell.variant == "original":
        row = {"layer": opened.model.bottleneck, **_residual_effect(opened)}
        opened.write("beyond_bank", {name: [value] for name, value in row.items()})


def _residual_effect(opened: OpenCell) -> dict[str, Any]:
    """Fit the layer's dipoles by the bank's on the memory split, labels unused, and test what is left."""
    image_ids, split, label, dipole = _records(opened)
    bank, in_memory = bank_dipoles(opened).of(image_ids), split == "memory"
    row: dict[str, Any] = dict.fromkeys(
        ("terms", "n", "classes", "explained", "effect_corrected", "effect_se")
    )
    row["n_memory"] = int(np.isfinite(dipole[in_memory]).all(axis=1).sum())
    if fit := fit_quadratic(bank[in_memory], dipole[in_memory]):
        asked, known = dipole[~in_memory], bank[~in_memory]
        angle, strength = beyond_bank(fit, known, asked)
        effect = corrected_effect(angle, label[~in_memory])
        row |= {"terms": fit.rank, "n": effect.n, "classes": effect.classes}
        row |= {"effect_corrected": effect.corrected, "effect_se": effect.error}
        row["explained"] = _explained(asked, strength)
    return row


def _explained(dipole: np.ndarray, strength: np.ndarray) -> float | None:
    """Return the share of the variance of dipoles (n, 2) that is not in what is left, of strengths (n,)."""
    valid = np.isfinite(strength)
    variance = dipole[valid].var(axis=0).sum() if valid.any() else 0.0
    return float(1 - (strength[valid] ** 2).mean() / variance) if variance > 0 else None


def _records(opened: OpenCell) -> tuple[np.ndarray, ...]:
    """Return image ids, splits, labels (n,) and dipoles (n, 2) of the bottleneck."""
    names, layer = ["image_id", "split", "label", "dipole_x", "dipole_y"], opened.model.bottleneck
    parts = [opened.read("records", names, layer=layer, part=p) for p in opened.parts("records", layer=layer)]
    image_ids, split, label, x, y = (
        np.concatenate([part[name].to_numpy(zero_copy_only=False) for part in parts]) for name in names
    )
    return image_ids, split, label, np.stack([x, y], axis=1)


def bank_dipoles(opened: OpenCell) -> BankDipoles:
    """Return the dipoles of the bank's maps of every picture that a cell's network is fed."""
    return _look(_Fed.to(opened))


@lru_cache(maxsize=_SETS)
def _look(fed: _Fed) -> BankDipoles:
    """Look at pictures through the bank, some at a time; once for all networks that are fed the same."""
    size, bank = fed.geometry.size, PixelBank()
    step = max(1, _BATCH_PIXELS // size**2)
    wanted = [fed.positions[start : start + step] for start in range(0, len(fed.positions), step)]
    positions, dipoles = [np.empty(0, dtype=np.int64)], [np.empty((0, len(BANK), 2))]
    with fed.images.open_pixels(fed.geometry) as source, torch.inference_mode():
        for batch in source.batches(wanted):
            if len(batch.positions):
                pictures = torch.from_numpy(batch.pixels)
                pictures = pictures if source.is_prepared else resize(pictures, fed.geometry)
                colours = pictures.permute(0, 3, 1, 2).expand(-1, 3, -1, -1).float().div(255)
                dipoles.append(optics.dipole(bank(colours).square()).numpy())
                positions.append(batch.positions)
    image_ids = fed.images.image_ids[np.concatenate(positions)]
    order = np.argsort(image_ids)
    return BankDipoles(image_ids[order], np.concatenate(dipoles)[order])
