"""Whole activation maps of a class-balanced subset, on disk from the extraction to the location search.

One float16 file per split, place by place, in the cell's unfinished state: memory never holds more than one
batch. Each map is divided by its own maximum, which no cosine sees and float16 cannot overflow.

Shape legend: P = H * W places, n images of the split, N channels, B images of a batch.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from u1core.accumulate import SPLITS
from u1core.cells import Cell
from u1core.datasets import Images, select_images
from u1core.lake.store import Lake


def by_place(activations: Tensor) -> np.ndarray:
    """Return activations (B, N, H, W) as float16 (P, B, N), each image divided by its maximum."""
    peak = activations.abs().amax(dim=(1, 2, 3), keepdim=True).clamp_min(torch.finfo(activations.dtype).tiny)
    places: np.ndarray = (activations / peak).half().flatten(2).permute(2, 0, 1).cpu().numpy()
    return places


class LocationMaps:
    """The maps of a cell's location memory.

    Attributes:
        positions: Images of the subset by split name, positions in the dataset, ascending.
    """

    def __init__(self, cell: Cell, images: Images, lake: Lake) -> None:
        limits = [n for n in (cell.limit, cell.location_limit) if n is not None]
        chosen = select_images(images, min(limits)) if cell.location_limit else np.empty(0, dtype=np.int64)
        is_query = images.is_query[chosen]
        self.positions = dict(zip(SPLITS, (chosen[~is_query], chosen[is_query]), strict=True))
        self._folder = lake.work(cell.id)
        self._open: dict[str, np.memmap] = {}

    def wanted(self, positions: np.ndarray) -> np.ndarray:
        """Tell which images belong to the subset, (B,)."""
        return np.isin(positions, np.concatenate(list(self.positions.values())))

    def write(self, positions: np.ndarray, maps: np.ndarray) -> None:
        """Keep the maps (P, B, N) of images of the subset."""
        for split, members in self.positions.items():
            mine = np.isin(positions, members)
            if mine.any():
                file = self._writable(split, (maps.shape[0], len(members), maps.shape[2]))
                file[:, np.searchsorted(members, positions[mine])] = maps[:, mine]

    def writer(self, part: int) -> LocationMaps:
        """Return what takes the maps of one part."""
        return self

    def close(self) -> None:
        """Bring everything written to the disk; the part's mark may follow."""
        for file in self._open.values():
            file.flush()

    def read(self, split: str) -> np.ndarray:
        """Open the maps (P, n, N) of one split, memory-mapped; images that failed hold zeros."""
        maps: np.ndarray = np.load(self._path(split), mmap_mode="r")
        return maps

    def _path(self, split: str) -> Path:
        return self._folder / f"location-{split}.npy"

    def _writable(self, split: str, shape: tuple[int, ...]) -> np.memmap:
        if split not in self._open:
            path = self._path(split)
            if not path.is_file():
                _allocate(path, shape)
            self._open[split] = np.lib.format.open_memmap(path, mode="r+")
        return self._open[split]


def _allocate(path: Path, shape: tuple[int, ...]) -> None:
    """Make a file of zeros, whole or not at all: on a full disk this is an error, a map would be a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
    with temporary.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, temporary.stat().st_size)
    temporary.replace(path)
