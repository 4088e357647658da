"""Optics of activation maps: energy, dipole, encircled energy, anisotropy, radial profile, Sombrero fit.

Shape legend: B images, N channels, H x W pixels, J radii, K rings.

Lengths are half images and pixels sit as in `u1core.measures.pixel_grid`. Angles are radians in (-pi, pi].
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from u1core.measures.focus import Focus
from u1core.measures.pixel_grid import CORNER_RADIUS, coordinates

RADII = np.linspace(0.0, CORNER_RADIUS, 129)
"""Radii at which encircled energy is tabulated, in half images: (J,)."""

CENTRE_RADIUS = 0.5
"""Radius of the disc that `centre_density_ratio` compares with the whole image, in half images."""


FLOAT32_NORMS = (2.0**-50, 2.0**63)
"""Norms whose squares, and those of all that adds to them, float32 holds."""


CONSTANT = 1e-24
"""Share of its squares below which the spread of a map over its pixels is rounding noise."""


class _Plane(NamedTuple):
    """What every map of one resolution shares, as float64 matrices over flattened pixels."""

    functionals: np.ndarray  # (6, HW): 1, x, y, x^2 - y^2, 2xy, r^2
    sombrero: np.ndarray  # (3, HW): least squares for a, b, c; NaN where they are not determined
    annuli: np.ndarray  # (HW, J): share of the pixel's area between each radius and the one before
    ring_of_pixel: np.ndarray  # (HW,) ring index; a ring is the pixels of one exact radius
    ring_size: np.ndarray  # (K,) pixels of each ring
    ring_radius: np.ndarray  # (K,) half images


@lru_cache(maxsize=64)
def _plane(height: int, width: int) -> _Plane:
    x, y = (c.ravel() for c in coordinates(height, width))
    r2 = x * x + y * y
    functionals = np.stack([np.ones_like(x), x, y, x * x - y * y, 2 * x * y, r2])
    ring_r2, ring, size = np.unique(r2.round(9), return_inverse=True, return_counts=True)
    sombrero = np.linalg.pinv(_quartic(r2)) if len(ring_r2) >= 3 else np.full((3, r2.size), np.nan)
    return _Plane(
        functionals, sombrero, _area_between(height, width), ring, size.astype(float), np.sqrt(ring_r2)
    )


def _quartic(r2: np.ndarray) -> np.ndarray:
    """Return the design matrix (HW, 3) of E(r) = a - b r^2 + c r^4."""
    return np.stack([np.ones_like(r2), -r2, r2**2], axis=1)


def _area_between(height: int, width: int) -> np.ndarray:
    """Return the share of each pixel's area that lies between each of RADII and the one before, (HW, J).

    A pixel is a square of uniform energy, sampled finely, so that EE50 of uniform light is
    sqrt(2/pi) at every resolution and layers compare.
    """
    s = max(1, math.ceil(384 / min(height, width)))
    x, y = coordinates(height * s, width * s)
    first_radius = np.searchsorted(RADII, np.hypot(x, y).ravel())
    rows, columns = np.divmod(np.arange(height * s * width * s), width * s)
    pixel = (rows // s) * width + columns // s
    counts = np.bincount(pixel * RADII.size + first_radius, minlength=height * width * RADII.size)
    return counts.reshape(height * width, RADII.size) / s**2


class _Operators(NamedTuple):
    """The plane's matrices on a device: what is mostly zeros is sparse."""

    linear: Tensor  # (9, HW): functionals, then the Sombrero's
    annuli: Tensor  # (J, HW), sparse: a pixel of a large map reaches into two or three
    rings: Tensor  # (K, HW), sparse: 1 where a pixel belongs to a ring
    ring_size: Tensor  # (K, 1)


