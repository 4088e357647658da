"""Augmentation that keeps the label: pictures shifted by up to an eighth, and mirrored where they may be.

He et al. (2016), section 4.2: 4 pixels of 32, padded with zeros, and mirrored.
Shapes: B pictures of S x S pixels with C colours.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from u1core.catalog.entries import DatasetEntry

_WRITING = frozenset(
    {"MNIST", "EMNIST", "KMNIST", "QMNIST", "USPS", "SVHN", "Omniglot", "RenderedSST2", "GTSRB"}
)
"""torchvision's sets of characters and signs."""


def may_mirror(task: DatasetEntry) -> bool:
    """Tell whether a mirrored picture still shows its class: not characters, and not places of a phantom."""
    named = task.options.get("class", "")
    return task.kind not in ("digits", "phantom") and named not in _WRITING


def shift_and_mirror(pictures: Tensor, draw: torch.Generator, *, mirror: bool) -> Tensor:
    """Shift every picture by whole pixels, and mirror every second one.

    Args:
        pictures: (B, S, S, C), uint8.
        draw: On the CPU.
        mirror: Whether to mirror at all.

    Returns:
        (B, S, S, C), uint8.
    """
    count, side = pictures.shape[:2]
    pad = side // 8
    padded = functional.pad(pictures, (0, 0, pad, pad, pad, pad))
    top, left = torch.randint(0, 2 * pad + 1, (2, count), generator=draw)
    across = torch.arange(side).expand(count, side)
    if mirror:
        mirrored = torch.rand(count, generator=draw) < 0.5
        across = torch.where(mirrored[:, None], across.flip(1), across)
    rows = (top[:, None] + torch.arange(side)).to(pictures.device)  # (B, S)
    columns = (left[:, None] + across).to(pictures.device)
    images = torch.arange(count, device=pictures.device)[:, None, None]
    return padded[images, rows[:, :, None], columns[:, None, :]]
