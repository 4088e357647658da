"""`pixels:luminance`: no network at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from u1core.catalog.entries import Preprocessing
from u1core.images.resize import luminance
from u1core.networks.sources.source import ModelSource


class Pixels(nn.Module):
    """No network at all: the pictures' own luminance, what any model's angles are compared with."""

    def __init__(self) -> None:
        super().__init__()
        self.luminance = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map pictures (B, 3, H, W) in [0, 1] to their luminance (B, 1, H, W)."""
        return cast(Tensor, self.luminance(luminance(x)))


class NoNetwork(ModelSource):
    """The baseline without a network."""

    def names(self) -> Sequence[str]:
        """Return the one way to look at pictures."""
        return ("luminance",)

    def build(self, name: str, tag: str = "", classes: int | None = None) -> nn.Module:
        """Build the module that has no parameters."""
        return Pixels()

    def default_preprocessing(self, name: str) -> Preprocessing:
        """Return 32 x 32 pictures in [0, 1]."""
        return Preprocessing(32, 1.0, "bilinear", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
