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
        """Accumulate images; those with a NaN have no direction and are left out.

        Args:
            chroma: h, (B, N).
            dipole: d as (x, y), (B, 2), half images.

        Example:
            >>> h, d = np.array([[1.0], [3.0], [np.nan]]), np.array([[0.0, 0.5], [1.0, 0.5], [1.0, 1.0]])
            >>> moments = CoMoments.of(h, d)
            >>> moments.n, moments.mean_chroma.tolist(), moments.mean_dipole.tolist()
            (2, [2.0], [0.5, 0.5])
            >>> moments.comoment.tolist()  # (1 - 2)(0 - 1/2) + (3 - 2)(1 - 1/2)
            [[1.0, 0.0]]
        """
        valid = np.isfinite(dipole).all(axis=1) & np.isfinite(chroma).all(axis=1)
        h, d = chroma[valid], dipole[valid]
        if not len(h):
            h, d = np.zeros((1, chroma.shape[1])), np.zeros((1, 2))  # everything below is then 0, and so is n
        mean_h, mean_d = h.mean(axis=0), d.mean(axis=0)
        rest_h, rest_d = (h - mean_h).mean(axis=0), (d - mean_d).mean(axis=0)
        comoment = (h - mean_h - rest_h).T @ (d - mean_d - rest_d)
        return cls(int(valid.sum()), mean_h, mean_d, comoment, rest_h, rest_d)

    def merge(self, other: CoMoments) -> CoMoments:
        """Return the co-moments of both sets of images together.

        Example:
            >>> one = CoMoments.of(np.array([[1.0]]), np.array([[0.0, 0.5]]))
            >>> both = one.merge(CoMoments.of(np.array([[3.0]]), np.array([[1.0, 0.5]])))
            >>> both.n, both.mean_chroma.tolist(), both.comoment.tolist()
            (2, [2.0], [[1.0, 0.0]])
        """
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
    """Fit the coupled frame: Q = U V^T of K = U S V^T, the orthonormal frame nearest to K (Schoenemann 1966).

    Args:
        moments: Of the memory split, labels unused.

    Example:
        Where chroma is twice the dipole in two channels and constant in the third, these two carry the axes:

        >>> d = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]) / 2
        >>> h = np.column_stack([np.zeros(4), 2 * d])
        >>> frame = fit_frame(CoMoments.of(h, d))
        >>> (frame.axes.round(6) + 0.0).tolist()
        [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
        >>> frame.couplings.round(6).tolist()  # two images of +-1/2 and +-1: 2 * 1/2 * 1 / 4
        [0.25, 0.25]
        >>> fit_frame(CoMoments.of(h[:, :1], d)).axes is None  # one channel has no plane
        True
    """
    K = moments.comoment / max(moments.n, 1)
    U, S, Vt = np.linalg.svd(K, full_matrices=False)
    couplings = np.zeros(2)
    couplings[: S.size] = S
    determined = moments.n > 2 and couplings[1] > 1e-12 * couplings[0] > 0
    return Frame(
        moments.n, moments.mean_chroma, moments.mean_dipole, U @ Vt if determined else None, couplings
    )


def direction(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where vectors point and how long they are.

    Args:
        vectors: (B, 2).

    Returns:
        Angles (B,), radians in (-pi, pi], counter-clockwise from x, NaN below MIN_STRENGTH; lengths (B,).

    Example:
        >>> angle, strength = direction(np.array([[0.0, 2.0], [-1.0, -0.0], [0.0, 0.0]]))
        >>> np.degrees(angle).tolist(), strength.tolist()
        ([90.0, 180.0, nan], [2.0, 1.0, 0.0])
    """
    strength = np.hypot(vectors[:, 0], vectors[:, 1])
    angle = np.arctan2(vectors[:, 1], vectors[:, 0])
    angle = np.where(angle == -np.pi, np.pi, angle)
    return np.where(strength > MIN_STRENGTH, angle, np.nan), strength


def image_plane(frame: Frame, dipole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return theta_image = arg(d - mean d).

    Args:
        frame: Holds mean d over the memory split.
        dipole: d as (x, y), (B, 2), half images.

    Returns:
        Angles (B,), radians in (-pi, pi], and strengths |d - mean d| (B,), half images.

    Example:
        >>> frame = Frame(4, np.zeros(3), np.array([0.5, 0.0]), None, np.zeros(2))
        >>> angle, strength = image_plane(frame, np.array([[0.5, -0.25]]))
        >>> np.degrees(angle).tolist(), strength.tolist()
        ([-90.0], [0.25])
    """
    return direction(dipole - frame.mean_dipole)


def feature_plane(frame: Frame, chroma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return theta_feature = arg(z_1 + i z_2), z = Q^T (h - mean h).

    Args:
        frame: Holds Q, and mean h over the memory split.
        chroma: h, (B, N).

    Returns:
        Angles (B,), radians in (-pi, pi], and strengths |z| (B,); NaN where the frame has no axes.

    Example:
        >>> axes = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> frame = Frame(4, np.array([0.5, 0.0, 0.0]), np.zeros(2), axes, np.ones(2))
        >>> angle, strength = feature_plane(frame, np.array([[0.9, 0.25, 0.25]]))
        >>> np.degrees(angle).tolist(), (strength**2).round(6).tolist()
        ([45.0], [0.125])
    """
    if frame.axes is None:
        missing = np.full(len(chroma), np.nan)
        return missing, missing
    return direction((chroma - frame.mean_chroma) @ frame.axes)
