"""What the head of a network predicts: how many classes, and what they are called.

Shape legend: K classes.
"""

from __future__ import annotations

import functools
from typing import Any

import torch

from u1core.catalog.catalog import Catalog
from u1core.catalog.entries import ModelEntry
from u1core.networks.build import build_shapes
from u1core.networks.preprocess import preprocessing_of
from u1core.networks.taps import Taps

_IMAGENETS = {"imagenet1k": "imagenet-1k", "imagenet22k": "imagenet-22k"}
"""What timm calls the label spaces that no data set of the catalog names, by our names."""


def class_names_of(entry: ModelEntry, catalog: Catalog) -> tuple[str, ...]:
    """Name the classes of a head, by index: as its entry does, else as the catalog's data set of its labels.

    Returns:
        K names; none where nobody says.
    """
    if entry.class_names:
        return entry.class_names
    known = [d for d in catalog.datasets.values() if d.label_space == entry.label_space and d.class_names]
    known.sort(key=lambda dataset: dataset.id != entry.label_space)  # the one that the space is called by
    return known[0].class_names if known else ()


def vocabularies(entry: ModelEntry) -> tuple[tuple[str, ...], ...]:
    """Return the names by which data sets may know the classes of a head, by index: ImageNet has three."""
    if entry.class_names:
        return (entry.class_names,)
    if entry.label_space not in _IMAGENETS:
        return ()
    return _of_imagenet(entry.label_space)


@functools.cache
def _of_imagenet(label_space: str) -> tuple[tuple[str, ...], ...]:
    """Return synsets (n01440764) and words of an ImageNet, and for 1,000 classes torchvision's words."""
    from timm.data import imagenet_info

    info: Any = imagenet_info.ImageNetInfo(_IMAGENETS[label_space])
    numbers = range(info.num_classes())
    found = [tuple(map(info.index_to_label_name, numbers)), tuple(map(info.index_to_description, numbers))]
    if label_space == "imagenet1k":
        from torchvision.models import ResNet18_Weights

        found.append(tuple(ResNet18_Weights.IMAGENET1K_V1.meta["categories"]))
    return tuple(found)


@functools.lru_cache(maxsize=256)
def head_width(entry: ModelEntry) -> int | None:
    """Count the classes K of a resolved entry's head, on the meta device; None where it gives no (B, K)."""
    size = preprocessing_of(entry).size
    taps = Taps(build_shapes(entry).eval(), (), entry.head or "")
    with torch.no_grad():
        logits = taps(torch.zeros(2, 3, size, size, device="meta"))["head"]
    return logits.shape[1] if logits.ndim == 2 else None
