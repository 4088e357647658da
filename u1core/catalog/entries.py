"""Entries of the sweep catalog: one network, one labelled image set."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from u1core.catalog.fields import told_of

OBJECTIVES = ("onehot", "onehot+u1", "u1", "onehot+shuffled", "onehot+plane", "onehot+smoothing")
"""What weights can have been trained by: the arms of `u1 train`."""

MAX_ID = 200
"""Characters of an id: it names folders of the lake, whose names end at 255 bytes."""


@dataclass(frozen=True)
class Preprocessing:
    """What happens to a picture before the network sees it.

    The shorter side is resized to floor(size / crop_pct) pixels (both sides, with `crop_mode` 'squash'), the
    centre cropped to size x size, grey values divided by 255, then (value - mean) / std per channel.
    """

    size: int
    crop_pct: float
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop_mode: str = "center"

    def to_json(self) -> str:
        """Return the numbers as JSON with sorted keys; 'center', which came first, goes without saying."""
        return json.dumps(told_of(self), sort_keys=True)


@dataclass(frozen=True)
class ModelEntry:
    """One network: where its code and weights come from, and the layers t that are recorded.

    What an entry leaves out, `u1core.networks.resolve` fills in: `layers` (empty), `bottleneck` (empty),
    `label_space` (empty) and `preprocessing` (None; it stays None where it belongs to torchvision's weights
    enum). `sha256` is empty where nobody promised it: `networks.weights.pin` asks the file. `head` is None
    where the network's output is the logits, `class_names` what they stand for, by index; empty, those of the
    catalog's data set of the same `label_space`. `objective` is the arm of `u1 train` that the weights were
    trained by, 'onehot' for networks that learned nothing but classes. `code_version` is of the user's own
    code, filled in too. `family` is what it is one witness of, whatever its size; left out, `family_of` asks
    the architecture. It is no part of a cell's key.
    """

    id: str
    architecture: str
    weights: str
    sha256: str = ""
    preprocessing: Preprocessing | None = None
    layers: tuple[str, ...] = ()
    bottleneck: str = ""
    head: str | None = None
    label_space: str = ""
    objective: str = "onehot"
    description: str = ""
    code_version: str = ""
    class_names: tuple[str, ...] = ()
    family: str = ""

    @property
    def origin(self) -> tuple[str, ...]:
        """Where it comes from: architecture and weights."""
        return self.architecture, self.weights

    @property
    def is_baseline(self) -> bool:
        """Whether this is no network at all but the pictures themselves."""
        return self.architecture.startswith("pixels:")

    @property
    def has_weights(self) -> bool:
        """Whether there are trained weights; False for the baseline and for networks left at random."""
        return self.weights != "none"


_STEM = re.compile(r"([a-z]+?)(?:v\d|[vxyz]?_|\d|$)")
_RECIPES = re.compile(r"^(tf|gluon|legacy|wide|cifar)_")


def family_of(entry: ModelEntry) -> str | None:
    """Say which family a network belongs to: sizes, versions and recipes of one design are one witness.

    Returns:
        What the entry says, else the stem of an architecture of torchvision, timm or this package; None where
        nobody can know: code of the user's own, and the pictures alone.

    Example:
        >>> names = ("timm:tf_efficientnetv2_s", "torchvision:wide_resnet50_2", "timm:regnety_002")
        >>> [family_of(ModelEntry("m", name, "none")) for name in (*names, "cifar_resnet:20", "code:a:B")]
        ['efficientnet', 'resnet', 'regnet', 'resnet', None]
    """
    scheme, _, name = entry.architecture.partition(":")
    if scheme in ("cifar_resnet", "small_cnn"):
        name = scheme
    elif scheme not in ("timm", "torchvision"):
        return entry.family or None
    stem = _STEM.match(_RECIPES.sub("", name.lower()))
    return entry.family or (stem[1] if stem else name)


@dataclass(frozen=True)
class DatasetEntry:
    """One labelled image set: its sources in the order they are tried, and what proves them right.

    `class_names` is empty where the classes come with the pictures; `fingerprint`, `images_memory` and
    `images_query` are None where nothing is promised. `options` belong to the kind.
    """

    id: str
    kind: str
    sources: tuple[str, ...]
    class_names: tuple[str, ...] = ()
    label_space: str = ""
    fingerprint: str | None = None
    images_memory: int | None = None
    images_query: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""

    @property
    def origin(self) -> tuple[str, ...]:
        """Where it comes from: kind and place."""
        return self.kind, str(self.options.get("path") or self.options.get("class") or self.sources)
