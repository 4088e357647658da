"""Labelled images, decoded once into a cache and opened memory-mapped.

Shapes: n images of H x W pixels with C channels, K classes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from u1core.catalog.datasets import WHOLE_KINDS
from u1core.catalog.entries import DatasetEntry, Preprocessing
from u1core.common import atomic
from u1core.common.errors import LIMITS, U1Error
from u1core.common.paths import at_home
from u1core.common.progress import Progress, untold
from u1core.common.text import printable
from u1core.images.in_files import Pictures, PictureSource
from u1core.images.pixel_source import ArraySource, PixelSource
from u1core.images.repeats import Digests, Repeats, count_repeats, digest_rows
from u1core.images.sources.listing import (
    Decoded,
    Flags,
    Ignored,
    ImageFailure,
    Labels,
    Listing,
    Pixels,
    SourceError,
    rank_within_class,
)
from u1core.images.sources.reading import list_pictures, places_of, read_source, state_of
from u1core.images.sources.suffixes import is_foreign
from u1core.measures.shape import mixed

CACHE_FORMAT = 2
"""Part of every cache name: raise it when what is written, or how pictures are made, changes."""

_SCRATCH = ".decoding-"
_HALVING = 10**12
"""Added to image ids before they are hashed, so that halves of the query split are not those of shapes."""

_SCRATCH_LIFE_S = 86400.0
_CHUNK = 4096


@dataclass(frozen=True)
class Images:
    """A data set, ready to be read by position.

    Position i is row i of every array; `image_ids` are positions in the data set over all splits, so they
    skip the images in `failures`. `pixels` is memory-mapped and read-only: index it with an array to copy.
    Large pictures, and those of many sizes, stay in their files: then it is None, and `pictures` leads there.
    What earlier versions did not count is None in what they cached: `unlabelled`, `found`, `digests`.
    """

    pixels: Pixels | None  # (n, H, W, C), C = 1 or 3
    labels: Labels  # (n,)
    is_query: Flags  # (n,)
    image_ids: Labels  # (n,)
    class_names: tuple[str, ...]
    fingerprint: str
    failures: tuple[ImageFailure, ...] = ()
    ignored: Ignored = field(
        default_factory=Ignored
    )  # what else lay among the pictures when they were decoded
    pictures: Pictures | None = None
    unlabelled: int | None = 0  # pictures without a label, in no array
    found: int | None = None  # whatever the source held: rows, failures, unlabelled and ignored
    digests: Digests | None = None  # (n,)
    withheld: Flags | None = None  # (n,) images that belong to no split

    def __len__(self) -> int:
        return len(self.labels)

    def open_pixels(self, preprocessing: Preprocessing, also: Sequence[Preprocessing] = ()) -> PixelSource:
        """Return where an extraction gets its pixels; enter it to use it.

        Args:
            preprocessing: Of the network.
            also: Of networks to come.
        """
        if self.pictures is not None:
            return PictureSource(self.pictures, preprocessing, also)
        if self.pixels is None:
            raise U1Error("images with pixels or pictures", "neither", "open them with `open_images`")
        return ArraySource(self.pixels)

    def failure(self, position: int, stage: str, error: str) -> ImageFailure:
        """Return the failure of one image at a stage, by its position."""
        label, is_query = int(self.labels[position]), bool(self.is_query[position])
        return ImageFailure(int(self.image_ids[position]), label, is_query, stage, error)

    def repeats(self, positions: Labels | None = None) -> Repeats | None:
        """Count the pictures that come again, of all or of some; None where their digests are not known."""
        digests = self.digests
        if digests is None and self.pixels is not None:
            digests = digest_rows(self.pixels if positions is None else self.pixels[positions])
        elif digests is not None and positions is not None:
            digests = digests[positions]
        is_query = self.is_query if positions is None else self.is_query[positions]
        return None if digests is None else count_repeats(digests, is_query)

    def undecodable(self) -> list[ImageFailure]:
        """Decode whatever is not decoded yet, keep nothing, and return the pictures that can't be."""
        return [] if self.pictures is None else self.pictures.undecodable()


