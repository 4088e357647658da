"""Who brings networks, by the scheme of `<scheme>:<name>`: places only, nothing of theirs is imported."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

MODEL_GROUP = "u1sweep.models"
"""Entry points of this group are sources of networks."""

BUILT_IN_SOURCES = MappingProxyType(
    {
        scheme: EntryPoint(scheme, f"u1core.networks.sources.{place}", MODEL_GROUP)
        for scheme, place in {
            "timm": "timm_models:Timm",
            "torchvision": "torchvision_models:Torchvision",
            "cifar_resnet": "cifar_resnet:CifarResNets",
            "small_cnn": "small_cnn:SmallCnns",
            "pixels": "pixels:NoNetwork",
            "code": "user_code:UserCode",
        }.items()
    }
)
"""Sources that come with this package."""


@functools.cache
def sources() -> Mapping[str, EntryPoint]:
    """Return every source of networks by its scheme, built-in ones first; a plugin can't replace them."""
    plugins = {point.name: point for point in entry_points(group=MODEL_GROUP)}
    return MappingProxyType({**BUILT_IN_SOURCES, **plugins, **BUILT_IN_SOURCES})


def schemes() -> tuple[str, ...]:
    """Return the schemes that have a source, built-in ones first."""
    return tuple(sources())
