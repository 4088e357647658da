"""Whole activation maps of a class-balanced subset, kept from the extraction to the location search.

One file of float16 per split and part, in the cell's unfinished state, batch after batch: memory never holds
more than one of them. Each map is divided by its own maximum, which no cosine sees and float16 cannot
overflow.

Shape legend: P = H * W places, n images of the split, N channels, B images of a batch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Self

import numpy as np
import torch
from torch import Tensor

from u1core.cells.open_cell import OpenCell, State
from u1core.common.errors import U1Error
from u1core.images.cache import select_images
from u1core.lake.storage import NewFile
from u1core.measures.sums import SPLITS


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

    def __init__(self, opened: OpenCell) -> None:
        cell, images = opened.cell, opened.images
        limits = [n for n in (cell.limit, cell.location_limit) if n is not None]
        chosen = select_images(images, min(limits)) if cell.location_limit else np.empty(0, dtype=np.int64)
        is_query = images.is_query[chosen]
        self.positions = dict(zip(SPLITS, (chosen[~is_query], chosen[is_query]), strict=True))
        self._opened = opened

    def wanted(self, positions: np.ndarray) -> np.ndarray:
        """Tell which images belong to the subset, (B,)."""
        return np.isin(positions, np.concatenate(list(self.positions.values())))

    def writer(self, part: int) -> MapsWriter:
        """Begin the maps of one part."""
        return MapsWriter(self._opened.state, self.positions, part)

    def read(self, split: str) -> PlaceMaps:
        """Open the maps (P, n, N) of one split; images that failed hold zeros.

        Raises:
            U1Error: There are none: the unfinished state was deleted, or no image of the subset was recorded.
        """
        state = self._opened.state
        names = [name for name in state.names() if name.startswith(f"location-{split}-")]
        if not names:
            raise U1Error(f"location maps of {self._opened}", "none", "run `u1 sweep` again")
        files = [state.open(name) for name in names]
        return PlaceMaps(len(self.positions[split]), files)


class MapsWriter:
    """Keeps the maps of one part, a file per split; they are there once it is closed."""

    def __init__(self, state: State, positions: dict[str, np.ndarray], part: int) -> None:
        self._state, self._positions, self._part = state, positions, part
        self._open: dict[str, tuple[NewFile, BinaryIO]] = {}

    def write(self, positions: np.ndarray, maps: np.ndarray) -> None:
        """Keep the maps (P, B, N) of images of the subset."""
        for split, members in self._positions.items():
            mine = np.isin(positions, members)
            if mine.any():
                file = self._file(split)
                np.save(file, np.searchsorted(members, positions[mine]))
                np.save(file, np.ascontiguousarray(maps[:, mine], dtype=np.float16))

    def close(self) -> None:
        """Make the files appear; the part's mark may follow."""
        for new, file in self._open.values():
            file.close()
            new.keep()
            new.discard()
        self._open = {}

    def _file(self, split: str) -> BinaryIO:
        if split not in self._open:
            new = self._state.new(f"location-{split}-{self._part:05d}.maps")
            self._open[split] = new, new.path.open("wb")
        return self._open[split][1]


@dataclass(frozen=True)
class _Batch:
    """Where the maps of some images lie: their rows among the n, and the file with its offset."""

    rows: np.ndarray
    file: BinaryIO
    offset: int

    def place(self, place: int, channels: int) -> np.ndarray:
        """Read the maps of one place, (B, N)."""
        size = len(self.rows) * channels
        self.file.seek(self.offset + 2 * size * place)
        return np.frombuffer(self.file.read(2 * size), np.float16).reshape(len(self.rows), channels)


class PlaceMaps:
    """Maps (P, n, N) in float16, of which memory holds the places that are asked for.

    Attributes:
        shape: P, n and N.
    """

    def __init__(self, images: int, files: list[BinaryIO]) -> None:
        found = [entry for file in files for entry in _read_batches(file)]
        self._files, self._batches = files, [batch for batch, _ in found]
        places, channels = found[0][1]
        self.shape = places, images, channels

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, place: int) -> np.ndarray:
        if not 0 <= place < len(self):
            raise IndexError(f"place {place} of {len(self)}")
        maps = np.zeros(self.shape[1:], dtype=np.float16)
        for batch in self._batches:
            maps[batch.rows] = batch.place(place, self.shape[2])
        return maps

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[place] for place in range(len(self)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.ExitStack() as stack:
            for file in self._files:
                stack.callback(file.close)


def _read_batches(file: BinaryIO) -> Iterator[tuple[_Batch, tuple[int, int]]]:
    """Yield what `MapsWriter` wrote one after the other, with P and N; passes over the maps themselves."""
    end = file.seek(0, 2)
    file.seek(0)
    while file.tell() < end:
        rows: np.ndarray = np.load(file)
        np.lib.format.read_magic(file)
        (places, images, channels), _, _ = np.lib.format.read_array_header_1_0(file)
        offset = file.tell()
        file.seek(offset + 2 * places * images * channels)
        yield _Batch(rows, file, offset), (places, channels)