def default_cache() -> Path:
    """Name the folder for decoded images: $U1_CACHE, else u1sweep in $XDG_CACHE_HOME or ~/.cache.

    Raises:
        U1Error: There is no home for it.
    """
    if os.environ.get("U1_CACHE"):
        return at_home(os.environ["U1_CACHE"])
    return at_home(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "u1sweep"


def open_images(
    entry: DatasetEntry,
    cache: Path,
    data_dir: Path | None = None,
    notify: Callable[[str], None] = lambda line: None,
    progress: Progress = untold,
) -> Images:
    """Decode a data set once, then open it from the cache.

    The sources are tried in turn; one that is missing, damaged or of another fingerprint is passed over.
    The cache folder appears complete or not at all, so a crash or a second process does no harm.

    Args:
        entry: The catalog entry.
        cache: Folder of all decoded data sets (`default_cache()`).
        data_dir: The user's directory of images; $U1_DATA stands in for it.
        notify: Told one line for every source that is tried.
        progress: Called with pictures done and pictures in all, where they are decoded one by one.

    Returns:
        The images, memory-mapped.

    Raises:
        U1Error: No source gave them (every reason is named), or the cache can't be written.
    """
    folder = _folder(entry, cache, data_dir)
    images = _open(folder, entry, data_dir)
    if images is not None:
        return images
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _remove_old_scratch(cache)
        with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=cache) as scratch:
            decoded = _first_source(entry, data_dir, Path(scratch), notify, progress)
            _publish(_write(decoded, entry, Path(scratch) / "ready"), folder, entry)
    except OSError as error:
        raise _not_written(entry, cache, error) from error
    images = _open(folder, entry, data_dir)
    if images is None:
        raise U1Error("the cache to stay as it was written", str(folder), "run it again")
    return images


def _not_written(entry: DatasetEntry, cache: Path, error: OSError) -> U1Error:
    """Say why a cache could not be written, with the remedy of that."""
    wanted, todo = "a cache that can be written", "set U1_CACHE to another folder"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, None):  # numpy counts what it could write, and no more
        wanted, todo = f"a cache with room for {entry.id}", f"free space there, or {todo}"
    elif error.errno in LIMITS:
        todo = f"raise `{LIMITS[error.errno]}`"
    return U1Error(wanted, f"{cache}: {error.strerror or error}", todo)


def find_cached(entry: DatasetEntry, cache: Path, data_dir: Path | None = None) -> Images | None:
    """Open a data set that is decoded already; None where it is not. Decodes nothing."""
    return _open(_folder(entry, cache, data_dir), entry, data_dir)


def _folder(entry: DatasetEntry, cache: Path, data_dir: Path | None) -> Path:
    return cache / f"{entry.id}-{_content_hash(entry, data_dir)}"


def _content_hash(entry: DatasetEntry, data_dir: Path | None) -> str:
    """Hash what decides the pixels, and the user's files unless a promised fingerprint stands for them.

    It does for sets that are read whole; others may stay in their files, which are read again later.
    """
    parts: list[object] = [
        CACHE_FORMAT,
        entry.kind,
        entry.class_names,
        entry.fingerprint,
        dict(entry.options),
    ]
    if entry.fingerprint is None or entry.kind not in WHOLE_KINDS:
        parts += state_of(entry, data_dir)
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _first_source(
    entry: DatasetEntry,
    data_dir: Path | None,
    scratch: Path,
    notify: Callable[[str], None],
    progress: Progress,
) -> Decoded:
    """Try the sources in turn; remember why each failed."""
    reasons = []
    for number, source in enumerate(entry.sources):
        notify(f"{entry.id}: trying {source}")
        work_dir = scratch / str(number)
        work_dir.mkdir()
        try:
            decoded = read_source(source, entry, data_dir, work_dir, progress)
            _verify(decoded, entry)
            return decoded
        except SourceError as error:
            reasons.append(f"{source}: {error}")
            shutil.rmtree(work_dir, ignore_errors=True)
    todo = "set U1_DATA to a directory that holds it, or connect this machine to the internet"
    if all(source.startswith("directory") for source in entry.sources):
        todo = f"correct datasets.{entry.id}.options.path, or set U1_DATA to the directory that holds it"
    raise U1Error(f"the images of {entry.id} from one of its sources", " | ".join(reasons), todo)


