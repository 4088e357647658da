"""Pictures listed in a CSV file: a path and a label per row."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from u1core.catalog.entries import DatasetEntry
from u1core.images.sources.listing import (
    MEMORY_NAMES,
    QUERY_NAMES,
    Content,
    Ignored,
    Listing,
    Picture,
    SourceError,
    beside,
    existing,
    number_classes,
    pick_splits,
    repeat,
)

Row = dict[str, str]


def read(entry: DatasetEntry, places: Sequence[Path]) -> Listing:
    """List the pictures of a CSV file whose header names the columns path, label and perhaps split.

    Paths are relative to the file's folder and stay inside it, or become failures. A split is memory or
    train, or query, test, validation, valid or val; one of each is used.

    Raises:
        SourceError: The table can't be read, a column is missing, or a row has no label or a wrong split.
    """
    table = existing(places, entry.kind, Path.is_file)
    rows = _read_rows(table)
    splits = pick_splits({row["split"] for row in rows})
    used = [row for row in rows if splits is None or row["split"] in splits]
    unused = [row["path"] for row in rows if splits and row["split"] not in splits]
    class_names, labels = number_classes(row["label"] for row in used)
    is_query = np.array([row["split"] in QUERY_NAMES for row in used]) if splits else None
    pictures = repeat(Picture(row["path"], beside(table.parent, row["path"])) for row in used)
    return Listing(class_names, labels, pictures, is_query, Ignored.of(unused, "rows of another split"))


def _read_rows(table: Path) -> list[Row]:
    """Read path, label and split (where there is none, an empty one) of every row."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            missing = {"path", "label"} - set(reader.fieldnames or ())
            if missing:
                header = ", ".join(reader.fieldnames or ()) or "nothing"
                raise SourceError(f"no column {' and '.join(sorted(missing))} in {table}, which has {header}")
            return [_checked(row, f"{table}, line {reader.line_num}") for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{table}: {error}") from error


def _checked(row: dict[str, str | None], where: str) -> Row:
    path, label, split = (row.get(name) or "" for name in ("path", "label", "split"))
    if not label:
        raise SourceError(f"{where}: no label")
    if split and split not in (*MEMORY_NAMES, *QUERY_NAMES):
        raise SourceError(f"{where}: split '{split}', not one of {', '.join((*MEMORY_NAMES, *QUERY_NAMES))}")
    return {"path": path, "label": label, "split": split}


def state(entry: DatasetEntry, places: Sequence[Path]) -> str:
    """Sum up the table and the sizes and times of its pictures: changes when they do."""
    digest = hashlib.sha256()
    for table in filter(Path.is_file, places):
        digest.update(table.read_bytes())
        for content in _contents(table):
            if isinstance(content, Path) and content.is_file():
                state = content.stat()
                digest.update(f"\0{state.st_size}\0{state.st_mtime_ns}".encode())
    return digest.hexdigest()


def _contents(table: Path) -> list[Content]:
    try:
        return [beside(table.parent, row["path"]) for row in _read_rows(table)]
    except SourceError:  # reading it will say so
        return []
