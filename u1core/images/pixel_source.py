"""Pixels for an extraction, batch by batch, from wherever they are.

Shapes: n images of H x W pixels with C colours.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from itertools import pairwise
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import NamedTuple, Protocol, Self

import numpy as np

from u1core.images.sources.listing import ImageFailure, Labels, Pixels


class PixelBatch(NamedTuple):
    """Some images of a data set."""

    positions: Labels  # (b,) of those that gave pixels
    pixels: Pixels  # (b, H, W, C)
    failures: tuple[ImageFailure, ...] = ()  # of those that did not


class PixelSource(AbstractContextManager["PixelSource"], Protocol):
    """Where an extraction gets its pixels.

    Attributes:
        shape: Of one image, (H, W, C).
        is_prepared: Whether they are resized and cropped for the network already.
    """

    shape: tuple[int, int, int]
    is_prepared: bool

    def batches(self, wanted: Sequence[Labels], turn: Event | None = None) -> Iterator[PixelBatch]:
        """Yield one batch for each array of positions, in order."""


class RowFile:
    """Rows of bytes in a file, read without mapping it: what a map touches counts as memory of the process.

    Args:
        path: The file.
        shape: Of one row, uint8.
        offset: Where the first row begins, in bytes.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], offset: int = 0) -> None:
        self.shape, self._offset = shape, offset
        self._row_bytes = int(np.prod(shape))
        self._descriptor = os.open(path, os.O_RDONLY)

    def read(self, rows: Labels) -> Pixels:
        """Return some rows, (len(rows), *shape).

        Raises:
            OSError: The file ends before them.
        """
        found = np.empty((len(rows), *self.shape), dtype=np.uint8)
        runs = np.flatnonzero(np.diff(rows, prepend=-2) != 1)  # of rows that follow each other in the file
        for start, end in pairwise([*runs, len(rows)]):
            run = memoryview(found[start:end].reshape(-1).data)
            at = self._offset + int(rows[start]) * self._row_bytes
            while run:
                count = os.preadv(self._descriptor, [run], at)
                if count == 0:
                    raise OSError(f"row {rows[end - 1]} lies behind the end of the file")
                run, at = run[count:], at + count
        return found

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class ArraySource:
    """Pictures of one size, as they are in an array or in the file that a memory-mapped one stands for.

    Args:
        pixels: (n, H, W, C).
    """

    is_prepared = False

    def __init__(self, pixels: Pixels) -> None:
        height, width, colours = pixels.shape[1:]
        self.shape = (height, width, colours)
        self._pixels, self._stack = pixels, ExitStack()
        self._file: RowFile | None = None

    def __enter__(self) -> Self:
        pixels = self._pixels
        if isinstance(pixels, np.memmap) and pixels.flags.c_contiguous and len(pixels):
            self._file = RowFile(Path(str(pixels.filename)), self.shape, pixels.offset)
            self._stack.callback(self._file.close)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        self._file = None

    def batches(self, wanted: Sequence[Labels], turn: Event | None = None) -> Iterator[PixelBatch]:
        """Yield one batch for each array of positions."""
        for positions in wanted:
            pixels = self._file.read(positions) if self._file else np.array(self._pixels[positions])
            yield PixelBatch(positions, pixels)