def _verify(decoded: Decoded, entry: DatasetEntry) -> None:
    """Check that the pictures can be used and are the ones promised.

    Raises:
        SourceError: They are not; says how.
    """
    labels, classes = decoded.labels, len(decoded.class_names)
    _check_known(decoded)
    if decoded.failures and not len(labels):
        first = decoded.failures[0].error
        raise SourceError(f"none of {len(decoded.failures)} files could be decoded; the first: {first}")
    if decoded.pixels is not None and len(decoded.pixels) != len(labels):
        raise SourceError(f"{len(decoded.pixels)} images but {len(labels)} labels")
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
        raise SourceError(f"labels {labels.min()} to {labels.max()}, but {classes} class names")
    for split, flag, promised in (
        ("memory", False, entry.images_memory),
        ("query", True, entry.images_query),
    ):
        of_split = labels[decoded.is_query == flag]
        if promised is not None and len(of_split) != promised:
            raise SourceError(f"{len(of_split)} {split} images, not {promised}")
        seen = [decoded.class_names[label] for label in np.unique(of_split)]
        if len(seen) < 2:
            only = f": {printable(seen[0])}" if seen else ""
            beside = f"; {decoded.unlabelled} rows without a label" if decoded.unlabelled else ""
            why = f"{len(seen)} classes in the {split} split, at least 2 are needed{only}{beside}"
            raise SourceError(why)
    found = _cell_fingerprint(decoded, entry)
    if entry.fingerprint is not None and found != entry.fingerprint:
        raise SourceError(
            f"other images or labels: fingerprint {found[:16]}..., not {entry.fingerprint[:16]}..."
        )


def _check_known(decoded: Decoded) -> None:
    """Refuse a data set most of whose files may be pictures that nobody here knows.

    Raises:
        SourceError: It is one; says of which kinds they are.
    """
    foreign = [(kind, count) for kind, count in decoded.ignored.kinds if is_foreign(kind)]
    pictures = len(decoded.labels) + len(decoded.failures)
    if pictures < sum(count for _, count in foreign):
        named = ", ".join(f"{count} {kind}" for kind, count in foreign)
        todo = "convert them if they are pictures, or move them away"
        raise SourceError(f"{pictures} pictures among other files ({named}): {todo}")


def _cell_fingerprint(decoded: Decoded, entry: DatasetEntry) -> str:
    """Return the fingerprint; names that come with the images and pictures that failed are part of it."""
    parts = [fingerprint(_rows(decoded), decoded.labels, decoded.is_query)]
    if not entry.class_names:
        parts += decoded.class_names
    if decoded.failures:  # rows with other image ids are other rows
        parts += [hashlib.sha256(decoded.image_ids.astype("<i8").tobytes()).hexdigest()]
    return parts[0] if len(parts) == 1 else hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _rows(decoded: Decoded) -> Pixels:
    """Return what tells the pictures apart: their pixels, or the digests of their files."""
    return decoded.digests if decoded.pixels is None else decoded.pixels  # type: ignore[return-value]


