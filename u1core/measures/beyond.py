"""What of a network's dipole is beyond the pixel bank: the rest after the best quadratic function of it.

Shape legend: B images, M maps of the bank, P terms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from u1core.measures.frames import direction

ROUNDING = 1e-5
"""Dipoles come from float32 activations: 1e-7 of an energy is 1e-6 of a dipole's spread, and this share is
surely rounding. Singular values below this share of the largest get no coefficient, and a residual below this
share of the dipoles' spread no angle: else the red and the luminance of grey pictures would be two terms."""

IMAGES_PER_TERM = 2
"""Memory images per determined term below which nothing is fitted. Of noise, a fit to n images with r terms
leaves n / (n - r) of the variance on images it has not seen: at two images a term, twice as much."""

_BLOCK = 8192
"""Images whose terms are in memory at a time."""


@dataclass(frozen=True)
class QuadraticFit:
    """d^ = a polynomial of degree 2 in the bank's dipoles, least squares over the memory split.

    Attributes:
        n: Memory images it was fitted on.
        rank: Terms that they determine, of P = (2M + 1)(2M + 2) / 2.
        floor: Strength below which a residual is rounding, half images.
        centre: Mean of the bank's coordinates over memory, (2M,), half images.
        scale: Their standard deviation, 1 for a constant one, (2M,).
        coefficients: By term and axis, (P, 2).
    """

    n: int
    rank: int
    floor: float
    centre: np.ndarray
    scale: np.ndarray
    coefficients: np.ndarray

    def predict(self, bank: np.ndarray) -> np.ndarray:
        """Return d^ (B, 2) of the bank's dipoles (B, M, 2)."""
        coordinates = (_flat(bank) - self.centre) / self.scale
        parts = [_terms(block) @ self.coefficients for block in _blocks(coordinates)]
        return np.concatenate(parts) if parts else np.empty((0, 2))


def fit_quadratic(bank: np.ndarray, dipole: np.ndarray) -> QuadraticFit | None:
    """Fit d by least squares in float64, without a ridge (Golub and Van Loan 2013, Matrix Computations, 5.5).

    Of all coefficients that fit equally well the shortest are taken (minimum norm by singular values), after
    the bank's coordinates are brought to mean 0 and deviation 1: so a map that is a copy of another, or
    the saturation of grey pictures, changes no prediction.

    Args:
        bank: Dipoles of the bank's maps, (B, M, 2), half images; a map without energy (NaN) leans nowhere: 0.
        dipole: d of the network as (x, y), (B, 2); images without one (NaN) are left out.

    Returns:
        The fit; None with fewer than IMAGES_PER_TERM images for every term that is determined.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> bank = rng.normal(size=(50, 1, 2))
        >>> x, y = bank[:, 0].T
        >>> d = np.stack([1 + 2 * x * y, x - 3 * y**2], axis=1)
        >>> fit = fit_quadratic(bank, d)
        >>> fit.rank, bool(np.allclose(fit.predict(bank), d, atol=1e-12))
        (6, True)
    """
    valid = np.isfinite(dipole).all(axis=1)
    flat, d = _flat(bank)[valid], np.asarray(dipole, dtype=np.float64)[valid]
    if not len(flat):
        return None
    centre, spread = flat.mean(axis=0), flat.std(axis=0)
    scale = np.where(spread > ROUNDING, spread, 1.0)
    coefficients, rank = _least_squares((flat - centre) / scale, d)
    if len(flat) < IMAGES_PER_TERM * rank:
        return None
    floor = ROUNDING * float(np.sqrt(d.var(axis=0).sum()))
    return QuadraticFit(len(flat), rank, floor, centre, scale, coefficients)


def _least_squares(coordinates: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, int]:
    """Return coefficients (P, 2) and rank, by the triangle that blocks of images leave one after another.

    It has the singular values of all terms at once (Demmel, Grigori, Hoemmen and Langou 2012, SIAM Journal on
    Scientific Computing 34, A206-A239).
    """
    triangle: np.ndarray = np.empty((0, _terms(coordinates[:0]).shape[1] + 2))
    for block, of_block in zip(_blocks(coordinates), _blocks(d), strict=True):
        rows = np.concatenate([_terms(block), of_block], axis=1)
        triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, rows]), mode="r"))
    found = np.linalg.lstsq(triangle[:, :-2], triangle[:, -2:], rcond=ROUNDING)
    return found[0], int(found[2])


def _blocks(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]


def beyond_bank(fit: QuadraticFit, bank: np.ndarray, dipole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the residual theta_image = arg(d - d^) and its strength.

    Args:
        fit: Of the memory split.
        bank: (B, M, 2).
        dipole: d, (B, 2).

    Returns:
        Angles (B,), radians in (-pi, pi], NaN where only rounding is left; strengths (B,), half images.

    Example:
        >>> bank = np.random.default_rng(0).normal(size=(40, 1, 2))
        >>> fit = fit_quadratic(bank, bank[:, 0] ** 2)
        >>> angle, strength = beyond_bank(fit, bank[:1], bank[:1, 0] ** 2 + [0.0, 1.0])
        >>> round(float(angle[0]), 6), round(float(strength[0]), 6)
        (1.570796, 1.0)
    """
    angle, strength = direction(dipole - fit.predict(bank))
    return np.where(strength > fit.floor, angle, np.nan), strength


def _flat(bank: np.ndarray) -> np.ndarray:
    """Return the coordinates of all maps side by side, (B, 2M), those of maps without energy 0."""
    images, maps, axes = np.shape(bank)
    return np.nan_to_num(np.asarray(bank, dtype=np.float64)).reshape(images, maps * axes)


def _terms(coordinates: np.ndarray) -> np.ndarray:
    """Return 1, every coordinate and every product of two, (B, P), of coordinates (B, 2M)."""
    first, second = np.triu_indices(coordinates.shape[1])
    products = coordinates[:, first] * coordinates[:, second]
    return np.concatenate([np.ones((len(coordinates), 1)), coordinates, products], axis=1)
