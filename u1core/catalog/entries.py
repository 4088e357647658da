"""Entries of the sweep catalog: one network, one labelled image set."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preprocessing:
    """What happens to a picture before the network sees it.

    The shorter side is resized to floor(size / crop_pct) pixels, the centre cropped to size x size, grey
    values divided by 255, then (value - mean) / std per channel.
    """

    size: int
    crop_pct: float
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class ModelEntry:
    """One network: where its code and weights come from, and the layers t that are recorded.

    `preprocessing` is None where it belongs to torchvision's weights enum; `head` is None where the
    network's output is the logits.
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
    description: str = ""

    @property
    def has_weights(self) -> bool:
        """Whether this is a network; False for the model-free baseline `pixels`."""
        return self.weights != "none"

    def identity(self) -> dict[str, str]:
        """Say what makes the activations of this network reproducible, for a cell's key; opens no file.

        Returns:
            architecture, weights, sha256, preprocessing (JSON, keys sorted) and layers (JSON).

        Raises:
            U1Error: torchvision has no such weights.
        """
        if self.preprocessing is None:
            numbers = _enum_preprocessing(self.weights)
        else:
            numbers = json.dumps(asdict(self.preprocessing), sort_keys=True)
        return {
            "architecture": self.architecture,
            "weights": self.weights,
            "sha256": self.sha256,
            "preprocessing": numbers,
            "layers": json.dumps(self.layers),
        }


@dataclass(frozen=True)
class DatasetEntry:
    """One labelled image set: its sources in the order they are tried, and what proves them right.

    `class_names` is empty for folders (the folders name the classes); `fingerprint`, `images_memory` and
    `images_query` are None where nothing is promised.
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


@functools.cache
def _enum_preprocessing(weights: str) -> str:
    """Ask a torchvision weights enum for its preprocessing, as JSON with sorted keys."""
    from u1core.networks import torchvision_weights

    transform = torchvision_weights(weights).transforms()
    names = ("crop_size", "resize_size", "mean", "std", "interpolation", "antialias")
    numbers = {name: getattr(transform, name) for name in names}
    return json.dumps(numbers, sort_keys=True, default=lambda value: getattr(value, "value", str(value)))
