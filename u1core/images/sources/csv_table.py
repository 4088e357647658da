"""Pictures listed in a CSV file: a path and a label per row."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from u1core.catalog.entries import DatasetEntry
from u1core.common.paths import stamp
from u1core.images.sources.labels import Label, as_label, number_labels, settled
from u1core.images.sources.listing import (
    Content,
    Ignored,
    Listing,
    Picture,
    SourceError,
    beside,
    existing,
    repeat,
)
from u1core.images.sources.splits import USUAL, is_query_word, pick_splits, split_word

_COLUMNS = ("path", "label", "split")


@dataclass(frozen=True, slots=True)
class _Row:
    path: str
    label: Label
    split: str  # '' where the table says none
    line: int


def read(entry: DatasetEntry, places: Sequence[Path]) -> Listing:
    """List the pictures of a CSV file whose header names the columns path, label and perhaps split.

    Paths are relative to the file's folder and stay inside it, or become failures. A split is one of the
    usual words (`splits`); one of memory and one of query is used. An empty label is none.

    Raises:
        SourceError: The table can't be read, a column is missing, no row has a label, or one a wrong split.
    """
    table = existing(places, entry.kind, Path.is_file)
    rows = _read_rows(table)
    splits = pick_splits({row.split for row in rows})
    used = [row for row in rows if splits is None or row.split in splits]
    unused = [row.path for row in rows if splits and row.split not in splits]
    given = settled([row.label for row in used])
    if used and not any(label is not None for label in given):
        raise SourceError(f"{table}, line {used[0].line}: no label, nor in any other row")
    class_names, labels = number_labels(given)
    is_query = np.array([is_query_word(row.split) for row in used]) if splits else None
    pictures = repeat(Picture(row.path, beside(table.parent, row.path)) for row in used)
    return Listing(
        class_names, labels, pictures, is_query, Ignored.of(unused, "rows of another split")
    ).labelled()


def _read_rows(table: Path) -> list[_Row]:
    """Read path, label and split of every row; the header's case and blanks are the writer's."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            header = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = [name.lower() for name in header]
            _check_header(header, table)
            return [_row(row, reader.line_num, table) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{table}: {error}") from error


def _check_header(header: Sequence[str], table: Path) -> None:
    times = Counter(name.lower() for name in header)
    missing = sorted({"path", "label"} - set(times))
    if missing:
        raise SourceError(
            f"no column {' and '.join(missing)} in {table}, which has {', '.join(header) or 'nothing'}"
        )
    if twice := [name for name in _COLUMNS if times[name] > 1]:
        raise SourceError(f"{times[twice[0]]} columns {twice[0]} in {table}, which has {', '.join(header)}")


def _row(row: dict[str | None, Any], line: int, table: Path) -> _Row:
    if None in row:
        got = "more values than columns; a comma in a value needs quotes about it"
        raise SourceError(f"{table}, line {line}: {got}")
    path, label, split = (row.get(name) or "" for name in _COLUMNS)
    word = split_word(split)
    if split.strip() and not word:
        raise SourceError(f"{table}, line {line}: split '{split}', not one of {USUAL}")
    return _Row(path, as_label(label), word, line)


def state(entry: DatasetEntry, places: Sequence[Path]) -> str:
    """Sum up the table and the sizes and times of its pictures: changes when they do."""
    digest = hashlib.sha256()
    for table in filter(Path.is_file, places):
        digest.update(table.read_bytes())
        for content in _contents(table):
            if isinstance(content, Path) and content.is_file():
                digest.update(stamp(content.stat()))
    return digest.hexdigest()


def _contents(table: Path) -> list[Content]:
    try:
        return [beside(table.parent, row.path) for row in _read_rows(table)]
    except SourceError:  # reading it will say so
        return []
