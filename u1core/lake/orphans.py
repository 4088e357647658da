"""What lies in a lake and no view shows: files in the making, unfinished cells, superseded ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pyarrow import fs

from u1core.common import atomic
from u1core.lake.schema import CELL_TABLES
from u1core.lake.storage import WORK
from u1core.lake.store import Lake, key_of
from u1core.lake.verify import delete

KINDS = {
    "temporary": "files in the making that a crash left",
    "unfinished": "parts of cells that were not committed; a sweep of the same cells goes on from them",
    "superseded": "cells that others replaced; a sweep that asks for them again finds them done",
}
"""Kinds of orphans, with what they are."""

_SETTLED = timedelta(hours=1)
"""A younger file in the making may be a worker's that outlived its sweep."""


@dataclass(frozen=True)
class Orphan:
    """One file in the making, or all files of one cell.

    Attributes:
        kind: Of `KINDS`.
        name: The file; of a cell its name.
        key: Of the cell; empty for a file.
        files: How many.
        size: Bytes of all.
        modified: When the newest was written.
    """

    kind: str
    name: str
    key: str
    files: int
    size: int
    modified: datetime


def find_orphans(lake: Lake) -> list[Orphan]:
    """Return what lies in a lake and no view shows, the largest first."""
    return sorted([*_temporary(lake), *_cells(lake)], key=lambda orphan: -orphan.size)


def _temporary(lake: Lake) -> Iterator[Orphan]:
    for info in lake.storage.infos(WORK):
        if info.path.endswith(atomic.SUFFIX) and datetime.now(UTC) - info.mtime > _SETTLED:
            yield Orphan("temporary", info.path, "", 1, info.size, info.mtime)


def _cells(lake: Lake) -> Iterator[Orphan]:
    rows = lake.cells()
    current: dict[tuple[str, str, str], str] = {}
    for row in sorted(rows.values(), key=lambda row: row["selected_at"]):
        if row["status"] == "done":
            current[row["dataset"], row["model"], row["variant"]] = row["cell_key"]
    shown = set(current.values())
    files: dict[str, list[fs.FileInfo]] = {}
    for table in CELL_TABLES:
        for info in lake.storage.infos(table):
            files.setdefault(key_of(info.path), []).append(info)
    for key, infos in files.items():
        row = rows.get(key, {})
        # The row of a failed cell says why: it is no orphan while nothing else of the cell is there.
        if key in shown or (row.get("status") == "failed" and len(infos) == 1):
            continue
        kind = "superseded" if row.get("status") == "done" else "unfinished"
        size, newest = sum(info.size for info in infos), max(info.mtime for info in infos)
        yield Orphan(kind, _name(infos[0].path), key, len(infos), size, newest)


def _name(path: str) -> str:
    """Return a cell's name by the folders that one of its files lies in."""
    parts = dict(folder.split("=", 1) for folder in path.split("/") if "=" in folder)
    variant = "" if parts["variant"] == "original" else f" ({parts['variant']})"
    return f"{parts['model']}{variant} on {parts['dataset']}"


def remove_orphans(lake: Lake, kinds: Collection[str]) -> list[Orphan]:
    """Delete the orphans of some kinds; return them.

    Raises:
        TakenError: A sweep is writing to the lake.
    """
    with lake.alone():
        found = [orphan for orphan in find_orphans(lake) if orphan.kind in kinds]
        for orphan in found:
            if not orphan.key:
                lake.storage.delete(orphan.name)
        delete(lake, [orphan.key for orphan in found if orphan.key])
    return found
