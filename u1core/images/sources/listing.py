"""What every reader gives: the pictures it found and their labels, nothing decoded yet.

Shapes: n pictures, K classes; decoded, H x W pixels with C channels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from u1core.common.paths import leads_out
from u1core.images.sources.suffixes import kind_of

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

UNLABELLED = -1
"""The label of a picture that has none: no class, no row, but counted."""

_NAMES_KEPT = 20
_KINDS_TOLD = 8


class SourceError(Exception):
    """One source can't give the pictures; the next is tried."""


class PictureError(ValueError):
    """One picture is not decoded, for a reason that the message tells in full."""


Content = Path | bytes | Image.Image | Pixels | PictureError
"""What a picture is decoded from: a file, its bytes, or pixels (H, W), (H, W, 1) or (H, W, 3)."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One listed picture: its name in messages and its content, or a function that fetches it when it is due.

    A content that is a `PictureError` makes the picture a failure with that reason; nothing is opened.
    """

    name: str
    content: Content | Callable[[], Content]


@dataclass(frozen=True)
class Ignored:
    """Files that lie among the pictures and are none: hidden, foreign, or of a split that is not used."""

    count: int = 0
    names: tuple[str, ...] = ()  # the first few
    kinds: tuple[tuple[str, int], ...] = ()  # suffix, or what else they are, and how many; the most first

    @classmethod
    def of(cls, names: Iterable[str], kind: str | None = None) -> Ignored:
        """Count names, by suffix where they are not all of one kind, and keep the first few."""
        kept: list[str] = []
        kinds: Counter[str] = Counter()
        for name in names:
            kinds[kind or kind_of(name)] += 1
            if len(kept) < _NAMES_KEPT:
                kept.append(name)
        return cls(kinds.total(), tuple(kept), tuple(sorted(kinds.items(), key=lambda k: (-k[1], k[0]))))

    @property
    def told(self) -> tuple[str, ...]:
        """Each kind with its number: '12 .tga'; of many the most frequent."""
        rest = sum(count for _, count in self.kinds[_KINDS_TOLD:])
        first = tuple(f"{count} {kind}" for kind, count in self.kinds[:_KINDS_TOLD])
        return (*first, f"{rest} of other kinds") if rest else first


@dataclass(frozen=True)
class Listing:
    """Every picture of a data set, in order; its place in the order is its `image_id`.

    Attributes:
        class_names: By label.
        labels: Class indices, shape (n,); -1 for a picture without a label, which `labelled` leaves out.
        pictures: Gives the n pictures in order, each time it is called.
        is_query: Which split, shape (n,); None where there are no official splits: then `halve`.
        ignored: What else was found.
        unlabelled: Pictures without a label that `labelled` left out.
    """

    class_names: tuple[str, ...]
    labels: Labels
    pictures: Callable[[], Iterable[Picture]]
    is_query: Flags | None = None
    ignored: Ignored = Ignored()
    unlabelled: int = 0

    def labelled(self) -> Listing:
        """Leave out the pictures without a label, and count them."""
        kept = np.asarray(self.labels) != UNLABELLED
        if kept.all():
            return self

        def pictures() -> Iterator[Picture]:
            for place, picture in enumerate(self.pictures()):
                if place >= len(kept) or kept[place]:  # what is too much is told where pictures are counted
                    yield picture

        is_query = None if self.is_query is None else np.asarray(self.is_query)[kept]
        left_out = int(np.count_nonzero(~kept))
        labels = np.asarray(self.labels)[kept]
        return replace(self, labels=labels, pictures=pictures, is_query=is_query, unlabelled=left_out)

    @property
    def found(self) -> int:
        """Everything that was there: n, and what is no picture of a class."""
        return len(self.labels) + self.unlabelled + self.ignored.count


@dataclass(frozen=True)
class ImageFailure:
    """One picture that could not be read, in its own right: it takes no other picture's row."""

    image_id: int
    label: int
    is_query: bool
    stage: str
    error: str


@dataclass(frozen=True)
class Decoded:
    """Pictures and labels as read from one source, in order of `image_ids`.

    Where the pictures are not small ones of one size they stay in their files: `pixels` is None then, and
    `digests` are the sha256 of what each is decoded from.

    Attributes:
        found: Everything that the source held: rows, failures, `unlabelled` and `ignored` together; None
            where a reader that loses nothing did not count.
    """

    pixels: Pixels | None  # (n, H, W, C)
    labels: Labels  # (n,)
    is_query: Flags  # (n,)
    image_ids: Labels  # (n,)
    class_names: tuple[str, ...]
    failures: tuple[ImageFailure, ...] = ()
    ignored: Ignored = Ignored()
    unlabelled: int = 0
    digests: npt.NDArray[np.uint8] | None = None  # (n, 32)
    found: int | None = None


def halve(labels: Labels) -> Flags:
    """Halve by class, deterministically: within a class every second picture is a query."""
    odd: Flags = rank_within_class(labels) % 2 == 1
    return odd


def rank_within_class(labels: Labels) -> Labels:
    """Count, for every picture, the earlier ones of its class: shape (n,)."""
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels, minlength=1) if len(labels) else np.zeros(1, dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    ranks = np.empty(len(labels), dtype=np.int64)
    ranks[order] = np.arange(len(labels)) - starts[labels[order]]
    return ranks


def beside(folder: Path, written: str) -> Content:
    """Turn a path as written in a table into the picture's content, held to the table's folder."""
    if not written or "\0" in written:
        return PictureError("no path")
    path = folder / written
    return PictureError(f"leads out of {folder}") if leads_out(path, folder) else path


def existing(places: Iterable[Path], kind: str, what: Callable[[Path], bool] = Path.is_dir) -> Path:
    """Return the first place that is there.

    Raises:
        SourceError: None is, or none was named.
    """
    named = list(places)
    if not named:
        raise SourceError("no directory given and U1_DATA is not set")
    for place in named:
        if what(place):
            return place
    raise SourceError(f"no {kind} files in {' or '.join(map(str, named))}")


def repeat(pictures: Iterable[Picture]) -> Callable[[], Iterator[Picture]]:
    """Keep pictures that are known already, for `Listing.pictures`."""
    kept = tuple(pictures)
    return lambda: iter(kept)
