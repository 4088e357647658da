"""Entries of the sweep catalog: one network, one labelled image set."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

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
        numbers = asdict(self)
        if self.crop_mode == "center":
            del numbers["crop_mode"]
        return json.dumps(numbers, sort_keys=True)


@dataclass(frozen=True)
class ModelEntry:
    """One network: where its code and weights come from, and the layers t that are recorded.

    What an entry leaves out, `u1core.networks.resolve` fills in: `layers` (empty), `bottleneck` (empty),
    `label_space` (empty) and `preprocessing` (None; it stays None where it belongs to torchvision's weights
    enum). `sha256` is empty where nobody promised it: `u1core.weights.pin` asks the file. `head` is None
    where the network's output is the logits. `objective` is the arm of `u1 train` that the weights were
    trained by, 'onehot' for networks that learned nothing but classes. `code_version` is of the user's own
    code, filled in too.
    """

    id: str
    architecture: str
    weights: str
    sha256: str
    preprocessing: Preprocessing | None
    layers: tuple[str, ...]
    bottleneck: str
    head: str | None
    label_space: str
    objective: str = "onehot"
    description: str = ""
    code_version: str = ""

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

    def identity(self) -> dict[str, str]:
        """Say what makes the activations of this network reproducible, for a cell's key; opens no file.

        Returns:
            architecture, weights, sha256, preprocessing (JSON, keys sorted) and layers (JSON).

        Raises:
            U1Error: torchvision has no such weights.
        """
        numbers = self.preprocessing
        return {
            "architecture": self.architecture + (f"#{self.code_version[:16]}" if self.code_version else ""),
            "weights": self.weights,
            "sha256": self.sha256,
            "preprocessing": _enum_preprocessing(self.weights) if numbers is None else numbers.to_json(),
            "layers": json.dumps(self.layers),
        }


@dataclass(frozen=True)
class DatasetEntry:
    """One labelled image set: its sources in the order they are tried, and what proves them right.

    `class_names` is empty where the classes come with the pictures; `fingerprint`, `images_memory` and
    `images_query` are None where nothing is promised. `options` belong to the kind.
    """

    id: str
    kind: str
    sources: tuple[str, ...]
    class_names: tuple[str, ...]
    label_space: str
    fingerprint: str | None
    images_memory: int | None
    images_query: int | None
    options: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""

    @property
    def origin(self) -> tuple[str, ...]:
        """Where it comes from: kind and place."""
        return self.kind, str(self.options.get("path") or self.options.get("class") or self.sources)


@functools.cache
def _enum_preprocessing(weights: str) -> str:
    """Ask a torchvision weights enum for its preprocessing, as JSON with sorted keys."""
    from u1core.zoo.torchvision_models import weights_enum

    transform = weights_enum(weights).transforms()
    names = ("crop_size", "resize_size", "mean", "std", "interpolation", "antialias")
    numbers = {name: getattr(transform, name) for name in names}
    return json.dumps(numbers, sort_keys=True, default=lambda value: getattr(value, "value", str(value)))
