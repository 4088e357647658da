"""Folders of pictures: one sub-folder per class, or such sub-folders below one folder per split."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from u1core.catalog.entries import DatasetEntry
from u1core.common.paths import as_text, leads_out
from u1core.common.text import printable
from u1core.images.sources.listing import (
    MEMORY_NAMES,
    QUERY_NAMES,
    Ignored,
    Listing,
    Picture,
    PictureError,
    SourceError,
    existing,
    number_classes,
    pick_splits,
)
from u1core.images.sources.suffixes import IMAGE_SUFFIXES


@dataclass(frozen=True, slots=True)
class Found:
    """A file, or a folder that is not entered, by the names that lead to it from the root."""

    parts: tuple[str, ...]
    refused: PictureError | None = None
    is_folder: bool = False

    @property
    def is_picture(self) -> bool:
        """Whether its name is a picture's, or it is a folder that may hold some; nothing hidden is."""
        named = self.is_folder or self.parts[-1].lower().endswith(IMAGE_SUFFIXES)
        return named and not any(part.startswith(".") for part in self.parts)

    @property
    def name(self) -> str:
        """Its path below the root."""
        return "/".join(self.parts)


@dataclass(frozen=True, slots=True)
class _Labelled:
    found: Found
    class_name: str
    is_query: bool


def read(entry: DatasetEntry, places: Sequence[Path]) -> Listing:
    """List a folder: a class is a first-level sub-folder, with everything below it.

    Where the first level holds a memory (or train) and a query (or test, validation, valid, val) folder with
    sub-folders, those are the splits and their sub-folders the classes. Numbers follow the sorted order of
    all files. A symbolic link that leads out of the folder is a failure, unless options.follow_links is true.

    Raises:
        SourceError: There is no picture.
    """
    root = existing(places, entry.kind)
    follow_links = bool(entry.options.get("follow_links", False))
    splits = _find_splits(root, follow_links)
    labelled: list[_Labelled] = []
    ignored: list[str] = []
    for found in walk(root, follow_links):
        picture = _label(found, splits)
        if picture is None:
            ignored.append(printable(found.name))
        else:
            labelled.append(picture)
    others = Ignored.of(ignored)
    if not labelled:
        besides = f", but {', '.join(others.told)}" if others.count else ""
        raise SourceError(f"no pictures in class sub-folders of {root}{besides}")
    class_names, labels = number_classes(picture.class_name for picture in labelled)
    is_query = np.array([picture.is_query for picture in labelled]) if splits else None

    def pictures() -> Iterator[Picture]:
        for found in (picture.found for picture in labelled):
            yield Picture(found.name, found.refused or root.joinpath(*found.parts))

    return Listing(class_names, labels, pictures, is_query, others)


def _label(found: Found, splits: tuple[str, str] | None) -> _Labelled | None:
    """Read split and class off the path; None for what is no picture of a class."""
    split, inner = (found.parts[0], found.parts[1:]) if splits else ("", found.parts)
    in_class = len(inner) >= (1 if found.is_folder else 2)
    if not in_class or not found.is_picture or (splits and split not in splits):
        return None
    return _Labelled(found, as_text(inner[0]), split in QUERY_NAMES)


def _find_splits(root: Path, follow_links: bool) -> tuple[str, str] | None:
    """Name the folders of the memory and the query split; None where the first level holds the classes."""
    found = []
    for name in (*MEMORY_NAMES, *QUERY_NAMES):
        folder = root / name
        if not follow_links and folder.is_symlink() and leads_out(folder, root):
            raise SourceError(f"{name} leads out of {root}; options.follow_links = true follows it")
        if folder.is_dir() and any(p.is_dir() for p in folder.iterdir() if not p.name.startswith(".")):
            found.append(name)
    return pick_splits(found)


def walk(root: Path, follow_links: bool = False) -> Iterator[Found]:
    """Find every file below a folder, depth first, sorted by name.

    A link that leads out (unless `follow_links`), a folder that contains itself, and one that can't be read
    are given as they are, refused; nothing behind them is looked at.
    """
    top = frozenset([_identity(root.stat())])
    waiting: list[tuple[os.DirEntry[str], tuple[str, ...], frozenset[tuple[int, int]]]]
    waiting = [(entry, (entry.name,), top) for entry in _entries(root)]
    while waiting:
        entry, parts, above = waiting.pop()
        is_folder = _is_folder(entry)
        if entry.is_symlink() and not follow_links and leads_out(Path(entry.path), root):
            why = PictureError(f"leads out of {root}; options.follow_links = true follows it")
            yield Found(parts, why, is_folder)
        elif not is_folder:
            yield Found(parts)
        elif (itself := _identity(entry.stat())) in above:
            yield Found(parts, PictureError("leads back to a folder above it"), is_folder)
        else:
            try:
                inner = _entries(Path(entry.path))
            except OSError as error:
                yield Found(parts, PictureError(f"{error.strerror or error}"), is_folder)
                continue
            waiting += [(child, (*parts, child.name), above | {itself}) for child in inner]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle, or to where we may not look
        return False


def _identity(state: os.stat_result) -> tuple[int, int]:
    """Return what is the same for a folder by whichever path it is reached."""
    return state.st_dev, state.st_ino


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """List a folder, the last name first."""
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name, reverse=True)


def state(entry: DatasetEntry, places: Sequence[Path]) -> str:
    """Sum up names, sizes and times of the pictures below the places: changes when they do."""
    digest = hashlib.sha256()
    for root in filter(Path.is_dir, places):
        for found in walk(root, bool(entry.options.get("follow_links", False))):
            if found.is_picture:
                digest.update(os.fsencode(found.name) + _state_of(root, found))
    return digest.hexdigest()


def _state_of(root: Path, found: Found) -> bytes:
    try:
        state = root.joinpath(*found.parts).lstat() if found.refused else root.joinpath(*found.parts).stat()
    except OSError as error:  # a link to nowhere
        return f"\0{error.errno}\n".encode()
    return f"\0{state.st_size}\0{state.st_mtime_ns}\n".encode()
