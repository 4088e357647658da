"""`small_cnn:<channels>`: three convolutions for pictures of about 28 pixels.

Shapes: B images, N channels at the bottleneck, H x W positions, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from u1core.catalog.entries import Preprocessing
from u1core.networks.sources.source import ModelSource


class SmallCnn(nn.Module):
    """Three stages of 3 x 3 convolution, batch norm and ReLU, global average, linear.

    N/4, N/2 and N channels at all, half and a quarter of the resolution: 28, 14 and 7 pixels.

    Args:
        channels: N.
        classes: K.
    """

    def __init__(self, channels: int, classes: int = 10) -> None:
        super().__init__()
        widths = (3, channels // 4, channels // 2, channels)
        self.stage1, self.stage2, self.stage3 = (
            nn.Sequential(nn.Conv2d(a, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in pairwise(widths)
        )
        self.pool = nn.MaxPool2d(2)
        self.linear = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map pictures (B, 3, H, W) to logits (B, K)."""
        x = self.pool(self.stage1(x))
        x = self.stage3(self.pool(self.stage2(x)))
        return cast(Tensor, self.linear(x.mean((2, 3))))


class SmallCnns(ModelSource):
    """The three convolutions, by the channels of the last."""

    def names(self) -> Sequence[str]:
        """Return some widths; every multiple of four is known."""
        return ("32", "64", "128")

    def knows(self, name: str) -> bool:
        """Tell whether this is a number of channels."""
        return name.isdecimal() and int(name) >= 8 and int(name) % 4 == 0

    def build(self, name: str, tag: str = "", classes: int | None = None) -> nn.Module:
        """Build the network; ten classes unless told otherwise."""
        return SmallCnn(int(name), classes or 10)

    def default_preprocessing(self, name: str) -> Preprocessing:
        """Return 28 x 28 pictures, grey values from -1 to 1."""
        return Preprocessing(28, 1.0, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
