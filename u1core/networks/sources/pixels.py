"""`pixels:luminance` and `pixels:bank`: no network at all.

Shapes: B pictures of H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from u1core.catalog.entries import Preprocessing
from u1core.images.resize import luminance
from u1core.networks.sources.source import ModelSource

BANK = ("luminance", "edges", "saturation", "deviation", "dark", "red", "blue")
"""The pixel bank: each a map whose square is an energy of the picture, and a layer of the model `bank`."""


class Pixels(nn.Module):
    """No network at all: the pictures' own luminance, what any model's angles are compared with."""

    def __init__(self) -> None:
        super().__init__()
        self.luminance = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map pictures (B, 3, H, W) in [0, 1] to their luminance (B, 1, H, W)."""
        return cast(Tensor, self.luminance(luminance(x)))


class PixelBank(nn.Module):
    """No network but what is cheap to see in a picture: seven maps, each a layer, and all of them together.

    Luminance Y; edges |grad Y|, central differences, the edge repeated; saturation max - min of the colours
    (HSV's chroma); deviation |colour - mean colour| / sqrt(3); darkness 1 - Y; red; blue. All lie in [0, 1].
    """

    def __init__(self) -> None:
        super().__init__()
        for name in (*BANK, "bank"):
            self.add_module(name, nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        """Map pictures (B, 3, H, W) in [0, 1] to seven maps (B, 7, H, W)."""
        light = luminance(x)
        around = pad(light, (1, 1, 1, 1), mode="replicate")
        across = (around[:, :, 1:-1, 2:] - around[:, :, 1:-1, :-2]) / 2
        along = (around[:, :, 2:, 1:-1] - around[:, :, :-2, 1:-1]) / 2
        deviation = x - x.mean(dim=(2, 3), keepdim=True)
        maps = (
            light,
            torch.hypot(across, along),
            x.amax(dim=1, keepdim=True) - x.amin(dim=1, keepdim=True),
            torch.linalg.vector_norm(deviation, dim=1, keepdim=True) / 3**0.5,
            (1 - light).clamp_min(0),
            x[:, :1],
            x[:, 2:],
        )
        seen = [self.get_submodule(name)(values) for name, values in zip(BANK, maps, strict=True)]
        return cast(Tensor, self.get_submodule("bank")(torch.cat(seen, dim=1)))


_WAYS = {"luminance": Pixels, "bank": PixelBank}


class NoNetwork(ModelSource):
    """The baselines without a network."""

    def names(self) -> Sequence[str]:
        """Return the ways to look at pictures."""
        return tuple(_WAYS)

    def build(self, name: str, tag: str = "", classes: int | None = None) -> nn.Module:
        """Build the module that has no parameters."""
        return _WAYS[name]()

    def default_preprocessing(self, name: str) -> Preprocessing:
        """Return 32 x 32 pictures in [0, 1]."""
        return Preprocessing(32, 1.0, "bilinear", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
