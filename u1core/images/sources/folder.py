"""Folders of pictures: one sub-folder per class, or such sub-folders below one folder per split."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from u1core.catalog.entries import DatasetEntry
from u1core.common.paths import as_text, leads_out, stamp
from u1core.common.text import printable
from u1core.images.sources.labels import class_name, number_labels
from u1core.images.sources.listing import (
    Ignored,
    Listing,
    Picture,
    PictureError,
    SourceError,
    existing,
)
from u1core.images.sources.splits import is_query_word, pick_splits, split_in, split_word
from u1core.images.sources.suffixes import IMAGE_SUFFIXES

_FEW = 5


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


@dataclass(frozen=True)
class _Layout:
    """Where the class folders lie: below folders that wrap all, and one per split where there are some."""

    above: tuple[str, ...]
    splits: Mapping[str, bool]  # whether it is the query split, by the folder's name

    def label(self, found: Found) -> _Labelled | None:
        """Read split and class off the path; None for what is no picture of a class."""
        depth = len(self.above)
        of_split = found.parts[depth : depth + 1] if self.splits else ()
        inner = found.parts[depth + len(of_split) :]
        in_class = len(inner) >= (1 if found.is_folder else 2)
        is_there = found.parts[:depth] == self.above and (not self.splits or of_split[0] in self.splits)
        if not (in_class and is_there and found.is_picture):
            return None
        return _Labelled(found, class_name(as_text(inner[0])), bool(of_split and self.splits[of_split[0]]))


def read(entry: DatasetEntry, places: Sequence[Path]) -> Listing:
    """List a folder: a class is a first-level sub-folder, with everything below it.

    Where the first level holds a folder of a memory and one of a query split (`splits` has their names) with
    sub-folders, those are the splits and their sub-folders the classes. A single folder that wraps all the
    others, or train/ alone, is entered. Numbers follow the sorted order of all files. A symbolic link that
    leads out of the folder is a failure, unless options.follow_links is true.

    Raises:
        SourceError: There is no picture, or a split has no other beside it.
    """
    root = existing(places, entry.kind)
    follow_links = bool(entry.options.get("follow_links", False))
    layout = _find_layout(root, follow_links)
    labelled: list[_Labelled] = []
    ignored: list[str] = []
    for found in walk(root, follow_links):
        picture = layout.label(found)
        if picture is None:
            ignored.append(printable(found.name))
        else:
            labelled.append(picture)
    others = Ignored.of(ignored)
    if not labelled:
        besides = f", but {', '.join(others.told)}" if others.count else ""
        raise SourceError(f"no pictures in class sub-folders of {root}{besides}")
    class_names, labels = number_labels([picture.class_name for picture in labelled])
    is_query = np.array([picture.is_query for picture in labelled]) if layout.splits else None

    def pictures() -> Iterator[Picture]:
        for found in (picture.found for picture in labelled):
            yield Picture(found.name, found.refused or root.joinpath(*found.parts))

    return Listing(class_names, labels, pictures, is_query, others)


def _find_layout(root: Path, follow_links: bool) -> _Layout:
    """Go down to the first folder that holds two splits, or more than one folder of pictures."""
    above: tuple[str, ...] = ()
    entered = {_identity(root.stat())}
    while True:
        here = _Level(root, above, follow_links)
        named = here.splits()
        if pick_splits(named) is None:
            named = here.spoken_of() or named
        if pair := pick_splits(named):
            return _Layout(above, {named[word]: is_query_word(word) for word in pair})
        named = {word: name for word, name in named.items() if here.wraps(here.where / name)}
        holding = here.holding(named)
        if named and len(holding) > 1:
            raise here.no_pair(sorted(named.values()), holding)
        inner = root.joinpath(*above, holding[0]) if len(holding) == 1 else root
        if not here.wraps(inner) or _identity(inner.stat()) in entered:
            return _Layout(above, {})
        entered.add(_identity(inner.stat()))
        above += (holding[0],)


class _Level:
    """The folders of one level, from the outside."""

    def __init__(self, root: Path, above: tuple[str, ...], follow_links: bool) -> None:
        self.root, self.follow_links = root, follow_links
        self.where = root.joinpath(*above)
        self.folders = [Path(entry.path) for entry in reversed(_folders(self.where))]

    def splits(self) -> dict[str, str]:
        """Find the folders that are a split by name and hold class folders: their names by the split's."""
        named: dict[str, str] = {}
        for folder in self.folders:
            word = split_word(folder.name)
            if word and self._leads_out(folder):
                raise SourceError(
                    f"{folder.name} leads out of {self.root}; options.follow_links = true follows it"
                )
            if word and _folders(folder):
                if word in named:
                    got = f"{named[word]}/ and {folder.name}/ in {self.where} are the same split"
                    raise SourceError(f"{got}: put their pictures together, or rename one")
                named[word] = folder.name
        return named

    def spoken_of(self) -> dict[str, str]:
        """Find folders that speak of a split (seg_train, '1. Test') and hold the same classes."""
        named = {word: f for f in self.folders if (word := split_in(f.name)) and self.wraps(f)}
        if (pair := pick_splits(named)) is None:
            return {}
        memory, query = ({inner.name for inner in _folders(named[word])} for word in pair)
        are_splits = memory & query or all(map(split_in, memory | query))
        return {word: named[word].name for word in pair} if are_splits else {}

    def holding(self, splits: Mapping[str, str]) -> list[str]:
        """Name folders that hold pictures, a few of them; flat splits hold none of a class, beside no class.

        Raises:
            SourceError: There are flat splits alone.
        """
        words = {folder.name: split_word(folder.name) for folder in self.folders}
        named = set(splits.values())
        others = self._holding(name for name, word in words.items() if name in named or not word)
        if splits or others or not pick_splits(set(words.values())):
            return others if splits else self._holding(words)
        flat = " and ".join(f"{name}/" for name, word in words.items() if word)
        raise SourceError(f"{flat} in {self.where} hold no class folders: put pictures into one per class")

    def _holding(self, names: Iterable[str]) -> list[str]:
        return list(islice(filter(self._holds_pictures, names), _FEW))

    def wraps(self, folder: Path) -> bool:
        """Whether a folder holds folders alone, and no picture that would make it a class."""
        return (
            folder != self.root
            and not self._leads_out(folder)
            and bool(_folders(folder))
            and not any(
                Found((entry.name,)).is_picture for entry in _entries(folder) if not _is_folder(entry)
            )
        )

    def no_pair(self, splits: Sequence[str], holding: Sequence[str]) -> SourceError:
        """Say that a folder is a split's by name, with no other beside it but folders of pictures."""
        others = [printable(name) for name in holding if name not in splits]
        beside = f" beside {', '.join(others)}" if others else ""
        return SourceError(
            f"{' and '.join(f'{name}/' for name in splits)} with class folders{beside} in {self.where}, but "
            "no folder of the other split: call one train/ or val/, or name the folder of the classes"
        )

    def _holds_pictures(self, name: str) -> bool:
        folder = self.where / name
        try:
            return self._leads_out(folder) or any(f.is_picture for f in walk(folder, self.follow_links))
        except OSError:  # what is in it nobody knows; its reading fails
            return True

    def _leads_out(self, folder: Path) -> bool:
        return not self.follow_links and folder.is_symlink() and leads_out(folder, self.root)


def _folders(folder: Path) -> list[os.DirEntry[str]]:
    """List the folders of a folder that are not hidden; none where it can't be read, which its walk tells."""
    try:
        return [e for e in _entries(folder) if _is_folder(e) and not e.name.startswith(".")]
    except OSError:
        return []


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
    return stamp(state)
