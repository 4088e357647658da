"""What a cell costs, before it runs: arithmetic, bytes, memory, time.

The arithmetic is counted on torch's meta device: shapes are real, no number is computed, no weights needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from u1core.catalog.entries import ModelEntry
from u1core.cells.batch_size import default_batch_size
from u1core.cells.cell import Cell
from u1core.cells.extract import PART_IMAGES
from u1core.cells.search import BLOCK_ROWS
from u1core.cells.variants import VARIANTS
from u1core.common.runtime import Runtime
from u1core.measures.nearest import TILES
from u1core.measures.reduce import GROUP_IMAGES
from u1core.networks.build import shapes_of
from u1core.networks.preprocess import preprocessing_of
from u1core.networks.reestimate import LARGEST_MAP_BYTES, MOST_PICTURES
from u1core.networks.taps import Taps
from u1core.networks.weights import own_tag

NOMINAL_FLOPS = {"cpu": 40e9, "cuda": 10e12}
"""Operations per second assumed where the lake has no measured rate of the model: an order of magnitude."""

PROCESS_BYTES = 1.5e9
"""Memory of a sweep's process besides its cells: libraries (1.1 GB, mostly torch's CUDA build), SQL and the
report; measured (benchmarks/memory.py)."""

ROW_NUMBERS = 50
"""Numbers of four bytes that one image and layer has in memory besides its pooled vector."""

ROW_BYTES = 200
"""Compressed bytes of one row of records, of angles, and of the keys of vectors; measured on CIFAR-10."""

NEIGHBOUR_BYTES = 460
"""Compressed bytes of the neighbours of one query image over all schemes; measured on CIFAR-10."""

LOCATION_BYTES = 6
"""Compressed bytes of the nearest image of one query at one place; measured on CIFAR-10."""

ALIVE_MAPS = 4
"""Values of the network's largest size that are alive together while batch norms are re-estimated."""

BANK_SECONDS = 1e-7
"""Of a CPU, for one pixel of a picture that the pixel bank looks at: 0.1 ms at 32 px, 5 ms at 224 px."""

VECTOR_COMPRESSION = 0.6
"""Compressed over raw size of float32 vectors, measured on CIFAR-10."""


@dataclass(frozen=True)
class Cost:
    """Expected cost of one cell.

    Attributes:
        flops: Floating-point operations of one image's forward pass, up to the last layer recorded.
        lake_bytes: Bytes the cell adds to the lake.
        memory_bytes: Peak memory of the process, the libraries included; on a GPU what its host needs.
        seconds: Wall time.
        measured: Whether the time stands on a rate that this lake measured.
    """

    flops: float
    lake_bytes: float
    memory_bytes: float
    seconds: float
    measured: bool

    def columns(self) -> tuple[str, str, str, str]:
        """Return GFLOP per image, MB of lake, MB of memory and minutes, as text."""
        minutes = f"{'' if self.measured else '~'}{self.seconds / 60:.1f}"
        return (
            f"{self.flops / 1e9:.2f}",
            f"{self.lake_bytes / 1e6:.1f}",
            f"{self.memory_bytes / 1e6:.0f}",
            minutes,
        )


@dataclass(frozen=True)
class Shape:
    """What one image gives: layer shapes (N, H, W), input pixels, operations; and the network's numbers."""

    layers: Mapping[str, tuple[int, int, int]]
    input_pixels: int
    flops: float
    parameters: int


def shape_of(entry: ModelEntry) -> Shape:
    """Trace one image through a catalog model without arithmetic; once for entries that differ in weights."""
    return _trace(entry.architecture, own_tag(entry), preprocessing_of(entry).size, entry.layers)


@lru_cache(maxsize=4096)
def _trace(architecture: str, tag: str, size: int, recorded: tuple[str, ...]) -> Shape:
    network = shapes_of(architecture, tag)
    extractor = Taps(network, recorded)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        outputs = extractor(torch.empty(1, 3, size, size, device="meta"))
    # A global pool may give (B, N) without its two axes.
    layers = {name: (*outputs[name].shape[1:], 1, 1)[:3] for name in recorded}
    parameters = sum(tensor.numel() for tensor in network.parameters())
    return Shape(layers, size * size, float(counter.get_total_flops()), parameters)


