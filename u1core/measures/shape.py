"""Is a mean energy map a Sombrero, or does a plainer radial curve do as well on images that it never saw?

Shape legend: B images, H x W pixels, R rings: the pixels of one exact radius. Curves are fitted to the mean
map of one half of the images and asked about the mean map of the other: a Sombrero holds a parabola in it,
so on the images that it was fitted to it is never worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from u1core.measures.optics import radial_profile
from u1core.measures.pixel_grid import coordinates

FLAT = 1e-5
"""Range of a map over its mean below which it has no shape: what float32 and resizing leave of a constant."""

MIN_RADII = 5
"""Distinct radii below which three numbers explain nearly any curve."""

GROUPS = 20
"""Groups of images that are left out in turn, for standard errors."""

WIDTHS = np.geomspace(0.05, 20.0, 400)
"""Standard deviations that are tried for a Gaussian, in half images: finer than a pixel of 40 to flat."""


def mixed(number: np.ndarray) -> np.ndarray:
    """Return a hash of each whole number, (B,) uint64, the same everywhere.

    The mixing of splitmix64 (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195): neighbouring ids, of
    which data sets make classes and films, fall independently.

    Args:
        number: (B,), at least 0.

    Example:
        >>> hex(mixed(np.array([0]))[0])  # the generator's first number from seed 0
        '0xe220a8397b1dcdaf'
    """
    with np.errstate(over="ignore"):
        z = number.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: np.ndarray = z ^ (z >> np.uint64(31))
    return found


def half_of(image_id: np.ndarray) -> np.ndarray:
    """Return the half, 0 or 1, that each image belongs to: a hash of its id, so alike in every cell.

    Args:
        image_id: (B,), at least 0.

    Example:
        >>> half_of(np.arange(8)).tolist()
        [1, 1, 0, 1, 0, 0, 0, 1]
    """
    half: np.ndarray = (mixed(image_id) & np.uint64(1)).astype(np.int64)
    return half


@dataclass(frozen=True)
class Shape:
    """What curves fitted to one half of the images say of the mean map of the other.

    Attributes:
        radii: Distinct radii of the map's pixels.
        is_flat: One of the two maps has no shape: nothing else is said.
        sombrero_r_squared: Share of the held-out map's variance over pixels that a - b r^2 + c r^4 explains.
        parabola_r_squared: The same of a - b r^2.
        gaussian_r_squared: The same of a Gaussian and an offset, o + g exp(-r^2 / 2 s^2).
        trough_radius: sqrt(b / 2c) of the fitted Sombrero, half images; None unless b, c > 0.
        fall: b over the mean of the fitted map: above 0 the fitted Sombrero falls from the centre.
        turn: (2c - b) over that mean, half its slope over r^2 at r = 1: above 0 it has turned by then.
    """

    radii: int
    is_flat: bool
    sombrero_r_squared: float | None = None
    parabola_r_squared: float | None = None
    gaussian_r_squared: float | None = None
    trough_radius: float | None = None
    fall: float | None = None
    turn: float | None = None

    @property
    def gain(self) -> float | None:
        """Held-out R^2 of the Sombrero less the better one of the plainer curves."""
        shares = (self.sombrero_r_squared, self.parabola_r_squared, self.gaussian_r_squared)
        sombrero, parabola, gaussian = (np.nan if share is None else share for share in shares)
        return None if self.sombrero_r_squared is None else sombrero - max(parabola, gaussian)


def is_flat(mean_energy: np.ndarray) -> bool:
    """Tell whether a map (H, W) is constant but for rounding.

    Example:
        >>> is_flat(np.full((3, 3), 0.1)), is_flat(np.array([[1.0, 1.1]]))
        (True, False)
    """
    return bool(np.ptp(mean_energy) <= FLAT * abs(mean_energy.mean()))


def compare_shapes(fitted: np.ndarray, held_out: np.ndarray) -> Shape:
    """Fit curves to one half of the images and try them on the other.

    Args:
        fitted: E of one half, mean map, (H, W).
        held_out: E of the other half, mean map, (H, W).

    Returns:
        The shape. R^2 is over pixels of equal weight, as everywhere; below 0 a constant would do better.

    Example:
        >>> y, x = np.mgrid[-3:4, -3:4] / 3
        >>> found = compare_shapes(3 - x**2 - y**2, 3 - x**2 - y**2)
        >>> found.is_flat, round(found.parabola_r_squared, 6), found.trough_radius
        (False, 1.0, None)
    """
    radius, profile = radial_profile(fitted)
    flat = is_flat(fitted) or is_flat(held_out)
    if flat or len(radius) < MIN_RADII:
        return Shape(len(radius), flat)
    ring = _rings(fitted.shape)
    weight = np.sqrt(np.bincount(ring.ravel()))
    quartic, parabola = _quartic(radius), _quartic(radius)[:, :2]
    a, b, c = _least_squares(quartic, profile, weight)
    curves = (
        quartic @ (a, b, c),
        parabola @ _least_squares(parabola, profile, weight),
        _gaussian(radius, profile, weight),
    )
    spread = np.square(held_out - held_out.mean()).sum()
    sombrero, plain, bell = (float(1 - np.square(held_out - y[ring]).sum() / spread) for y in curves)
    trough = float(np.sqrt(b / (2 * c))) if b > 0 and c > 0 else None
    fall, turn = (float(slope / fitted.mean()) for slope in (b, 2 * c - b))
    return Shape(len(radius), False, sombrero, plain, bell, trough, fall, turn)


def shared_anisotropy(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return the share of the variance over pixels that is angular, within rings, in both halves alike.

    Products of the two halves in place of squares: noise of the halves is independent and adds nothing on
    average, where the anisotropy of one mean map of few images is noise.

    Args:
        first: E of one half, mean map, (H, W).
        second: Of the other.

    Returns:
        The share; None where the halves have no variance in common.

    Example:
        >>> tilted = np.array([[1.0, 2.0, 1.0]]), np.array([[1.0, 2.0, 3.0]])
        >>> shared_anisotropy(tilted[0], tilted[0]), round(shared_anisotropy(tilted[1], tilted[1]), 6)
        (0.0, 1.0)
    """
    ring = _rings(first.shape).ravel()
    size = np.bincount(ring)
    centred = [(half - half.mean()).ravel() for half in (first, second)]
    radial = [(np.bincount(ring, weights=half) / size)[ring] for half in centred]
    total = float(centred[0] @ centred[1])
    angular = float((centred[0] - radial[0]) @ (centred[1] - radial[1]))
    return angular / total if total > 0 else None


