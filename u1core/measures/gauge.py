"""The unit-channel gauge: what a ReLU network computes does not say how large a channel is.

A channel times s > 0 and the weights that read it divided by s are the same network, with other energies and
another medial vector. With every channel at root mean square 1 both give the same figures.
Shapes: B images, N channels.
"""

from __future__ import annotations

import torch
from torch import Tensor

SILENT = 1e-6
"""Channels below this share of the median root mean square are left out: rounding, scaled up to one."""


class ChannelSizes:
    """Sums up the squares of every channel of one layer, in float64, over batches of any size."""

    def __init__(self) -> None:
        self._squares, self._places = torch.zeros((), dtype=torch.float64), 0

    def add(self, activations: Tensor) -> None:
        """Take a batch, (B, N, H, W) or (B, N)."""
        values = activations.transpose(0, 1).flatten(1)  # (N, B H W)
        self._squares = self._squares.to(values.device) + values.double().square().sum(1)
        self._places += values.shape[1]

    def unit_scales(self) -> Tensor:
        """Return the factors that bring channels to root mean square 1 over all images and places.

        Returns:
            (N,), float64; 0 for a silent channel, which then adds nothing to any sum (N stays what it is).
        """
        sizes = (self._squares / self._places).sqrt()
        is_heard = (sizes > 0) & (sizes >= SILENT * sizes.median())
        return torch.where(is_heard, 1 / sizes, 0.0)


def scaled(activations: Tensor, scales: Tensor) -> Tensor:
    """Multiply every channel of (B, N, ...) by its factor (N,).

    Example:
        >>> scaled(torch.ones(1, 2, 1, 2), torch.tensor([0.5, 2.0])).flatten().tolist()
        [0.5, 0.5, 2.0, 2.0]
    """
    return activations * scales.to(activations.dtype).view(-1, *[1] * (activations.ndim - 2))
