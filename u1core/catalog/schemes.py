"""Who brings networks, by the scheme of `<scheme>:<name>`: names only, nothing of theirs is imported."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

MODEL_GROUP = "u1sweep.models"
"""Entry points of this group are sources of networks."""

BUILT_IN_SCHEMES = ("timm", "torchvision", "cifar_resnet", "small_cnn", "pixels", "code")
"""Of the sources that come with this package; a plugin can't replace them."""


@functools.cache
def plugin_sources() -> Mapping[str, EntryPoint]:
    """Find the sources of networks that installed packages add, by scheme."""
    points = entry_points(group=MODEL_GROUP)
    return {point.name: point for point in points if point.name not in BUILT_IN_SCHEMES}


def schemes() -> tuple[str, ...]:
    """Return the schemes that have a source, built-in ones first."""
    return (*BUILT_IN_SCHEMES, *plugin_sources())
