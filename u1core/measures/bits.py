"""How many bits of an image's class its angle tells, on images that no estimate was made from.

Shape legend: M memory images, Q query images, C classes, A angles of a grid.

Held-out bits = mean over query images of log2 p(c | theta) / p(c). Densities of classes are sums of von Mises
kernels over the memory, its concentration chosen by leaving each memory image out. The rival, the mutual
information of a table of true and predicted classes, is 3 to 7 bits where there are none: every empty place
of the table counts as knowledge. These are 0 there, below 0 where the memory misleads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ANGLES = 4096
"""Places of the grid that angles are rounded to: by 0.044 degrees at most."""

CONCENTRATIONS = (0.0, *(2.0**k for k in range(-2, 15)))
"""Concentrations kappa that are tried: from no kernel at all, which knows nothing, to one of 0.45 degrees,
five places of the grid."""


@dataclass(frozen=True)
class Bits:
    """What an angle tells of the class.

    Attributes:
        n_memory: Memory images with an angle.
        n: Query images with an angle whose class the memory knows.
        classes: Classes in the memory.
        kappa: Concentration of the kernel, chosen on the memory alone; 0: it tells nothing.
        bits: Mean over the query images of log2 p(c | theta) / p(c); null without one.
        bits_se: Its standard error over query images, the memory as it is: the jackknife's of a mean.
        prior_bits: Entropy of the memory's classes: what knowing the class would be, on average.
    """

    n_memory: int
    n: int
    classes: int
    kappa: float | None = None
    bits: float | None = None
    bits_se: float | None = None
    prior_bits: float | None = None


def held_out_bits(
    memory_rad: np.ndarray, memory_label: np.ndarray, query_rad: np.ndarray, query_label: np.ndarray
) -> Bits:
    """Estimate classes' densities on the memory and ask the query images.

    A class's density is that of its n kernels and of one more image, spread as the memory is as a whole,
    itself with one uniform image: so nothing is impossible, and nothing is claimed of a class of few images.

    Args:
        memory_rad: (M,); NaN where there is no angle, which leaves the image out.
        memory_label: (M,).
        query_rad: (Q,).
        query_label: (Q,).

    Example:
        >>> apart = np.repeat([-2.0, 0.0, 2.0, 3.0], 250)
        >>> label = np.repeat([0, 1, 2, 3], 250)
        >>> round(held_out_bits(apart, label, apart, label).bits, 2)
        2.0
    """
    known = np.isfinite(memory_rad)
    classes, memory_class = np.unique(memory_label[known], return_inverse=True)
    asked = np.isfinite(query_rad) & np.isin(query_label, classes)
    counts = np.bincount(memory_class, minlength=len(classes))
    sizes = (int(known.sum()), int(asked.sum()), len(classes))
    if not sizes[0] or not sizes[1]:
        return Bits(*sizes)
    memory = _Memory.of(_places(memory_rad[known]), memory_class, counts)
    kappa = max(CONCENTRATIONS, key=memory.left_out)
    query_class = np.searchsorted(classes, query_label[asked])
    bits = memory.bits(kappa, _places(query_rad[asked]), query_class)
    share = counts / counts.sum()
    se = float(bits.std(ddof=1) / np.sqrt(len(bits))) if len(bits) > 1 else None
    return Bits(*sizes, kappa, float(bits.mean()), se, float(-(share * np.log2(share)).sum()))


def _places(angle_rad: np.ndarray) -> np.ndarray:
    """Round angles to places of the grid."""
    places: np.ndarray = np.rint(angle_rad * (ANGLES / (2 * np.pi))).astype(np.int64) % ANGLES
    return places


def _kernel(kappa: float) -> np.ndarray:
    """Return the von Mises density on the grid (A,), centred on place 0; it integrates to 1 there."""
    angle = np.arange(ANGLES) * (2 * np.pi / ANGLES)
    kernel = np.exp(kappa * (np.cos(angle) - 1))
    scaled: np.ndarray = kernel * (ANGLES / (2 * np.pi) / kernel.sum())
    return scaled


@dataclass(frozen=True)
class _Memory:
    """The memory's angles as counts on the grid.

    Attributes:
        place: Of each image, (M,).
        label: Of each image, (M,).
        counts: Images by class, (C,).
        spectrum: Fourier transform of each class's counts over the grid, (C, A / 2 + 1).
    """

    place: np.ndarray
    label: np.ndarray
    counts: np.ndarray
    spectrum: np.ndarray

    @classmethod
    def of(cls, place: np.ndarray, label: np.ndarray, counts: np.ndarray) -> _Memory:
        grid = np.bincount(label * ANGLES + place, minlength=len(counts) * ANGLES)
        return cls(place, label, counts, np.fft.rfft(grid.reshape(len(counts), ANGLES)))

    def sums(self, kappa: float) -> np.ndarray:
        """Return the sum of each class's kernels on the grid, (C, A)."""
        transform = np.fft.rfft(_kernel(kappa))
        return np.maximum(np.fft.irfft(self.spectrum * transform, n=ANGLES), 0.0)

    def bits(self, kappa: float, place: np.ndarray, label: np.ndarray) -> np.ndarray:
        """Return log2 p(c | theta) / p(c) of other images (Q,)."""
        return self._ratios(kappa, place, label, own=0)

    def left_out(self, kappa: float) -> float:
        """Return the mean of log2 p(c | theta) / p(c) over the memory, each image left out of it in turn."""
        return float(self._ratios(kappa, self.place, self.label, own=1).mean())

    def _ratios(self, kappa: float, place: np.ndarray, label: np.ndarray, own: int) -> np.ndarray:
        """Return log2 of f_c / sum_k p_k f_k, `own` (0 or 1) images of class c at theta itself taken off."""
        sums, kernel, n = self.sums(kappa), _kernel(kappa)[0], self.counts.sum()
        whole = (sums.sum(axis=0)[place] - own * kernel + 1 / (2 * np.pi)) / (n - own + 1)
        share = self.counts / n
        weight = share / (self.counts + 1)
        mine = sums[label, place]
        density = (mine - own * kernel + whole) / (self.counts[label] - own + 1)
        others = (weight @ sums)[place] - weight[label] * mine + (weight.sum() - weight[label]) * whole
        ratios: np.ndarray = np.log2(density / (others + share[label] * density))
        return ratios
