"""`cifar_resnet:<6n+2>`: the ResNets of He et al. (2016) for 32 x 32 pictures.

Shapes: B images, N channels, H x W positions, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from u1core.catalog.entries import Preprocessing
from u1core.common.errors import U1Error
from u1core.networks.sources.source import ModelSource


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut without parameters (option A of He et al. 2016, section 3.3).

    Where the resolution halves and the channels double, the shortcut takes every second pixel and pads
    the new channels with zeros, half of them on either side.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.stride, self.padding = stride, (channels_out - channels_in) // 2

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, H, W) to (B, N', H/stride, W/stride), non-negative."""
        residual = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.padding:
            strided = x[:, :, :: self.stride, :: self.stride]
            x = functional.pad(strided, (0, 0, 0, 0, self.padding, self.padding))
        return functional.relu(residual + x)


class CifarResNet(nn.Module):
    """ResNet of depth 6n+2 for 32 x 32 pictures: He et al. (2016), section 4.2.

    Three stages of n blocks with 16, 32 and 64 channels at 32, 16 and 8 pixels, global average, linear.

    Args:
        depth: 6n+2: 20, 32, 44, ...
        classes: K.

    Raises:
        U1Error: No such depth.
    """

    def __init__(self, depth: int, classes: int = 10) -> None:
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise U1Error("a depth of 6n+2", str(depth), "take 20, 32, 44, 56 or 110")
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, 1, blocks)
        self.layer2 = _stage(16, 32, 2, blocks)
        self.layer3 = _stage(32, 64, 2, blocks)
        self.linear = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map pictures (B, 3, 32, 32) to logits (B, K)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return cast(Tensor, self.linear(x.mean((2, 3))))


def _stage(channels_in: int, channels_out: int, stride: int, blocks: int) -> nn.Sequential:
    rest = [BasicBlock(channels_out, channels_out, 1) for _ in range(blocks - 1)]
    return nn.Sequential(BasicBlock(channels_in, channels_out, stride), *rest)


class CifarResNets(ModelSource):
    """The ResNets of the CIFAR family, by depth."""

    def names(self) -> Sequence[str]:
        """Return the depths of the paper; others of the form 6n+2 are known too."""
        return ("20", "32", "44", "56", "110")

    def knows(self, name: str) -> bool:
        """Tell whether this is a depth."""
        return name.isdecimal() and int(name) >= 8 and int(name) % 6 == 2

    def build(self, name: str, tag: str = "", classes: int | None = None) -> nn.Module:
        """Build the network; ten classes unless told otherwise."""
        return CifarResNet(int(name), classes or 10)

    def default_preprocessing(self, name: str) -> Preprocessing:
        """Return 32 x 32 pictures, normalised as they usually are in this family."""
        return Preprocessing(32, 1.0, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
