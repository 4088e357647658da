"""How much a source holds, counted by other code than its reader, which may pass something over."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from u1core.catalog.entries import DatasetEntry
from u1core.common.paths import leads_out, matching
from u1core.images.sources.listing import Listing, SourceError


def check_count(listing: Listing, entry: DatasetEntry, places: Sequence[Path]) -> None:
    """Compare what a reader found with what is there: files of a folder, rows of a table.

    Nobody can count what a plugin reads, nor what torchvision's classes do not list.

    Raises:
        SourceError: It found less or more.
    """
    count = _COUNTS.get(entry.kind)
    if count is None:
        return
    held, what = count(entry, places)
    if held != listing.found:
        todo = "sweep again once nothing is written there any more; if that does not help, the reader errs"
        raise SourceError(f"{listing.found} {what} listed of {held} that are there: {todo}")


def _files(entry: DatasetEntry, places: Sequence[Path]) -> tuple[int, str]:
    """Count the files below a folder, and as one each the folders that are not entered."""
    root = next(filter(Path.is_dir, places))
    follow_links = bool(entry.options.get("follow_links", False))
    waiting, count = [root], 0
    while waiting:
        level = next(os.walk(waiting.pop()), None)  # one level: os.walk itself is as deep as the folders
        if level is None:  # it can't be read
            count += 1
            continue
        folders, files = [Path(level[0], name) for name in level[1]], level[2]
        entered = [folder for folder in folders if _is_entered(folder, root, follow_links)]
        count += len(files) + len(folders) - len(entered)
        waiting += entered
    return count, "files"


def _is_entered(folder: Path, root: Path, follow_links: bool) -> bool:
    """Tell whether a folder is none that a link leads out to, or back to from below."""
    if not folder.is_symlink():
        return True
    above = folder.parents[: len(folder.parts) - len(root.parts)]
    turns_back = any(folder.samefile(each) for each in above)
    return not turns_back and (follow_links or not leads_out(folder, root))


def _rows_of_text(entry: DatasetEntry, places: Sequence[Path]) -> tuple[int, str]:
    table = next(filter(Path.is_file, places))
    with table.open(encoding="utf-8-sig", newline="") as stream:
        return sum(map(bool, csv.reader(stream))) - 1, "rows"  # lines that hold something, and the header


def _rows_of_parquet(entry: DatasetEntry, places: Sequence[Path]) -> tuple[int, str]:
    files = next(filter(None, map(_parquet_files, places)))
    return sum(pq.read_metadata(file).num_rows for file in files), "rows"


def _parquet_files(place: Path) -> list[Path]:
    if not place.is_dir():
        return matching(place)
    below = (Path(folder, name) for folder, _, names in os.walk(place) for name in names)
    return [file for file in below if file.name.endswith(".parquet") and file.is_file()]


_COUNTS: Mapping[str, Callable[[DatasetEntry, Sequence[Path]], tuple[int, str]]] = {
    "folder": _files,
    "csv": _rows_of_text,
    "parquet": _rows_of_parquet,
}
