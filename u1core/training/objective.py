"""The point of the plane that a network gives an image, and the loss on it.

Shapes: B images, N channels at the bottleneck, H x W positions, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from u1core.networks.outputs import class_of
from u1core.training.arms import Arm

SITES = ("head", "bottleneck")


class Centre(nn.Module):
    """Subtracts the mean over images, as batch norm does, and leaves the scale of every channel alone.

    While training the mean is the batch's; then it is the running one.

    Args:
        channels: N.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))

    def forward(self, pooled: Tensor) -> Tensor:
        """Map vectors (B, N) to vectors (B, N)."""
        if not self.training:
            return pooled - self.get_buffer("mean")
        mean = pooled.mean(dim=0)
        self.get_buffer("mean").lerp_(mean.detach(), 0.1)
        return pooled - mean


class PlaneHead(nn.Module):
    """Reads a point of the plane from the pooled bottleneck p = mean of A over (x,y), about its mean.

    theta_feature is an angle about the mean, too (`u1core.measures.frames`). Without that all images begin at
    one angle, that of the mean, which a step of the optimiser can only turn as a whole. 'head' has a linear
    layer of two outputs. 'bottleneck' has no parameter: it projects p onto a fixed plane orthogonal to the
    medial vector (1,...,1), so that the point's angle is one about the principal ray.

    Args:
        channels: N; at least 3, for a plane beside the medial vector.
        site: One of SITES.
        seed: Of the layer's weights, or of the plane; nothing else is drawn from.
    """

    def __init__(self, channels: int, site: str, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.centre = Centre(channels)
        self.plane_is_fixed = site == "bottleneck"
        if site == "head":
            self.linear = nn.Linear(channels, 2)
            bound = channels**-0.5  # torch's own default, from a generator of its own
            for parameter in self.linear.parameters():
                nn.init.uniform_(parameter, -bound, bound, generator=draw)
            return
        drawn = torch.randn(channels, 2, generator=draw, dtype=torch.float64)
        plane, _ = torch.linalg.qr(drawn - drawn.mean(dim=0))
        self.register_buffer("plane", plane.float())

    def forward(self, maps: Tensor) -> Tensor:
        """Map activations (B, N, H, W) to points (B, 2)."""
        pooled: Tensor = self.centre(maps.float().mean((2, 3)))
        points: Tensor = pooled @ self.get_buffer("plane") if self.plane_is_fixed else self.linear(pooled)
        return points


def circle_loss(points: Tensor, targets: Tensor) -> Tensor:
    """Return 1 - cos(theta_hat - theta_c) per image: arXiv 2206.02220's U(1) label as a loss.

    It lies in [0, 2] and is half the squared distance of the two points brought to the unit circle.

    Args:
        points: theta_hat is their angle, (B, 2).
        targets: cos and sin of theta_c, (B, 2).

    Returns:
        (B,).
    """
    return 1 - functional.cosine_similarity(points, targets, dim=1)


def plane_loss(points: Tensor, targets: Tensor) -> Tensor:
    """Return half the squared distance of points, (B, 2) each, per image: the same without the circle."""
    return (points - targets).square().sum(dim=1) / 2


def point_loss(arm: Arm, points: Tensor, targets: Tensor) -> Tensor:
    """Return the arm's loss on points, (B,)."""
    return (plane_loss if arm.point == "plane" else circle_loss)(points, targets)


def nearest_angle(points: Tensor, of_classes: Tensor) -> Tensor:
    """Return the class whose planned point lies at the smallest angle.

    Args:
        points: (B, 2).
        of_classes: On the unit circle, (K, 2).

    Returns:
        Class indices, (B,); -1 where a point is not finite.
    """
    return class_of(points @ of_classes.T)
