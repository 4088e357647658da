"""Proof that a lake holds what was committed: every file of every cell against its sha256.

A cell's sums are rows of `files`, taken when it was committed. `files`, `cells` and the tables of training
have no sums of their own; their pages carry checksums inside Parquet, which are verified by reading them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from u1core.common.progress import Progress, untold
from u1core.lake import index
from u1core.lake.schema import CELL_TABLES, COLUMNS
from u1core.lake.storage import WORK, Storage
from u1core.lake.store import Lake, key_of, sha256_of

_READERS = 8
_INSIDE = ("cells", "files", *(table for table in COLUMNS if table not in CELL_TABLES))
"""Tables that are verified by their pages' own checksums."""


@dataclass(frozen=True)
class Damage:
    """What is wrong with one file, or with what should be there.

    Attributes:
        key: Of the cell, or of the training run.
        name: The file, below the lake's root.
        reason: What was expected and what is there.
    """

    key: str
    name: str
    reason: str


def verify(lake: Lake, progress: Progress = untold) -> list[Damage]:
    """Verify every committed cell and every table of training; may run while a sweep writes.

    Args:
        lake: The lake.
        progress: Told the bytes that are verified and those in all.

    Returns:
        The damage found, by file; empty for a sound lake.
    """
    storage = lake.storage
    rows: dict[str, list[index.Row]] = {}
    damaged = []
    for table in _INSIDE:
        rows[table], found = _read(storage, table)
        damaged += found
    done = {row["cell_key"]: row["file"] for row in rows["cells"] if row["status"] == "done"}
    promised = [row for row in rows["files"] if row["cell_key"] in done]
    proved = {key_of(name) for name in storage.names("files")}
    damaged += [
        Damage(key, name, "its cell is committed without checksums")
        for key, name in done.items()
        if key not in proved
    ]
    damaged += _compare(storage, promised, progress)
    return sorted(damaged, key=lambda damage: damage.name)


def _read(storage: Storage, table: str) -> tuple[list[index.Row], list[Damage]]:
    """Read all files of a table; return the rows, and the damage of files that cannot be read."""
    names = [name for name in storage.names(table) if name.endswith(".parquet")]

    def read(name: str) -> list[index.Row] | Damage:
        try:
            return index.read_file(storage, name)
        except index.DamagedError as e:
            return Damage(key_of(name), name, str(e))

    with ThreadPoolExecutor(_READERS) as readers:
        found = list(readers.map(read, names))
    rows = [row for rows in found if not isinstance(rows, Damage) for row in rows]
    return rows, [damage for damage in found if isinstance(damage, Damage)]


def _compare(storage: Storage, promised: list[dict[str, Any]], progress: Progress) -> Iterator[Damage]:
    """Yield the files that are not what their cells promise."""
    done, total = 0, sum(row["bytes"] for row in promised)
    with ThreadPoolExecutor(_READERS) as readers:
        differences = readers.map(lambda row: _difference(storage, row), promised)
        for row, reason in zip(promised, differences, strict=True):
            done += row["bytes"]
            progress(done, total)
            if reason:
                yield Damage(row["cell_key"], row["path"], reason)


def _difference(storage: Storage, row: dict[str, Any]) -> str:
    try:
        size, sha256 = sha256_of(storage, row["path"])
    except FileNotFoundError:
        return "it is missing"
    if size != row["bytes"]:
        return f"{row['bytes']} bytes were committed, {size} are there"
    return "" if sha256 == row["sha256"] else "its sha256 is not the committed one"


def drop(lake: Lake, keys: Iterable[str]) -> int:
    """Take cells or training runs out of a lake, so that the next sweep or training computes them anew.

    Returns:
        How many files were deleted.

    Raises:
        TakenError: A sweep is writing to the lake.
    """
    with lake.alone():
        return delete(lake, keys)


def delete(lake: Lake, keys: Iterable[str]) -> int:
    """Do as `drop` does in a lake whose only writer the caller is.

    The commit mark goes first: whatever interrupts this, no cell is readable in part.
    """
    wanted, deleted = set(keys), 0
    for table in ("cells", "training_runs", *COLUMNS):
        for name in [name for name in lake.storage.names(table) if key_of(name) in wanted]:
            lake.storage.delete(name)
            deleted += 1
    for key in wanted:
        lake.storage.delete_folder(f"{WORK}/{key}")
    return deleted