def estimate(cell: Cell, images: int, runtime: Runtime, history: Iterable[Mapping[str, Any]]) -> Cost:
    """Estimate the cost of a cell.

    Args:
        cell: The cell.
        images: Images it has, over both splits.
        runtime: Device and batch size it would run with.
        history: Rows of `cells` of this lake; rates of the same model, precision and device are used.
    """
    shape = shape_of(cell.model)
    channels = sum(n for n, _, _ in shape.layers.values())
    _, height, width = shape.layers[cell.model.bottleneck]
    map_pixels = height * width
    per_image = (
        len(shape.layers) * ROW_BYTES + 4 * (channels + map_pixels) * VECTOR_COMPRESSION + NEIGHBOUR_BYTES / 2
    )
    located = min(cell.location_limit, images / 2) * (map_pixels + 2) * LOCATION_BYTES
    rate = _measured_rate(cell, runtime, history)
    nominal = NOMINAL_FLOPS.get(runtime.device.split(":")[0], NOMINAL_FLOPS["cpu"])
    passes = images + _estimated_over(cell, images)
    seconds = passes / rate if rate else passes * shape.flops / nominal
    if cell.variant == "original":
        seconds += images * shape.input_pixels * BANK_SECONDS
    memory = _peak_memory(cell, shape, images, runtime)
    return Cost(shape.flops, images * per_image + located, memory, seconds, rate is not None)


def _peak_memory(cell: Cell, shape: Shape, images: int, runtime: Runtime) -> float:
    """Return the peak memory of a cell's process: what is there all the time, and the largest step.

    Extraction holds the activations that are tapped and the two largest besides, a group of energy maps with
    what is computed of them, and two parts of rows, one of them as Arrow too. The search holds a block of
    queries, a block of memory, and their products. Batch norms are re-estimated over many pictures at once.
    """
    layers = list(shape.layers.values())
    sizes = [n * h * w for n, h, w in layers]
    batch = runtime.batch_size or default_batch_size(shape.input_pixels, runtime.device)
    activations = batch * (sum(sizes) + 2 * max(sizes)) if runtime.kind == "cpu" else 0
    maps = GROUP_IMAGES["cpu"] * sum(h * w for _, h, w in layers)
    rows = min(images, PART_IMAGES) * (sum(n for n, _, _ in layers) + len(layers) * ROW_NUMBERS)
    channels, height, width = shape.layers[cell.model.bottleneck]
    block = min(images / 2, BLOCK_ROWS)
    search = 3 * block * max(channels, height * width) + TILES["cpu"].queries * TILES["cpu"].memory
    extraction = 4.0 * activations + 3 * 8.0 * maps + 3 * 4.0 * rows
    estimation = 0.0
    if VARIANTS[cell.variant].norms and runtime.kind == "cpu":  # all of its pictures at once
        largest = 4.0 * max(*sizes, 3 * shape.input_pixels)
        estimation = ALIVE_MAPS * min(images // 2 * largest, MOST_PICTURES * largest, LARGEST_MAP_BYTES)
    return PROCESS_BYTES + 4.0 * shape.parameters + max(extraction, 4.0 * search, estimation)


def _estimated_over(cell: Cell, images: int) -> int:
    """Return how many pictures of the memory split pass once more, before the cell's own."""
    variant = VARIANTS[cell.variant]
    passes = 2 if variant.norms == "moved" else 1 if variant.norms or variant.unit_channels else 0
    return passes * min(images // 2, MOST_PICTURES)


def _measured_rate(cell: Cell, runtime: Runtime, history: Iterable[Mapping[str, Any]]) -> float | None:
    """Return the median measured images per second of a model, precision and kind of device, or None."""
    wanted = (cell.model.id, cell.precision, runtime.device.partition(":")[0])
    rates = sorted(
        row["images_per_second"]
        for row in history
        if (row["model"], row["precision"], (row["device"] or "").partition(":")[0]) == wanted
        and row["images_per_second"]
    )
    return rates[len(rates) // 2] if rates else None
