"""One reader per kind of data set: pictures listed or read whole, from the source that an entry names."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from u1core.catalog.datasets import plugin_kinds
from u1core.catalog.entries import DatasetEntry
from u1core.common.paths import at_home, stamp
from u1core.common.progress import Progress, untold
from u1core.images.sources import arrays, folder, phantom, placed
from u1core.images.sources.counts import check_count
from u1core.images.sources.fetch import FETCHERS
from u1core.images.sources.index import index_listing
from u1core.images.sources.labels import distinct_names
from u1core.images.sources.listing import (
    Decoded,
    Listing,
    SourceError,
)
from u1core.images.sources.pictures import FORMATS, decode_listing

DECODING = 4
"""Raise it when pictures are decoded to other pixels than before, or listed under other labels or splits:
decoded ones are then not used again."""

Reader = Callable[[DatasetEntry, Sequence[Path]], Listing]
"""What a plugin gives, too. Of a folder or a table what is there is counted again beside the reader; what a
plugin reads nobody else can count: each picture that it finds must be in its `Listing`, or in `ignored`."""

_MODULES = {"folder": "folder", "parquet": "parquet", "csv": "csv_table", "torchvision": "official"}
"""By kind: the module here whose `read` lists the pictures; imported when it is asked for."""


def read_source(
    source: str,
    entry: DatasetEntry,
    data_dir: Path | None,
    work_dir: Path,
    progress: Progress = untold,
) -> Decoded:
    """Get a data set from one of its sources.

    Args:
        source: One of `entry.sources`.
        entry: The catalog entry.
        data_dir: The user's directory of images, if any; $U1_DATA stands in for it.
        work_dir: An empty folder for what is fetched or decoded on the way; the caller removes it.
        progress: Called with pictures done and pictures in all, where they are decoded one by one.

    Returns:
        The pictures.

    Raises:
        SourceError: Nothing there, not reachable, or not what was expected.
    """
    if entry.kind == "placed":
        of = placed.objects_entry(entry, source)
        objects = read_source(source, of, data_dir, work_dir, progress)
        return placed.place(entry, objects, is_drawn=of.kind == placed.DRAWN)
    scheme, _, name = source.partition(":")
    if scheme == "generated":
        return arrays.complete(*phantom.generate(entry), entry)
    if scheme == "sklearn":
        return arrays.read_digits(entry)
    if scheme in FETCHERS:
        places = [work_dir / "fetched"]
        places[0].mkdir()
        FETCHERS[scheme](name, entry, places[0])
    else:
        places = places_of(source, entry, data_dir)
    if entry.kind in arrays.LAYOUTS:
        return arrays.read_layout(entry, places)
    listing, size = list_pictures(entry, places), entry.options.get("size")
    if size is None:
        indexed, is_small = index_listing(listing, progress)
        if not is_small:
            return indexed
    return decode_listing(listing, size, work_dir, progress)


def places_of(source: str, entry: DatasetEntry, data_dir: Path | None) -> list[Path]:
    """Say where a `directory` source is looked for.

    Returns:
        options.path or the source's own path, perhaps a glob; else <dir>/<id> and <dir> of `data_dir`.
    """
    given = entry.options.get("path") or source.partition(":")[2]
    if given:
        return [at_home(str(given))]
    if data_dir is None and os.environ.get("U1_DATA"):
        data_dir = at_home(os.environ["U1_DATA"])
    return [] if data_dir is None else [data_dir / entry.id, data_dir]


def list_pictures(entry: DatasetEntry, places: Sequence[Path]) -> Listing:
    """List a data set's labelled pictures, and what else lies there; decodes nothing.

    Raises:
        SourceError: The pictures are not there, the reader failed, or it found fewer or more than there are.
    """
    try:
        listing = _reader(entry.kind)(entry, places)
        if not isinstance(listing, Listing):
            raise SourceError(f"the reader of {entry.kind} gave a {type(listing).__name__}, not a Listing")
        check_count(listing, entry, places)
    except SourceError:
        raise
    except Exception as error:  # of a plugin, or of files damaged in a way no reader foresaw
        raise SourceError(f"the reader of {entry.kind}: {type(error).__name__}: {error}") from error
    labels, classes = listing.labels, len(listing.class_names)
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
        raise SourceError(f"labels {labels.min()} to {labels.max()}, but {classes} class names")
    return replace(listing, class_names=distinct_names(listing.class_names))


def _reader(kind: str) -> Reader:
    if kind in _MODULES:
        reader: Reader = _module(kind).read
        return reader
    if kind not in plugin_kinds():
        raise SourceError(f"no reader of kind '{kind}'")
    plugin: Reader = plugin_kinds()[kind].load()
    return plugin


def _module(kind: str) -> ModuleType:
    return importlib.import_module(f"{__package__}.{_MODULES[kind]}")


def state_of(entry: DatasetEntry, data_dir: Path | None) -> list[object]:
    """Describe the user's files that decide the pixels, by names, sizes and times: changes when they do."""
    sources = [source for source in entry.sources if source.startswith("directory")]
    places = [place for source in sources for place in places_of(source, entry, data_dir)]
    try:
        state = _state(entry, places)
    except OSError as error:  # reading them will say so
        state = str(error)
    return [DECODING, FORMATS, entry.sources, [str(place) for place in places], state]


def _state(entry: DatasetEntry, places: Sequence[Path]) -> str:
    if entry.kind == "torchvision":  # published once, checked by torchvision's checksums where it has them
        return ""
    if entry.kind in _MODULES:
        state: str = _module(entry.kind).state(entry, places)
        return state
    digest = hashlib.sha256(folder.state(entry, places).encode())
    for file in filter(Path.is_file, places):
        digest.update(f"{file}".encode() + stamp(file.stat()))
    return digest.hexdigest()
