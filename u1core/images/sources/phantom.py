"""Generated images with a known answer: class c sits at a planted angle.

A picture is one elongated dark Gaussian blob on grey, at angle phi and radius rho from the image centre,
phi scattered about its class's planted angle (von Mises, concentration kappa). The blob's own orientation
is independent of the class. A network answers to a place much as to any other place, because it is
convolutional, but to an orientation as it was trained to; an orientation tied to phi would plant a second,
unknown angle. `docs/method.md` has the measurements behind the choices.

Shapes: n images, C classes, S pixels along a side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from u1core.catalog.entries import DatasetEntry
from u1core.common.errors import U1Error

Reals = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

# Recurrence steps that fill one and, together, two dimensions evenly: 1/golden ratio, 1/plastic number.
_GOLDEN = 0.6180339887498949
_PLASTIC = 0.7548776662466927


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
        raise U1Error(
            "a dataset of kind 'phantom'", f"'{entry.id}' of kind '{entry.kind}'", "only phantoms have them"
        )
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


def generate(entry: DatasetEntry) -> tuple[tuple[Pixels, Labels], tuple[Pixels, Labels]]:
    """Make the memory and the query split of a phantom; the same pixels on every machine.

    Classes take turns, so class-balanced prefixes exist at every multiple of C. Within a class the angles
    are von Mises quantiles about the planted angle along `antithetic_quantiles`; a null phantom draws every
    angle independently and uniformly, whatever the class.

    Args:
        entry: A dataset of kind 'phantom'; its options are described in catalog/catalog.toml.

    Returns:
        (pixels (n, S, S, 1), labels (n,)) of memory and of query.
    """
    memory, query = (
        _split(entry, int(count or 0), number)
        for number, count in enumerate((entry.images_memory, entry.images_query))
    )
    return memory, query


def _split(entry: DatasetEntry, n: int, number: int) -> tuple[Pixels, Labels]:
    options, classes = entry.options, len(entry.class_names)
    rng = np.random.default_rng([int(options["seed"]), number])
    labels = np.arange(n) % classes
    rank = np.arange(n) // classes
    if options["planted"]:
        from scipy.stats import vonmises  # half a second that nothing else needs

        spread = vonmises.ppf(antithetic_quantiles(n // classes + 1), float(options["kappa"]))
        angles = planted_angles(entry)[labels] + spread[rank]
    else:
        angles = rng.uniform(-np.pi, np.pi, n)
    angles = np.round(angles, 6)  # below a pixel's grey step; hides how the quantiles were iterated
    sequence = np.add(rank // 2, number / 2.0, dtype=np.float64)
    return draw_blobs(angles, sequence, options, rng), labels


def draw_blobs(
    angles_rad: Reals, sequence: Reals, options: Mapping[str, Any], rng: np.random.Generator
) -> Pixels:
    """Paint one blob per picture.

    Radius and orientation follow additive recurrences (golden and plastic ratio) along `sequence`, so
    pictures that share a place in it share them: every class sees the same set of blobs.

    Args:
        angles_rad: Angle of each blob about the image centre, radians, shape (n,).
        sequence: Place of each picture in the recurrences, shape (n,).
        options: size (pixels); radius and radius_spread, sigma_long and sigma_short (half images);
            background, contrast and noise (grey values).
        rng: Source of the noise.

    Returns:
        Grey pictures, shape (n, S, S, 1).
    """
    size = int(options["size"])
    axis = (2.0 * np.arange(size) + 1.0) / size - 1.0
    radius = options["radius"] + options["radius_spread"] * (sequence * _GOLDEN % 1.0 - 0.5)
    x = axis[None, None, :] - _columns(radius * np.cos(angles_rad))  # (n, 1, S)
    y = -axis[None, :, None] - _columns(radius * np.sin(angles_rad))  # (n, S, 1)
    tilt = _columns(np.pi * (sequence * _PLASTIC % 1.0))
    along = (x * np.cos(tilt) + y * np.sin(tilt)) / options["sigma_long"]
    across = (y * np.cos(tilt) - x * np.sin(tilt)) / options["sigma_short"]
    blob = np.exp(-0.5 * (along**2 + across**2))  # (n, S, S)
    grey = (
        options["background"]
        + options["contrast"] * blob
        + options["noise"] * rng.standard_normal(blob.shape)
    )
    pictures: Pixels = np.clip(np.rint(grey), 0, 255).astype(np.uint8)[..., None]
    return pictures


def _columns(values: Reals) -> Reals:
    return values[:, None, None]
