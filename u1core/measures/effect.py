"""The corrected effect of classes on an angle, for angles that no table holds.

sql/views/classes/class_bias.sql is the same in SQL, over all layers of a lake; a test keeps them equal.
Shape legend: n images, K classes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SATURATED_CLASSES = 10
"""Classes from which on the largest W that ranks allow is taken for 2 n."""


class Effect(NamedTuple):
    """How far classes sit at angles of their own.

    Attributes:
        n: Images with an angle.
        classes: Classes with an angle.
        corrected: (W - nu) / (2 n - nu), below ten classes as a share of the most that ranks allow; None
            where there is no W (fewer than two classes, all angles one) and where every class is one image.
        error: Its standard error; None where the effect is, and with two images.
    """

    n: int
    classes: int
    corrected: float | None
    error: float | None


def corrected_effect(angle_rad: np.ndarray, label: np.ndarray) -> Effect:
    """Return the corrected effect of the uniform scores test and its jackknife error (docs/method.md).

    W is Mardia-Watson-Wheeler's (Mardia 1972), average ranks on ties; the jackknife is less what it counts
    twice (Efron and Stein 1981).

    Args:
        angle_rad: (n,), NaN where an image has no angle.
        label: (n,).

    Example:
        W = 4 and nu = 8/3 give 1/4 of what is left, of which two classes can have (2 / pi)^2.

        >>> effect = corrected_effect(np.array([0.0, 0.1, 3.0, 3.1]), np.array([0, 0, 1, 1]))
        >>> effect.n, effect.classes, round(effect.corrected * 4 * (2 / np.pi) ** 2, 12)
        (4, 2, 1.0)
    """
    known = np.isfinite(angle_rad)
    names, index = np.unique(label[known], return_inverse=True)
    n, classes = len(index), len(names)
    if classes < 2 or np.ptp(angle_rad[known]) == 0:
        return Effect(n, classes, None, None)
    score = _scores(angle_rad[known])
    size = np.bincount(index).astype(np.float64)
    cosine, sine, squares, products = (
        np.bincount(index, weights)
        for weights in (score.real, score.imag, score.real**2, score.real * score.imag)
    )
    total = 2 * float(((cosine**2 + sine**2) / size).sum())
    null_mean = _null_mean(n, classes, float(cosine.sum() ** 2 + sine.sum() ** 2))
    room = 2 * n - null_mean
    if room <= 0:
        return Effect(n, classes, None, None)
    headroom = room * _ceiling(size, n)
    effect = (total - null_mean) / headroom
    if n < 3:
        return Effect(n, classes, effect, None)
    scatter = 1 - min(1.0, max(0.0, (total - null_mean) / room))
    null_variance = _null_variance(n, classes, float((1 / size).sum()))
    jackknife = _jackknife(size, cosine, sine, squares, products)
    variance = max(null_variance, jackknife - scatter**2 * null_variance)
    return Effect(n, classes, effect, float(np.sqrt(variance)) / headroom)


def _scores(angle_rad: np.ndarray) -> np.ndarray:
    """Return e^(2 pi i rank / n) of all images together, average ranks on ties."""
    ordered = np.sort(angle_rad)
    least, greatest = (np.searchsorted(ordered, angle_rad, side) for side in ("left", "right"))
    rank = (least + 1 + greatest) / 2
    scores: np.ndarray = np.exp(2j * np.pi / len(ordered) * rank)
    return scores


def _null_mean(n: int, classes: int, resultant_square: float) -> float:
    """Return the mean of W when labels are dealt at random (macro mww_null_mean)."""
    return 2 * (classes + (n - classes) * (resultant_square / n - 1) / (n - 1))


def _null_variance(n: int, classes: int, reciprocals: float) -> float:
    """Return its variance (macro mww_null_variance)."""
    within = n * (n - 1.0) * (classes - 1 - reciprocals) + n + classes * (classes - 2.0)
    return 4.0 * n * within / ((n - 2.0) * (n - 1.0) ** 2)


def _ceiling(size: np.ndarray, n: int) -> float:
    """Return the largest W / (2 n) that ranks allow (macro mww_ceiling)."""
    if len(size) >= SATURATED_CLASSES:
        return 1.0
    return float((n / (size * np.pi**2) * np.sin(np.pi * size / n) ** 2).sum())


def _jackknife(
    size: np.ndarray, cosine: np.ndarray, sine: np.ndarray, squares: np.ndarray, products: np.ndarray
) -> float:
    """Return the jackknife variance of W at fixed ranks, of the sums (K,) of each class.

    Without image z a class of n loses 2 (|S|^2 + n) / (n (n - 1)) - 4 / (n - 1) Re(conj(S) z), from its mean.
    """
    n, square = size.sum(), cosine**2 + sine**2
    spread = cosine**2 * squares + 2 * cosine * sine * products + sine**2 * (size - squares)
    slope = np.where(size > 1, 4 / np.maximum(size - 1, 1), 0.0)
    level = slope * (square + size) / (2 * size)
    shift = (size * level - slope * square).sum()
    shift_squares = (size * level**2 - 2 * level * slope * square + slope**2 * spread).sum()
    return float((1 - 1 / n) * (shift_squares - shift**2 / n))