def group_of(image_id: np.ndarray) -> np.ndarray:
    """Return which of GROUPS each image belongs to, independent of its half: another part of the same hash.

    Args:
        image_id: (B,), at least 0.

    Example:
        >>> group_of(np.arange(6)).tolist()
        [7, 12, 15, 6, 9, 9]
    """
    group: np.ndarray = ((mixed(image_id) >> np.uint64(1)) % np.uint64(GROUPS)).astype(np.int64)
    return group


def jackknife_error(left_out: Sequence[float | None]) -> float | None:
    """Return the standard error of a figure from its values with one group of images left out.

    The delete-a-group jackknife (Kott 2001, Journal of Official Statistics 17, 521): the square root of
    (G - 1) / G times the sum of squares about their mean. It has G - 1 degrees of freedom.

    Args:
        left_out: Of G groups; None where the figure is undefined without one, and then so is its error.

    Example:
        >>> jackknife_error([1.0, 3.0]), jackknife_error([1.0, None]), jackknife_error([1.0])
        (1.0, None, None)
    """
    if len(left_out) < 2 or None in left_out:
        return None
    values = np.array(left_out, dtype=np.float64)
    return float(np.sqrt((len(values) - 1) * values.var()))


def rise_weights(shape: tuple[int, int], trough_radius: float) -> np.ndarray | None:
    """Return what times E, summed, is its rise: mean beyond the trough's ring - mean of that ring.

    The trough's ring is the one whose radius is nearest.

    Args:
        shape: H, W.
        trough_radius: Half images.

    Returns:
        (H, W); None where no pixel lies beyond that ring.

    Example:
        >>> (12 * rise_weights((3, 3), 0.7)).round(6).tolist()  # rings of radius 0, 2/3 and 0.94
        [[3.0, -3.0, 3.0], [-3.0, 0.0, -3.0], [3.0, -3.0, 3.0]]
    """
    x, y = coordinates(*shape)
    ring = _rings(shape)
    trough = ring.flat[np.abs(np.hypot(x, y) - trough_radius).argmin()]
    beyond, on = ring > trough, ring == trough
    return beyond / beyond.sum() - on / on.sum() if beyond.any() else None


def share_of_means(part: np.ndarray, whole: np.ndarray) -> tuple[float, float | None]:
    """Return the ratio of two means over images and its standard error, by the delta method.

    Args:
        part: (B,).
        whole: (B,), of the same images.

    Example:
        >>> share_of_means(np.array([1.0, 3.0]), np.array([4.0, 4.0]))  # 2/4, sd sqrt(2) / sqrt(2) / 4
        (0.5, 0.25)
    """
    share = part.mean() / whole.mean()
    scatter = (part - share * whole) / whole.mean()
    return float(share), float(scatter.std(ddof=1) / np.sqrt(len(scatter))) if len(scatter) > 1 else None


def _rings(shape: tuple[int, ...]) -> np.ndarray:
    """Return which ring each pixel (H, W) belongs to, rings ordered as `radial_profile` has them."""
    x, y = coordinates(*shape)
    ring: np.ndarray = np.unique((x * x + y * y).round(9), return_inverse=True)[1].reshape(shape)
    return ring


def _quartic(radius: np.ndarray) -> np.ndarray:
    """Return the design matrix (R, 3) of a - b r^2 + c r^4; its first two columns are the parabola's."""
    return np.stack([np.ones_like(radius), -(radius**2), radius**4], axis=1)


def _least_squares(design: np.ndarray, profile: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Fit ring means (R,), each as often as its ring has pixels: the fit over all pixels."""
    found: np.ndarray = np.linalg.lstsq(design * weight[:, None], profile * weight, rcond=None)[0]
    return found


def _gaussian(radius: np.ndarray, profile: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the best o + g exp(-r^2 / 2 s^2) on the rings (R,).

    Offset and height follow from the width (Golub and Pereyra 1973, doi:10.1137/0710036), which is tried.
    """
    bell = np.exp(-(radius**2) / (2 * WIDTHS[:, None] ** 2))  # (S, R)
    share = weight**2 / np.square(weight).sum()
    bell_mean, mean = bell @ share, profile @ share
    centred = bell - bell_mean[:, None]
    height = centred @ (share * (profile - mean)) / (np.square(centred) @ share)
    curves = mean + height[:, None] * centred
    best: np.ndarray = curves[(np.square(curves - profile) @ share).argmin()]
    return best