@lru_cache(maxsize=128)
def _operators(height: int, width: int, device: torch.device) -> _Operators:
    plane = _plane(height, width)
    pixels = torch.arange(height * width)
    where = torch.stack([torch.from_numpy(plane.ring_of_pixel), pixels])
    ones = torch.ones(len(pixels), dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls its CSR tensors beta, once per process
        rings = torch.sparse_coo_tensor(where, ones, (len(plane.ring_size), len(pixels))).to_sparse_csr()
        annuli = torch.from_numpy(plane.annuli.T.copy()).to_sparse_csr()
        linear = torch.from_numpy(np.concatenate([plane.functionals, plane.sombrero]))
        ring_size = torch.from_numpy(plane.ring_size)[:, None]
        return _Operators(*(t.to(device) for t in (linear, annuli, rings, ring_size)))


def energy(activations: Tensor, dim: int = 1) -> Tensor:
    """Return E(x,y) = sum_n A_n(x,y)^2: arXiv 2206.02220's energy, ||I(x,y,t)||^2.

    Squares are summed in float32, whatever the precision of the forward pass. As a norm this takes one pass
    over memory, a sixth of the time of squaring first. Where float32 does not hold the squares, they are
    summed again in float64; on a GPU, which an answer would stop, they are 0 or infinite.

    Args:
        activations: A, (B, N, H, W), any floating type.
        dim: Which dimension the channels are.

    Returns:
        float64, (B, H, W), activation^2.

    Example:
        >>> A = torch.zeros(1, 3, 2, 2)
        >>> A[0, :, 0, 1] = torch.tensor([3.0, 4.0, 0.0])
        >>> energy(A).tolist()
        [[[0.0, 25.0], [0.0, 0.0]]]
    """
    norm: Tensor = torch.linalg.vector_norm(activations, dim=dim, dtype=torch.float32)
    energy = norm.square().double()
    if norm.device.type == "cpu":
        low, high = FLOAT32_NORMS
        outside = ~((norm > low) & (norm < high))
        if outside.any():
            energy[outside] = activations.movedim(dim, -1)[outside].double().square().sum(dim=1)
    return energy


def dipole(energy_map: Tensor) -> Tensor:
    """Return the energy centroid alone, where nothing else of `focus` is asked for.

    Args:
        energy_map: E(x,y) >= 0, (..., H, W).

    Returns:
        d as (x, y), float64, (..., 2), half images; NaN of a map without energy.

    Example:
        >>> dipole(torch.tensor([[0.0, 25.0], [0.0, 0.0]])).tolist()
        [0.5, 0.5]
    """
    x, y = coordinates(*energy_map.shape[-2:])
    columns, rows = (energy_map.sum(dim, dtype=torch.float64) for dim in (-2, -1))
    across, along = (torch.from_numpy(c.copy()).to(energy_map.device) for c in (x[0], y[:, 0]))
    return torch.stack([columns @ across, rows @ along], dim=-1) / columns.sum(-1, keepdim=True)


def focus(energy_map: Tensor) -> Focus:
    """Measure energy maps.

    Args:
        energy_map: E(x,y) >= 0, float64, (B, H, W).

    Returns:
        The measures of docs/method.md, 'In the image plane'. A map without energy has NaN for everything but
        the total: a centroid of nothing is not the origin.

    Example:
        One bright pixel of four, at x = y = 1/2: d = 1/2 + i/2, (x+iy)^2 = i/2, r^2 = 1/2.

        >>> f = focus(torch.tensor([[[0.0, 25.0], [0.0, 0.0]]], dtype=torch.float64))
        >>> [x.item() for x in (f.energy_total, f.dipole_x, f.dipole_y, f.quadrupole_x, f.quadrupole_y)]
        [25.0, 0.5, 0.5, 0.0, 1.0]
        >>> round(f.anisotropy.item(), 6)  # four pixels of one radius: all of it is angular
        1.0

        Uniform light: half of the energy lies within sqrt(2/pi), as dense in the centre as anywhere.

        >>> f = focus(torch.ones(1, 8, 8, dtype=torch.float64))
        >>> round(f.ee50_radius.item(), 2), round(f.centre_density_ratio.item(), 2)
        (0.8, 1.0)
    """
    _, height, width = energy_map.shape
    device = energy_map.device
    # Pixels first: a sparse product reads them four times as fast where the images lie side by side.
    columns = energy_map.flatten(1).T.contiguous()  # (HW, B)
    operators = _operators(height, width, device)
    total, mx, my, qx, qy, second, a, b, c = (operators.linear @ columns).unbind()
    curve = (operators.annuli @ columns).T.cumsum(dim=1) / total[:, None]  # (B, J)
    centre = _interpolate(curve, CENTRE_RADIUS) / (math.pi * CENTRE_RADIUS**2 / 4)
    return Focus(
        energy_total=total,
        dipole_x=mx / total,
        dipole_y=my / total,
        quadrupole_x=qx / second,
        quadrupole_y=qy / second,
        ee50_radius=_encircling_radius(curve, 0.5),
        ee80_radius=_encircling_radius(curve, 0.8),
        centre_density_ratio=centre,
        anisotropy=_anisotropy(columns, operators),
        sombrero_a=a,
        sombrero_b=b,
        sombrero_c=c,
    )


def _interpolate(curve: Tensor, radius: float) -> Tensor:
    """Return the encircled energy (B,) at one radius from its table (B, J)."""
    j = int(np.searchsorted(RADII, radius))
    weight = float((radius - RADII[j - 1]) / (RADII[j] - RADII[j - 1]))
    return curve[:, j - 1] * (1 - weight) + curve[:, j] * weight


def _encircling_radius(curve: Tensor, share: float) -> Tensor:
    """Return the radius (B,) at which the encircled energy (B, J), linear between RADII, is `share`."""
    radii = torch.from_numpy(RADII).to(curve.device)
    j = (curve < share).sum(dim=1).clamp(1, RADII.size - 1)
    low, high = (curve.gather(1, k[:, None])[:, 0] for k in (j - 1, j))
    return radii[j - 1] + (radii[j] - radii[j - 1]) * (share - low) / (high - low)


def _anisotropy(columns: Tensor, operators: _Operators) -> Tensor:
    """Return the within-ring share (B,) of the variance over pixels of maps (HW, B)."""
    centred = columns - columns.mean(dim=0)
    spread = torch.linalg.vector_norm(centred, dim=0).square()
    ring_sums = operators.rings @ centred  # (K, B)
    within = spread - (ring_sums.square() / operators.ring_size).sum(dim=0)
    # Rounding noise of a constant map is not structure.
    constant = spread <= CONSTANT * torch.linalg.vector_norm(columns, dim=0).square()
    return torch.where(constant, torch.nan, within.clamp_min(0.0) / spread)


def radial_profile(mean_energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean energy on each ring: the pixels of one exact radius.

    Args:
        mean_energy: E, (H, W).

    Returns:
        Ring radii (K,) in half images, rising, and the mean energy on each ring (K,).

    Example:
        >>> radius, profile = radial_profile(np.array([[1.0, 0.0, 3.0], [0.0, 8.0, 0.0], [3.0, 0.0, 1.0]]))
        >>> (radius**2 * 9).round(6).tolist(), profile.tolist()
        ([0.0, 4.0, 8.0], [8.0, 0.0, 2.0])
    """
    plane = _plane(*mean_energy.shape)
    return plane.ring_radius, np.bincount(plane.ring_of_pixel, mean_energy.ravel()) / plane.ring_size


@dataclass(frozen=True)
class Sombrero:
    """Least-squares fit of E(r) = a - b r^2 + c r^4, the quartic potential of arXiv 2206.02220's "Sombrero".

    Attributes:
        a: Energy on the optical axis.
        b: Curvature at the axis: positive for a peak there.
        c: Quartic term: positive when the energy rises again outwards.
        trough_radius: sqrt(b / 2c), where the curve is lowest, half images; None unless b, c > 0.
        r_squared: Share of the variance over pixels that the fit explains.

    A constant map has neither curvature nor trough, and no variance to explain: b = c = 0, None for the rest.
    """

    a: float
    b: float
    c: float
    trough_radius: float | None
    r_squared: float | None


def fit_sombrero(mean_energy: np.ndarray) -> Sombrero:
    """Fit the Sombrero to every pixel of a mean energy map with equal weights.

    The fit is linear in the map, so the coefficients of a mean map are the means of the images' own: their
    standard errors are taken over images (sql/views/cells/sombrero.sql), not over pixels, whose residuals are
    lack of fit. Below three distinct radii (maps under 3 x 3) nothing is determined: NaN, None for the rest.

    Args:
        mean_energy: E, (H, W).

    Example:
        >>> x, y = coordinates(9, 9)
        >>> r2 = x**2 + y**2
        >>> fit = fit_sombrero(5 - 4 * r2 + 8 * r2**2)  # lowest at r^2 = b / 2c = 1/4
        >>> [round(value, 6) for value in (fit.a, fit.b, fit.c, fit.trough_radius, fit.r_squared)]
        [5.0, 4.0, 8.0, 0.5, 1.0]
        >>> fit_sombrero(r2).trough_radius is None
        True
    """
    plane = _plane(*mean_energy.shape)
    values = mean_energy.ravel()
    a, b, c = plane.sombrero @ values
    spread = np.square(values - values.mean()).sum()
    if np.isfinite(a) and spread <= CONSTANT * np.square(values).sum():
        return Sombrero(float(values.mean()), 0.0, 0.0, None, None)
    x, y = coordinates(*mean_energy.shape)
    residual = np.square(values - _quartic((x * x + y * y).ravel()) @ (a, b, c)).sum()
    trough = math.sqrt(b / (2 * c)) if b > 0 and c > 0 else None
    explained = float(1 - residual / spread) if spread > 0 and np.isfinite(residual) else None
    return Sombrero(float(a), float(b), float(c), trough, explained)
