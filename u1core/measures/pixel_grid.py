"""The pixel grid: where pixels sit and how long lengths are, the same at every resolution.

One convention holds everywhere (docs/method.md): pixel (row p, column q) sits at
x = (2q+1)/W - 1, y = 1 - (2p+1)/H, so the image fills [-1, 1]^2, x to the right, y up. Lengths are in half
images.
"""

from __future__ import annotations

import math

import numpy as np

CORNER_RADIUS = math.sqrt(2.0)
"""The largest radius in the image, in half images."""

UNIFORM_EE50_RADIUS = math.sqrt(2.0 / math.pi)
"""EE50 of uniformly spread energy: pi r^2 is half of the image's area 4."""


def coordinates(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixel coordinates x and y, each (H, W), in half images, y up.

    Args:
        height: H.
        width: W.

    Example:
        >>> x, y = coordinates(2, 4)
        >>> x[0].tolist(), y[:, 0].tolist()
        ([-0.75, -0.25, 0.25, 0.75], [0.5, -0.5])
    """
    x = (2 * np.arange(width) + 1) / width - 1
    y = 1 - (2 * np.arange(height) + 1) / height
    return np.broadcast_to(x, (height, width)), np.broadcast_to(y[:, None], (height, width))