def fingerprint(pixels: Pixels, labels: Labels, is_query: Flags) -> str:
    """Hash shapes, pixels and labels, memory split first.

    Args:
        pixels: uint8, shape (n, H, W, C); of pictures that stay in their files their digests, (n, 32).
        labels: Class indices, shape (n,); hashed as little-endian 64-bit integers.
        is_query: Shape (n,).

    Returns:
        sha256 in hexadecimal.
    """
    digest = hashlib.sha256()
    for name, flag in (("memory", False), ("query", True)):
        positions = np.flatnonzero(is_query == flag)
        digest.update(f"{name} {len(positions)} {'x'.join(map(str, pixels.shape[1:]))}\n".encode())
        for start in range(0, len(positions), _CHUNK):
            digest.update(pixels[positions[start : start + _CHUNK]].tobytes())
        digest.update(labels[positions].astype("<i8").tobytes())
    return digest.hexdigest()


def _write(decoded: Decoded, entry: DatasetEntry, folder: Path) -> Path:
    """Write the arrays, then meta.json: its presence says that all the rest is there."""
    folder.mkdir()
    arrays: dict[str, npt.NDArray[np.generic]] = {
        **({} if decoded.pixels is None else {"pixels": decoded.pixels}),
        "labels": decoded.labels,
        "splits": decoded.is_query,
        "image_ids": decoded.image_ids,
        "digests": digest_rows(_rows(decoded)),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    meta = {
        "class_names": decoded.class_names,
        "fingerprint": _cell_fingerprint(decoded, entry),
        "failures": [asdict(failure) for failure in decoded.failures],
        "ignored": asdict(decoded.ignored),
        "unlabelled": decoded.unlabelled,
        "found": _found(decoded),
        "in_files": decoded.pixels is None,
    }
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    for path in folder.iterdir():
        atomic.bring_to_disk(path)
    return folder


def _found(decoded: Decoded) -> int:
    """Return what a source held; one that did not count it gave all of it as rows or failures."""
    given = len(decoded.labels) + len(decoded.failures) + decoded.unlabelled + decoded.ignored.count
    return given if decoded.found is None else decoded.found


def _publish(ready: Path, folder: Path, entry: DatasetEntry) -> None:
    """Rename the finished folder into place, unless another process was first."""
    if folder.exists() and _open(folder, entry, None) is None:
        # Half a cache, from a copy or a disk gone wrong. Whoever has it open keeps it until it is closed.
        folder.rename(ready.with_name("damaged"))
    atomic.publish_folder(ready, folder)


def _open(folder: Path, entry: DatasetEntry, data_dir: Path | None) -> Images | None:
    """Open a finished cache folder; None where it is missing, damaged or of another fingerprint."""
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        digests = folder / "digests.npy"
        images = Images(
            pixels=None if meta["in_files"] else np.load(folder / "pixels.npy", mmap_mode="r"),
            labels=np.load(folder / "labels.npy"),
            is_query=np.load(folder / "splits.npy"),
            image_ids=np.load(folder / "image_ids.npy"),
            class_names=tuple(meta["class_names"]),
            fingerprint=meta["fingerprint"],
            failures=tuple(ImageFailure(**failure) for failure in meta["failures"]),
            ignored=_ignored(**meta.get("ignored", {})),
            unlabelled=meta.get("unlabelled"),
            found=meta.get("found"),
            digests=np.load(digests) if digests.exists() else None,
        )
    except (OSError, ValueError, EOFError, KeyError, TypeError):
        return None
    arrays = (images.pixels, images.labels, images.is_query, images.image_ids, images.digests)
    lengths = {len(array) for array in arrays if array is not None}
    if entry.fingerprint not in (None, images.fingerprint) or len(lengths) != 1:
        return None
    if images.found is None and entry.kind in WHOLE_KINDS:  # cached before anybody counted
        images = replace(images, unlabelled=0, found=len(images))
    images = _recounted(images, entry, data_dir) if entry.kind == "folder" else images
    return (
        replace(images, pictures=_in_files(images, entry, data_dir, folder)) if meta["in_files"] else images
    )


def _recounted(images: Images, entry: DatasetEntry, data_dir: Path | None) -> Images:
    """Count again what else lies in a folder: the name of its cache follows the pictures alone."""
    source = next((source for source in entry.sources if source.startswith("directory")), None)
    if source is None or images.found is None:
        return images
    try:
        ignored = list_pictures(entry, places_of(source, entry, data_dir)).ignored
    except SourceError:  # whoever needs the files will say so
        return images
    return replace(images, ignored=ignored, found=images.found - images.ignored.count + ignored.count)


def _in_files(images: Images, entry: DatasetEntry, data_dir: Path | None, folder: Path) -> Pictures:
    """Return the pictures of a data set that stay where its source has them, as long as they stay the same.

    A file that is added, renamed or written anew would give others its label, and its pixels for ever.
    """

    def listing() -> Listing:
        reasons = []
        for source in entry.sources:
            try:
                found = list_pictures(entry, places_of(source, entry, data_dir))
            except SourceError as error:
                reasons.append(str(error))
            else:
                if _folder(entry, folder.parent, data_dir) != folder:
                    wanted = f"the pictures of {entry.id} as they were when the sweep began"
                    raise U1Error(wanted, "files that have changed since", "sweep again once they stay")
                return found
        todo = "put the pictures back, or sweep again after a change"
        raise U1Error(f"the pictures of {entry.id} where they were", " | ".join(reasons), todo)

    ids, labels = images.image_ids, images.labels
    return Pictures(listing, ids, labels, images.is_query, images.fingerprint, folder.parent)


def _ignored(count: int = 0, names: Sequence[str] = (), kinds: Sequence[tuple[str, int]] = ()) -> Ignored:
    return Ignored(count, tuple(names), tuple((kind, number) for kind, number in kinds))


def _remove_old_scratch(cache: Path) -> None:
    """Clear what killed processes left; a day is longer than any decoding takes."""
    for folder in cache.glob(f"{_SCRATCH}*"):
        try:
            left = time.time() - folder.stat().st_mtime > _SCRATCH_LIFE_S
        except OSError:  # its owner was quicker
            continue
        if left:
            shutil.rmtree(folder, ignore_errors=True)


def hold_out(images: Images) -> Images:
    """Return the data set with half of its query split as the memory, and its memory split in neither.

    Networks are trained on the memory split of official data sets, so as a memory it flatters them. Every
    class is halved, by a hash of image ids: the same halves for every network.

    Args:
        images: The data set as it is split officially.
    """
    asked = np.flatnonzero(images.is_query)
    order = asked[np.argsort(mixed(images.image_ids[asked] + _HALVING), kind="stable")]
    second = order[rank_within_class(images.labels[order]) % 2 == 1]
    is_query = np.zeros_like(images.is_query)
    is_query[second] = True
    pictures = images.pictures and replace(images.pictures, is_query=is_query)
    return replace(images, is_query=is_query, pictures=pictures, withheld=~images.is_query)


def _in_split(images: Images, is_query: bool) -> Flags:
    """Tell which images are in a split, (n,)."""
    chosen: Flags = images.is_query == is_query
    return chosen if images.withheld is None else chosen & ~images.withheld


def select_images(images: Images, limit: int | None) -> npt.NDArray[np.int64]:
    """Choose at most `limit` images of each split, balanced over the classes, always the same ones.

    Within a split images are taken round-robin over the classes, each class in its own order, so a smaller
    limit chooses a subset of a larger one.

    Args:
        images: The data set.
        limit: Images per split, at least 2; None for all.

    Returns:
        Positions, the memory split first, ascending within a split.

    Raises:
        U1Error: The limit leaves fewer than two images.
    """
    if limit is not None and limit < 2:
        raise U1Error(
            "a limit of at least 2 images per split", str(limit), "raise it, or leave it out for all images"
        )
    chosen = []
    for flag in (False, True):
        positions = np.flatnonzero(_in_split(images, flag))
        labels = images.labels[positions]
        order = np.lexsort((labels, rank_within_class(labels)))
        chosen.append(np.sort(positions[order[:limit]]))
    return np.concatenate(chosen)
