"""The medial decomposition of pooled activations: axial part, chroma and polar angle.

Shape legend: B images, N channels. u = (1,...,1)/sqrt(N) is the medial vector, the principal ray in
activation space. For N = 3 these are luminance, hue vector and saturation (docs/method.md, 'In activation
space').
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Medial(NamedTuple):
    """Decomposition of pooled vectors p about the medial vector u."""

    norm: np.ndarray  # (B,) |p|
    axial: np.ndarray  # (B,) <p, u>
    chroma: np.ndarray  # (B, N) h = (p - <p,u> u) / |p|; NaN where p = 0
    polar_angle_rad: np.ndarray  # (B,) atan2(|p_perp|, <p,u>) in [0, pi]; NaN where p = 0


def decompose(pooled: np.ndarray) -> Medial:
    """Split pooled vectors into their medial (grey) and perpendicular (chromatic) parts.

    Args:
        pooled: p, (B, N), N >= 1. Computed in float64.

    Returns:
        The decomposition. In the positive orthant polar_angle_rad is at most arccos(1/sqrt(N)).
        A zero vector has no direction: its chroma and polar angle are NaN.

    Example:
        A grey vector, one of a single channel, and none:

        >>> parts = decompose(np.array([[3.0, 3.0, 3.0, 3.0], [2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]))
        >>> parts.norm.tolist(), parts.axial.tolist()
        ([6.0, 2.0, 0.0], [6.0, 1.0, 0.0])
        >>> np.degrees(parts.polar_angle_rad).round(6).tolist()  # arccos(1 / sqrt(4)) = 60
        [0.0, 60.0, nan]
        >>> parts.chroma[1].tolist()
        [0.75, -0.25, -0.25, -0.25]
    """
    p = np.asarray(pooled, dtype=np.float64)
    root_n = np.sqrt(p.shape[1])
    axial = p.sum(axis=1) / root_n
    perpendicular = p - (axial / root_n)[:, None]
    norm = np.linalg.norm(p, axis=1)
    alive = np.where(norm > 0, norm, np.nan)
    polar = np.arctan2(np.linalg.norm(perpendicular, axis=1), axial)
    return Medial(norm, axial, perpendicular / alive[:, None], np.where(norm > 0, polar, np.nan))
