"""The rows of `cells`, fast: one listing, one index file, and the few files that are newer than the index.

A Parquet file takes about a millisecond to open whatever is in it, 10 s for 10,000 cells. The index holds
their rows with the time at which each file was written; it is throw-away, the files are the truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from u1core.common.errors import U1Error
from u1core.lake.schema import SCHEMAS
from u1core.lake.storage import WORK, Storage

INDEX = f"{WORK}/cells.parquet"

_NEW_FILES = 200
"""So many files are read without the index before it is written again."""

_READERS = 8

# An object store tells times in whole seconds: a file may be written twice within one.
_CLOCK_TICK = timedelta(seconds=2)

_KEYS = [pa.field("file", pa.string()), pa.field("modified", pa.timestamp("us", tz="UTC"))]
_SCHEMA = pa.schema([*_KEYS, *SCHEMAS["cells"]])

Row = dict[str, Any]


class DamagedError(Exception):
    """A file of the lake that is not what was written."""


def all_rows(storage: Storage) -> dict[str, Row]:
    """Return the rows of `cells` by cell key.

    Raises:
        U1Error: A file is damaged.
    """
    written = _written(storage)
    known = _read_index(storage, written)
    new = sorted(written.keys() - {row["file"] for row in known})
    rows = known + [row | {"modified": written[row["file"]]} for row in read_files(storage, new)]
    if len(new) >= _NEW_FILES:
        _write_index(storage, rows)
    return {row["cell_key"]: {name: row.get(name) for name in SCHEMAS["cells"].names} for row in rows}


def outside_index(storage: Storage) -> tuple[list[str], list[str]] | None:
    """Return what the index does not say rightly, after bringing it up to date where much is missing.

    Returns:
        Files to be read beside the index, and files whose rows in it are void; None where there are so few
        cells, or no index could be written, that their files are to be read alone.

    Raises:
        U1Error: A file is damaged.
    """
    written = _written(storage)
    if len(written) < _NEW_FILES:
        return None
    for _ in range(2):
        known = _read_index(storage, written, ["file", "modified"])
        new = sorted(written.keys() - {row["file"] for row in known})
        if len(new) < _NEW_FILES:
            indexed = {row["file"] for row in _indexed(storage, ["file"])}
            return new, sorted(indexed - {row["file"] for row in known})
        all_rows(storage)
    return None


def _written(storage: Storage) -> dict[str, datetime]:
    """Return when each file of `cells` was written."""
    return {name: t for name, t in storage.modified("cells").items() if name.endswith(".parquet")}


def read_files(storage: Storage, names: Sequence[str]) -> list[Row]:
    """Read files of `cells`; every row says which `file` it is from.

    Raises:
        U1Error: A file is damaged.
    """

    def read(name: str) -> list[Row]:
        with _undamaged(storage, name):
            return read_file(storage, name)

    with ThreadPoolExecutor(_READERS) as readers:
        return [row for rows in readers.map(read, names) for row in rows]


def read_table(storage: Storage, name: str) -> pa.Table:
    """Read one file of a table whole.

    Raises:
        U1Error: It is damaged.
    """
    with _undamaged(storage, name), _parquet(storage, name) as parquet:
        return parquet.read(use_threads=False)


def read_file(storage: Storage, name: str) -> list[Row]:
    """Read one file of `cells`, or of another small table; every row says which `file` it is from.

    Raises:
        DamagedError: It is not Parquet, or a page is not what its checksum says.
    """
    with _parquet(storage, name) as parquet:
        return [row | {"file": name} for row in parquet.read(use_threads=False).to_pylist()]


@contextmanager
def _parquet(storage: Storage, name: str) -> Iterator[pq.ParquetFile]:
    """Open one file; what goes wrong with it is damage."""
    content = storage.read(name)
    # Not by pyarrow.dataset: importing that brings pandas along where it is installed, a second or more.
    try:
        # What the storage refuses is no damage, so it is asked before Parquet is.
        with pq.ParquetFile(pa.BufferReader(content or b""), page_checksum_verification=True) as parquet:
            yield parquet
    except (pa.ArrowException, ValueError, OSError) as e:
        raise DamagedError(" ".join(str(e).split())) from e


@contextmanager
def _undamaged(storage: Storage, name: str) -> Iterator[None]:
    try:
        yield
    except DamagedError as e:
        todo = "run `u1 verify --drop`, then sweep again: its cell is computed anew"
        raise U1Error("readable Parquet in the lake", f"a damaged {storage.path(name)}", todo) from e


def _read_index(
    storage: Storage, written: dict[str, datetime], columns: Sequence[str] | None = None
) -> list[Row]:
    """Return the rows of the index whose files have not changed since."""
    indexed_at = storage.modified(WORK, recursive=False).get(INDEX)
    if indexed_at is None:
        return []
    settled = indexed_at - _CLOCK_TICK
    return [
        row
        for row in _indexed(storage, columns)
        if row["modified"] is not None
        and row["modified"] == written.get(row["file"])
        and row["modified"] < settled
    ]


def _indexed(storage: Storage, columns: Sequence[str] | None) -> list[Row]:
    """Return the rows of the index; none where it can't be read, or is another version's."""
    try:
        with storage.files.open_input_file(INDEX) as file, pq.ParquetFile(file) as parquet:
            if not parquet.schema_arrow.equals(_SCHEMA):
                return []
            rows: list[Row] = parquet.read(columns=columns, use_threads=False).to_pylist()
    except (pa.ArrowException, ValueError, OSError):
        return []
    return rows


def _write_index(storage: Storage, rows: list[Row]) -> None:
    # A lake that can only be read is read without it.
    with suppress(OSError, U1Error), storage.writing(INDEX) as path:
        pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), path, compression="zstd")
