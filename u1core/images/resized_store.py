"""Decoded and resized pictures on disk: one sparse file per data set and geometry, filled as it is asked for.

Every model with the same resizing and cropping shares a store. All stores of a cache together keep a budget:
the least recently used goes first. Whoever reads one that goes keeps reading: its file lives until closed.
Shapes: n pictures of S x S pixels.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np

from u1core.catalog.entries import Preprocessing
from u1core.common.errors import U1Error
from u1core.images.pixel_source import RowFile
from u1core.images.sources.listing import Flags, Labels, Pixels

RESIZING = 1
"""Raise it when pictures are resized to other pixels than before: stores are then not used again."""

COMMITTED_ROWS = 1024
"""After so many pictures what was written is made certain: what a crash can cost."""

_SHARE = 0.5


class PixelStore:
    """The prepared pictures of one data set for one geometry.

    A row counts only once its flag is written, after its pixels are on the disk; two processes that write the
    same row write the same bytes.

    Args:
        folder: Made where it is missing.
        rows: Pictures of the data set.
        side: S.

    Attributes:
        present: Which rows are there, (n,).

    Raises:
        OSError: The folder cannot be written.
    """

    def __init__(self, folder: Path, rows: int, side: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)  # when it was last used
        self._row_bytes = side * side * 3
        self._rows = os.open(folder / "rows.u8", os.O_RDWR | os.O_CREAT, 0o666)
        self._flags = os.open(folder / "present.u8", os.O_RDWR | os.O_CREAT, 0o666)
        os.truncate(self._flags, rows)
        self.present: Flags = np.fromfile(folder / "present.u8", dtype=np.uint8) == 1
        self._file = RowFile(folder / "rows.u8", (side, side, 3))
        self._uncommitted: list[int] = []
        # Bringing 150 MB to a disk takes a while: nobody who reads or decodes should wait for it.
        self._writer = ThreadPoolExecutor(1, "u1-store")
        self._flushes: list[Future[None]] = []

    def read(self, rows: Labels) -> Pixels:
        """Return rows that are present, (len(rows), S, S, 3)."""
        return self._file.read(rows)

    def write(self, row: int, pixels: Pixels) -> None:
        """Write one row (S, S, 3); any thread may."""
        os.pwrite(self._rows, np.ascontiguousarray(pixels).data, row * self._row_bytes)

    def commit(self, row: int) -> None:
        """Say that a row is written; it is certain after `COMMITTED_ROWS` more, or after `close`."""
        self._uncommitted.append(row)
        if len(self._uncommitted) >= COMMITTED_ROWS:
            self._begin_flush()

    def _begin_flush(self) -> None:
        rows = np.array(sorted(self._uncommitted), dtype=np.int64)
        self._uncommitted.clear()
        self._flushes.append(self._writer.submit(self._flush, rows))

    def _flush(self, rows: Labels) -> None:
        os.fdatasync(self._rows)
        runs = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
        for start, end in pairwise([*runs, len(rows)]):
            os.pwrite(self._flags, b"\1" * (end - start), int(rows[start]))
        self.present[rows] = True

    def close(self) -> None:
        """Make certain what was written, and close the files; a disk that refuses costs another decoding."""
        self._begin_flush()
        try:
            for flush in self._flushes:
                with suppress(OSError):
                    flush.result()
        finally:
            self._writer.shutdown()
            self._file.close()
            os.close(self._rows)
            os.close(self._flags)


def store_folder(cache: Path, fingerprint: str, numbers: Preprocessing) -> Path:
    """Name the store of a data set for a geometry; mean and deviation come after it."""
    geometry = (RESIZING, numbers.size, numbers.crop_pct, numbers.interpolation, numbers.crop_mode)
    digest = hashlib.sha256(json.dumps([fingerprint, *geometry]).encode()).hexdigest()
    return cache / "pixels" / f"{fingerprint[:12]}-{numbers.size}-{digest[:12]}"


def budget(root: Path) -> int:
    """Return the bytes that all stores below a folder may take: $U1_CACHE_GB, else half of what is free.

    Raises:
        U1Error: $U1_CACHE_GB is no number.
    """
    given = os.environ.get("U1_CACHE_GB")
    if given is None:
        return int(_SHARE * (shutil.disk_usage(root).free + sum(map(_size, _stores(root)))))
    try:
        return int(float(given) * 1e9)
    except ValueError as error:
        raise U1Error(
            "U1_CACHE_GB to be a number of gigabytes", repr(given), "correct it, or unset it"
        ) from error


def make_room(root: Path, needed: int, keep: Collection[Path]) -> bool:
    """Remove the least recently used stores until `needed` bytes more fit into the budget.

    Args:
        root: Folder of the stores.
        needed: Bytes to come.
        keep: Stores that stay.

    Returns:
        Whether they fit; if not, nothing was removed.
    """
    root.mkdir(parents=True, exist_ok=True)
    sizes = {store: _size(store) for store in _stores(root)}
    allowed = budget(root) - needed
    if sum(size for store, size in sizes.items() if store in keep) > allowed:
        return False
    for store in sorted(set(sizes) - set(keep), key=_last_used):
        if sum(sizes.values()) <= allowed:
            break
        shutil.rmtree(store, ignore_errors=True)
        del sizes[store]
    return True


def _stores(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.is_dir()]


def _size(store: Path) -> int:
    """Return the bytes that a store takes on the disk: its file is sparse."""
    try:
        return (store / "rows.u8").stat().st_blocks * 512
    except OSError:  # somebody else removed it
        return 0


def _last_used(store: Path) -> float:
    try:
        return store.stat().st_mtime
    except OSError:
        return 0.0
