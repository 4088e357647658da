"""The rows of `cells`, fast: one listing, one index file, and the few files that are newer than the index.

A Parquet file takes about a millisecond to open whatever is in it, 10 s for 10,000 cells. The index holds
their rows with the time at which each file was written; it is throw-away, the files are the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from u1core.errors import U1Error
from u1core.lake.storage import WORK, Storage
from u1core.schema import SCHEMAS

INDEX = f"{WORK}/cells.parquet"

_NEW_FILES = 200
"""So many files are read without the index before it is written again."""

_READERS = 8

# An object store tells times in whole seconds: a file may be written twice within one.
_CLOCK_TICK = timedelta(seconds=2)

_KEYS = [pa.field("file", pa.string()), pa.field("modified", pa.timestamp("us", tz="UTC"))]
_SCHEMA = pa.schema([*_KEYS, *SCHEMAS["cells"]])

Row = dict[str, Any]


def all_rows(storage: Storage) -> dict[str, Row]:
    """Return the rows of `cells` by cell key.

    Raises:
        U1Error: A file is damaged.
    """
    written = {name: t for name, t in storage.modified("cells").items() if name.endswith(".parquet")}
    known = _read_index(storage, written)
    new = sorted(written.keys() - {row["file"] for row in known})
    rows = known + [row | {"modified": written[row["file"]]} for row in read_files(storage, new)]
    if len(new) >= _NEW_FILES:
        _write_index(storage, rows)
    return {row["cell_key"]: {name: row.get(name) for name in SCHEMAS["cells"].names} for row in rows}


def read_files(storage: Storage, names: Sequence[str]) -> list[Row]:
    """Read files of `cells`; every row says which `file` it is from.

    Raises:
        U1Error: A file is damaged.
    """

    # Not by pyarrow.dataset: importing that brings pandas along where it is installed, a second or more.
    def read(name: str) -> list[Row]:
        with storage.files.open_input_stream(name) as file:
            content = file.read()
        try:
            rows = pq.ParquetFile(pa.BufferReader(content)).read().to_pylist()
        except (pa.ArrowException, ValueError, OSError) as e:
            todo = "delete that file and sweep again: its cell is computed anew"
            raise U1Error("readable Parquet in the lake", f"a damaged {storage.path(name)}", todo) from e
        return [row | {"file": name} for row in rows]

    with ThreadPoolExecutor(_READERS) as readers:
        return [row for rows in readers.map(read, names) for row in rows]


def _read_index(storage: Storage, written: dict[str, datetime]) -> list[Row]:
    """Return the rows of the index whose files have not changed since."""
    indexed_at = storage.modified(WORK, recursive=False).get(INDEX)
    if indexed_at is None:
        return []
    try:
        with storage.files.open_input_file(INDEX) as file:
            table = pq.ParquetFile(file).read()
        if not table.schema.equals(_SCHEMA):
            return []
        rows = [row for row in table.to_pylist() if row["modified"] is not None]
    except (pa.ArrowException, ValueError, OSError):
        return []
    settled = indexed_at - _CLOCK_TICK
    return [r for r in rows if r["modified"] == written.get(r["file"]) and r["modified"] < settled]


def _write_index(storage: Storage, rows: list[Row]) -> None:
    # A lake that can only be read is read without it.
    with suppress(OSError, U1Error), storage.writing(INDEX) as path:
        pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), path, compression="zstd")
