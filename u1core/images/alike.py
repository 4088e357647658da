"""The memory picture that is most like each query picture: near-duplicates, which memory knows the answer of.

Pictures are compared by their coarse structure: luminance on 8 x 8 pixels, its cosine transform, each
frequency weighted by its length, which flattens the spectrum that natural pictures share (amplitude goes as
one over frequency: Field 1987, doi 10.1364/JOSAA.4.002379). Without the weights two horizons are alike
whatever stands before them. Brightness and contrast drop out. The control is the mirrored query: what is as
like a memory picture as that is like by chance, or for its symmetry. Shapes: n pictures, Q queries.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from scipy.fft import dctn
from torch.nn.functional import adaptive_avg_pool2d

from u1core.images.cache import Images
from u1core.images.resize import luminance
from u1core.images.sources.listing import Labels, Pixels
from u1core.measures.nearest import nearest

SIDE = 8
"""Pixels on a side to which a picture is brought."""

MOST_PAIRS = 2 * 10**9
"""Pairs of a query and a memory picture that are compared: half a minute on one core. Above, nobody looks."""

_BATCH = 4096


class Alike(NamedTuple):
    """The nearest memory picture of each query picture, (Q,) each."""

    query: Labels  # position in the data set
    memory: Labels  # position in the data set
    likeness: np.ndarray  # cosine of the weighted spectra
    mirrored: np.ndarray  # the same of the mirrored query and the memory picture nearest to that


@dataclass(frozen=True)
class _Selected:
    """A selection of a data set, the same as another by its key."""

    key: str
    images: Images = field(compare=False)
    positions: Labels = field(compare=False)


def find_alike(images: Images, positions: Labels) -> Alike | None:
    """Return the memory picture that each query picture is most like; once per selection and process.

    Args:
        images: The data set.
        positions: Of the pictures that are looked at, (n,).

    Returns:
        None where pictures stay in their files, a split is empty, or the pairs are more than MOST_PAIRS.
    """
    is_query = images.is_query[positions]
    pairs = int(is_query.sum()) * int((~is_query).sum())
    if images.pixels is None or not 0 < pairs <= MOST_PAIRS:
        return None
    digest = hashlib.sha256(images.fingerprint.encode())
    for part in (positions, is_query):
        digest.update(np.ascontiguousarray(part).tobytes())
    return _find(_Selected(digest.hexdigest(), images, positions))


@functools.lru_cache(maxsize=4)
def _find(selected: _Selected) -> Alike:
    images, positions = selected.images, selected.positions
    is_query = images.is_query[positions]
    query, memory = positions[is_query], positions[~is_query]
    asked, known = (_spectra(images.pixels, part) for part in (query, memory))  # type: ignore[arg-type]
    found = nearest(asked.reshape(len(query), -1), [known.reshape(len(memory), -1)], k=1)
    # A mirrored picture has the same spectrum but for the sign of what is odd from left to right.
    mirrored = asked * (-1.0) ** np.arange(SIDE, dtype=np.float32)
    chance = nearest(mirrored.reshape(len(query), -1), [known.reshape(len(memory), -1)], k=1)
    return Alike(query, memory[found.position[:, 0]], found.similarity[:, 0], chance.similarity[:, 0])


def _spectra(pixels: Pixels, positions: Labels) -> np.ndarray:
    """Return the weighted spectra (n, SIDE, SIDE) of pictures, float32."""
    parts = range(0, len(positions), _BATCH)
    return np.concatenate([spectrum(pixels[positions[i : i + _BATCH]]) for i in parts])


def spectrum(pictures: Pixels) -> np.ndarray:
    """Return the weighted spectra (B, SIDE, SIDE) of pictures (B, H, W, C), float32; a flat one's is 0.

    Example:
        >>> ramp = np.tile(np.arange(0, 64, 8, dtype=np.uint8), (1, 8, 1))[..., None]
        >>> bool(np.allclose(spectrum(ramp) * 2, spectrum(ramp * 2)))
        True
        >>> float(abs(spectrum(np.full((1, 8, 8, 1), 9, np.uint8))).max())
        0.0
    """
    given = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float()
    grey = given if given.shape[1] == 1 else luminance(given)
    small = adaptive_avg_pool2d(grey, SIDE)[:, 0].numpy()
    frequency = np.arange(SIDE, dtype=np.float32)
    weights = np.hypot(frequency[:, None], frequency)
    weighted: np.ndarray = dctn(small, axes=(1, 2), norm="ortho") * weights
    # Rounding of a flat picture is no structure.
    weighted[np.abs(weighted).max(axis=(1, 2)) < 1e-2] = 0.0
    return weighted.astype(np.float32)
