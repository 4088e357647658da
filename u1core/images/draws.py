"""Everything random that is done to a picture, drawn from its id alone: not from batches, order or device.

Shapes: B pictures of S x S pixels.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Ids = Iterable[int]

_ROLL, _PHASES, _ORDER = 1, 2, 3


def _generator(what: int, image_id: int) -> np.random.Generator:
    return np.random.default_rng([what, int(image_id)])


def rolls(image_ids: Ids, size: int) -> npt.NDArray[np.int64]:
    """Draw by how many pixels every picture is rolled, uniformly over the torus.

    A share of the side is drawn and rounded down to pixels, so that networks of two input sizes see one
    picture rolled by the same share, to a pixel.

    Args:
        image_ids: Of the pictures.
        size: S, px.

    Returns:
        To the right and up, (B, 2), px, in [-S/2, S/2).
    """
    shares = np.array([_generator(_ROLL, i).random(2) for i in image_ids]).reshape(-1, 2)
    shifts: npt.NDArray[np.int64] = np.floor(shares * size).astype(np.int64) - size // 2
    return shifts


def random_phases(rng: np.random.Generator, size: int) -> npt.NDArray[np.complex128]:
    """Draw the phases e^(i phi) of a real field on the torus, (S, S): those of white Gaussian noise.

    They are uniform and independent but for phi(-k) = -phi(k), which keeps the field real; phi(0) = 0 keeps
    its mean (Theiler et al. 1992, Physica D 58, 77, doi:10.1016/0167-2789(92)90102-S).
    """
    spectrum = np.fft.fft2(rng.standard_normal((size, size)))
    phases: npt.NDArray[np.complex128] = spectrum / np.abs(spectrum)
    phases[0, 0] = 1.0
    return phases


def picture_phases(image_ids: Ids, size: int) -> npt.NDArray[np.complex128]:
    """Draw the phases of every picture, (B, S, S)."""
    return np.array([random_phases(_generator(_PHASES, i), size) for i in image_ids])


def pixel_orders(image_ids: Ids, pixels: int) -> npt.NDArray[np.int64]:
    """Draw an order of the pixels of every picture, (B, pixels)."""
    return np.array([_generator(_ORDER, i).permutation(pixels) for i in image_ids])
