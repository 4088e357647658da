"""Generated images with a known answer: class c sits at a planted angle.

A picture is one elongated bright Gaussian blob on mid-grey, at angle phi and radius rho from the image
centre, its long axis tied to phi. Mid-grey is the zero of the usual normalisations, so zero padding draws
no frame around the picture.

Shapes: n images, C classes, S pixels along a side.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import vonmises

from u1core.catalog import DatasetEntry
from u1core.errors import U1Error

Reals = npt.NDArray[np.float64]

_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0


def planted_angles(entry: DatasetEntry) -> Reals:
    """Give the angle planted in every class: theta_c = 2 pi c / C - offset, in (-pi, pi].

    Args:
        entry: A dataset of kind 'phantom'.

    Returns:
        Angles in radians, shape (C,). For a null entry they are the angles its classes would have had.

    Raises:
        U1Error: The entry is of another kind.
    """
    if entry.kind != "phantom":
        raise U1Error("a dataset of kind 'phantom'", f"'{entry.id}' of kind '{entry.kind}'", "only phantoms have them")
    classes = len(entry.class_names)
    angles = 2.0 * np.pi * np.arange(classes) / classes - np.deg2rad(float(entry.options["offset_deg"]))
    return wrap(angles)


def wrap(angle_rad: Reals) -> Reals:
    """Bring angles in radians into (-pi, pi]."""
    wrapped: Reals = np.pi - np.mod(np.pi - angle_rad, 2.0 * np.pi)
    return wrapped


def antithetic_quantiles(n: int) -> Reals:
    """Spread n probabilities over (0, 1) so that every even prefix is symmetric about 1/2.

    Pairs (v, 1-v) along a base-2 van der Corput sequence v in (0, 1/2): quantile functions of symmetric
    distributions then have an exactly zero mean over every even prefix.

    Args:
        n: How many.

    Returns:
        Probabilities, shape (n,).
    """
    index = np.arange(n) // 2 + 1
    low, scale = np.zeros(n), 0.5
    while index.any():
        low += scale * (index % 2)
        index, scale = index // 2, scale / 2.0
    half = low / 2.0
    return np.where(np.arange(n) % 2 == 0, half, 1.0 - half)


def draw_blobs(angles_rad: Reals, radii: Reals, options: dict[str, float], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Paint one blob per picture.

    Args:
        angles_rad: Angle of each blob about the image centre, radians, shape (n,).
        radii: Distance of each blob from the centre, in half images, shape (n,).
        options: size (pixels), sigma_radial and sigma_tangential (half images), background and contrast
            (grey values), noise (grey values, standard deviation).
        rng: Source of the noise.

    Returns:
        Grey pictures, shape (n, S, S, 1).
    """
    size = int(options["size"])
    axis = (2.0 * np.arange(size) + 1.0) / size - 1.0
    x, y = axis[None, None, :], -axis[None, :, None]
    cos, sin = np.cos(angles_rad)[:, None, None], np.sin(angles_rad)[:, None, None]
    radial = (x * cos + y * sin - radii[:, None, None]) / options["sigma_radial"]
    tangential = (y * cos - x * sin) / options["sigma_tangential"]
    blob = np.exp(-0.5 * (radial**2 + tangential**2))
    noise = rng.standard_normal((len(angles_rad), size, size)) * options["noise"]
    grey = options["background"] + options["contrast"] * blob + noise
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)[..., None]
