"""`torchvision:<name>` and `torchvision:<name>@<WEIGHTS>`: classification networks of torchvision."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torchvision import models

from u1core.catalog.entries import Preprocessing
from u1core.networks.sources.files import UrlFile
from u1core.networks.sources.registry import published
from u1core.networks.sources.source import ModelSource, Weights

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

# get_model() adds transform_input only beside weights; without it the same weights give another network.
_OF_INCEPTION = {"transform_input": True, "init_weights": True}
_OPTIONS: dict[str, dict[str, Any]] = {"googlenet": _OF_INCEPTION, "inception_v3": _OF_INCEPTION}

# DenseNet's files are older than the rule that the name of a module holds no dot.
_DOTTED = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")

_SHA256 = re.compile(r"-([0-9a-f]{8,64})\.")


class Torchvision(ModelSource):
    """The classification networks of torchvision; the weights enum brings the preprocessing."""

    def names(self) -> Sequence[str]:
        """Return the classification networks."""
        names: list[str] = models.list_models(module=models)
        return names

    def build(self, name: str, tag: str = "", classes: int | None = None) -> nn.Module:
        """Build an architecture as its weights expect it."""
        options = _OPTIONS.get(name, {}) | ({} if classes is None else {"num_classes": classes})
        network: nn.Module = models.get_model(name, weights=None, **options)
        return network

    def tags(self, name: str) -> Sequence[str]:
        """Return the members of the weights enum."""
        enum = models.get_model_weights(name)
        default = [enum.DEFAULT.name] if "DEFAULT" in enum.__members__ else []
        return list(dict.fromkeys([*default, *(member.name for member in enum)]))

    def weights(self, name: str, tag: str) -> Weights:
        """Describe a member of the weights enum; the sha256 stands in the name of its file."""
        member = models.get_model_weights(name)[tag]
        found = _SHA256.search(member.url)
        sha256 = found[1] if found else ""
        classes = len(member.meta.get("categories") or ())
        label_space = {0: "none", 1000: "imagenet1k"}.get(classes, f"{classes}_classes")
        return Weights(UrlFile(member.url, sha256), label_space, sha256=sha256)

    def load(self, name: str, tag: str, state: dict[str, Tensor]) -> nn.Module:
        """Build an architecture with the tensors of its published weights."""
        for key in [key for key in state if _DOTTED.search(key)]:
            state[_DOTTED.sub(r"\1\2", key)] = state.pop(key)
        return super().load(name, tag, state)

    def default_preprocessing(self, name: str) -> Preprocessing | None:
        """Return the numbers of the default weights."""
        return next((numbers(models.get_model_weights(name)[tag]) for tag in self.tags(name)), None)


def weights_enum(weights: str) -> WeightsEnum:
    """Return the member of a weights enum: url, transforms(), meta.

    Args:
        weights: 'torchvision:<name>@<WEIGHTS>'.

    Raises:
        U1Error: torchvision has no such model or weights.
    """
    published(weights)
    name, _, tag = weights.partition(":")[2].partition("@")
    return models.get_model_weights(name)[tag]


def numbers(member: WeightsEnum) -> Preprocessing:
    """Write the preprocessing of weights down."""
    transform = member.transforms()
    (size,), (shorter,) = transform.crop_size, transform.resize_size
    return Preprocessing(
        size=size,
        # Rounded down, so that floor(size / crop_pct) gives the shorter side back.
        crop_pct=math.floor(1e6 * size / shorter) / 1e6,
        interpolation=transform.interpolation.value,
        mean=tuple(transform.mean),
        std=tuple(transform.std),
    )
