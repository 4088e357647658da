"""The coupled frame: one angle theta in the image plane and in activation space.

Shape legend: B images, N channels. On the memory split, labels unused, K = Cov(h, d) in R^{N x 2}
couples chroma h to the energy dipole d; K = U S V^T and Q = U V^T is the orthonormal frame nearest to
K (orthogonal Procrustes, Schoenemann 1966, doi:10.1007/BF02289451).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MIN_STRENGTH = 1e-12
"""Below this length a vector's direction is rounding noise: its angle is NaN (null in the lake)."""

WEAK_SHARE = 0.1
"""Below this share of the memory split's root mean square strength an angle is flagged as weak: where
strengths follow an isotropic normal law that is one image in a hundred (1 - exp(-0.01))."""


@dataclass(frozen=True)
class CoMoments:
    """Centred co-moments of chroma and dipole, mergeable over any split of the images.

    Merging follows Chan, Golub and LeVeque (1983), doi:10.1080/00031305.1983.10483115, with compensated
    means: what rounding takes from a mean is carried along, so batch and part boundaries show below 1e-14
    even where the scatter is a billionth of the mean.

    Attributes:
        n: Images.
        mean_chroma: Mean of h, (N,).
        mean_dipole: Mean of d as (x, y), (2,), half images.
        comoment: sum (h - mean h)(d - mean d)^T, (N, 2).
        rest_chroma: What rounding took from mean_chroma, (N,).
        rest_dipole: What it took from mean_dipole, (2,).
    """

    n: int
    mean_chroma: np.ndarray
    mean_dipole: np.ndarray
    comoment: np.ndarray
    rest_chroma: np.ndarray
    rest_dipole: np.ndarray

    @classmethod
    def of(cls, chroma: np.ndarray, dipole: np.ndarray) -> CoMoments:
        """Accumulate chroma (B, N) and dipoles (B, 2); rows with a NaN have no direction and are left out."""
        valid = np.isfinite(dipole).all(axis=1) & np.isfinite(chroma).all(axis=1)
        h, d = chroma[valid], dipole[valid]
        if not len(h):
            h, d = np.zeros((1, chroma.shape[1])), np.zeros((1, 2))  # everything below is then 0, and so is n
        mean_h, mean_d = h.mean(axis=0), d.mean(axis=0)
        rest_h, rest_d = (h - mean_h).mean(axis=0), (d - mean_d).mean(axis=0)
        comoment = (h - mean_h - rest_h).T @ (d - mean_d - rest_d)
        return cls(int(valid.sum()), mean_h, mean_d, comoment, rest_h, rest_d)

    def merge(self, other: CoMoments) -> CoMoments:
        """Return the co-moments of both sets of images together."""
        if not self.n or not other.n:
            return other if not self.n else self
        n = self.n + other.n
        dh = (other.mean_chroma - self.mean_chroma) + (other.rest_chroma - self.rest_chroma)
        dd = (other.mean_dipole - self.mean_dipole) + (other.rest_dipole - self.rest_dipole)
        share = other.n / n
        mean_h, rest_h = _step(self.mean_chroma, self.rest_chroma + dh * share)
        mean_d, rest_d = _step(self.mean_dipole, self.rest_dipole + dd * share)
        comoment = self.comoment + other.comoment + np.outer(dh, dd) * self.n * share
        return CoMoments(n, mean_h, mean_d, comoment, rest_h, rest_d)


def _step(mean: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean + step and what rounding took from it (fast two-sum: Dekker 1971)."""
    moved = mean + step
    return moved, step - (moved - mean)


@dataclass(frozen=True)
class Frame:
    """The coupled frame of one layer.

    Attributes:
        n: Memory images it was fitted on.
        mean_chroma: (N,).
        mean_dipole: (2,), half images.
        axes: Q, (N, 2), columns carry the image's x and y axes; None where K has rank below 2
            (one channel, constant chroma, fewer than 3 images): then theta_feature does not exist.
        couplings: Singular values of K, (2,), larger first, half images.
    """

    n: int
    mean_chroma: np.ndarray
    mean_dipole: np.ndarray
    axes: np.ndarray | None
    couplings: np.ndarray


def fit_frame(moments: CoMoments) -> Frame:
    """Fit the coupled frame to the co-moments of the memory split."""
    K = moments.comoment / max(moments.n, 1)
    U, S, Vt = np.linalg.svd(K, full_matrices=False)
    couplings = np.zeros(2)
    couplings[: S.size] = S
    determined = moments.n > 2 and couplings[1] > 1e-12 * couplings[0] > 0
    return Frame(
        moments.n, moments.mean_chroma, moments.mean_dipole, U @ Vt if determined else None, couplings
    )


def direction(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return angle (B,) in (-pi, pi] and strength (B,) of vectors (B, 2); NaN angle below MIN_STRENGTH."""
    strength = np.hypot(vectors[:, 0], vectors[:, 1])
    angle = np.arctan2(vectors[:, 1], vectors[:, 0])
    angle = np.where(angle == -np.pi, np.pi, angle)
    return np.where(strength > MIN_STRENGTH, angle, np.nan), strength


def image_plane(frame: Frame, dipole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return theta_image = arg(d - mean d) and its strength for dipoles (B, 2)."""
    return direction(dipole - frame.mean_dipole)


def feature_plane(frame: Frame, chroma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return theta_feature = arg(z_1 + i z_2), z = Q^T (h - mean h), and its strength for chroma (B, N)."""
    if frame.axes is None:
        missing = np.full(len(chroma), np.nan)
        return missing, missing
    return direction((chroma - frame.mean_chroma) @ frame.axes)
