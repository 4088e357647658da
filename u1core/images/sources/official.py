"""The classification sets of torchvision.datasets, from a folder that holds them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from u1core.catalog.entries import DatasetEntry
from u1core.catalog.torchvision_sets import Arguments, split_arguments
from u1core.images.sources.download import accepted_arguments
from u1core.images.sources.labels import Label, distinct_names, number_labels, settled
from u1core.images.sources.listing import (
    UNLABELLED,
    Content,
    Labels,
    Listing,
    Picture,
    SourceError,
    repeat,
)

_Set = Any  # a data set of torchvision, which has no types
Pairs = Iterable[tuple[Any, Any]]  # path, label


@dataclass(frozen=True)
class _Part:
    """One split as torchvision gives it; `names` is empty where the labels are all there is."""

    pictures: list[Picture]
    labels: Labels
    names: tuple[str, ...]


def read(entry: DatasetEntry, places: Sequence[Path]) -> Listing:
    """List a torchvision data set: memory and query by its official splits, else to be halved.

    options.class names the class, options.arguments its usual arguments (not root, download, loader and
    transforms); an argument that names one split gives that part alone, to be halved.

    Raises:
        SourceError: torchvision finds it in none of the places, or there is no label per picture.
    """
    name, given = entry.options["class"], entry.options.get("arguments", {})
    if not places and name != "FakeData":
        raise SourceError("no directory given and U1_DATA is not set")
    reasons = []
    for root in places or [Path()]:
        try:
            return _join([_read_part(name, root, arguments) for arguments in split_arguments(name, given)])
        except Exception as error:  # torchvision has as many ways to say no as it has data sets
            reasons.append(f"{root}: {error}")
    raise SourceError(" | ".join(reasons))


def _read_part(name: str, root: Path, arguments: Arguments) -> _Part:
    dataset = _construct(name, root, arguments)
    if name in _FILES or hasattr(dataset, "loader") or hasattr(dataset, "_loader"):
        pairs = _FILES[name](dataset) if name in _FILES else (dataset[i] for i in range(len(dataset)))
        # Sorted, for some sets come in the order in which the system lists a folder.
        found = sorted((str(path), _as_label(label)) for path, label in pairs)
        pictures = [Picture(os.path.relpath(path, root), Path(path)) for path, _ in found]
        labels = [label for _, label in found]
    else:
        labels = [_as_label(label) for label in _labels(name, dataset)]
        pictures = [Picture(f"number {i}", partial(_take, dataset, i)) for i in range(len(dataset))]
    names, numbers = _names(name, dataset, labels), np.array(labels, dtype=np.int64)
    if name == "Omniglot":  # numbers its characters in the order in which the system lists their folders
        names, numbers = number_labels([names[label] for label in labels])
    return _Part(pictures, numbers, names)


def _construct(name: str, root: Path, arguments: Arguments) -> _Set:
    """Open a data set that is there; the loader gives paths, so that we decode.

    Writes nothing, but ImageNet unpacks its archives where they lie.
    """
    from torchvision import datasets

    accepted = accepted_arguments(name)
    needed = root / name.lower() if name in _MAKES_FOLDER else root
    if "root" in accepted and not needed.is_dir():
        raise SourceError("no such folder" if needed == root else f"no folder {needed.name}")
    fixed = {"root": str(root), "download": False, "loader": _keep}
    fixed = {argument: value for argument, value in fixed.items() if argument in accepted}
    return getattr(datasets, name)(**fixed, **arguments)


_MAKES_FOLDER = ("Caltech101", "Caltech256")
"""Classes that make an empty folder of their name where they look for it."""


def _keep(path: str | Path) -> str | Path:
    return path


def _take(dataset: _Set, index: int) -> Content:
    content: Content = dataset[index][0]
    return content


def _as_label(label: object) -> int:
    try:
        number = int(label)  # type: ignore[call-overload]
        is_whole = float(label) == number  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise SourceError(f"one number per picture is needed as its label, not {label!r}") from error
    if not is_whole:
        raise SourceError(f"one number per picture is needed as its label, not {label!r}")
    return int(number)


def _labels(name: str, dataset: _Set) -> Iterable[Any]:
    if name == "PCAM":  # opens two files per picture
        file = dataset._FILES[dataset._split]["targets"][0]
        with dataset.h5py.File(dataset._base_folder / file) as targets:
            return list(targets["y"][:, 0, 0, 0])
    return (dataset[i][1] for i in range(len(dataset)))


def _caltech101(d: _Set) -> Pairs:
    folder = Path(d.root, "101_ObjectCategories")
    return ((folder / d.categories[y] / f"image_{i:04d}.jpg", y) for y, i in zip(d.y, d.index, strict=True))


def _caltech256(d: _Set) -> Pairs:
    folder = Path(d.root, "256_ObjectCategories")
    return (
        (folder / d.categories[y] / f"{y + 1:03d}_{i:04d}.jpg", y) for y, i in zip(d.y, d.index, strict=True)
    )


def _celeba(d: _Set) -> Pairs:
    if d.target_type != ["identity"]:
        raise SourceError("of CelebA's targets only 'identity' is one label per picture")
    folder = Path(d.root, d.base_folder, "img_align_celeba")
    return ((folder / name, person) for name, person in zip(d.filename, d.identity[:, 0], strict=True))


def _pets(d: _Set) -> Pairs:
    labels = {"category": d._labels, "binary-category": d._bin_labels}
    if len(d._target_types) != 1 or d._target_types[0] not in labels:
        raise SourceError("of the pets' targets 'category' and 'binary-category' are one label per picture")
    return zip(d._images, labels[d._target_types[0]], strict=True)


_FILES: dict[str, Callable[[_Set], Pairs]] = {
    "Caltech101": _caltech101,
    "Caltech256": _caltech256,
    "CelebA": _celeba,
    "GTSRB": lambda d: d._samples,
    "OxfordIIITPet": _pets,
}
"""Paths and labels of the classes that take no loader: they would stop at the first damaged file."""


def _names(name: str, dataset: _Set, labels: Sequence[int]) -> tuple[str, ...]:
    """Find the names of the classes, by label; none where the set has none."""
    names: Iterable[Any] = ()
    if name == "INaturalist":
        target = dataset.target_type[0]
        names = [dataset.category_name(target, label) for label in range(max(labels, default=-1) + 1)]
    elif getattr(dataset, "_target_types", None) == ["binary-category"]:
        names = dataset.bin_classes
    else:
        attributes = ("classes", "categories", "_characters", "class_to_idx")
        names = next(
            (getattr(dataset, attribute) for attribute in attributes if hasattr(dataset, attribute)), ()
        )
    words = [", ".join(n) if isinstance(n, tuple) else str(n) for n in names]
    known = [label for label in labels if label != UNLABELLED]
    covers = bool(known) and min(known) >= 0 and max(known) < len(words)
    return distinct_names(words) if covers else ()


def _join(parts: Sequence[_Part]) -> Listing:
    """Lay memory before query, under one numbering of the classes."""
    labels = np.concatenate([part.labels for part in parts])
    names = {part.names for part in parts}
    if len(names) == 1 and names != {()}:
        (class_names,) = names
    else:  # without names, or one split lacks classes of the other, so its numbers mean others
        given = [_as_class(label, part.names, names) for part in parts for label in part.labels.tolist()]
        class_names, labels = number_labels(settled(given))
    is_query = np.repeat(np.arange(len(parts)) == 1, [len(part.labels) for part in parts])
    pictures = repeat(picture for part in parts for picture in part.pictures)
    of_split = is_query if len(parts) == 2 else None
    return Listing(class_names, labels.astype(np.int64), pictures, of_split).labelled()


def _as_class(label: int, names: tuple[str, ...], of_all: Set[tuple[str, ...]]) -> Label:
    """Name the class of a number of one split, or leave the number where no split has names."""
    if names:
        return None if label == UNLABELLED else names[label]
    return label if of_all == {()} else str(label)
