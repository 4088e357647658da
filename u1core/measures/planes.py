"""Do the two planes agree beyond what fitting makes them? Other frames, one class left out, and the null.

The coupled frame is fitted to the dipole, so class means agree by construction: classes that are given one
another's dipoles agree nearly as well once the frame is refitted. Here the frame and both means are fitted
without the class that is asked about (leave one class out), and refitted to every permutation of the classes'
mean dipoles. A frame depends on images through co-moments alone, so a draw is one product of class means, and
one projection of the images asked about. A class's directions in the two planes come from different halves of
its query images. docs/method.md, 'Frames and nulls', has definitions and rivals.

Shape legend: n images, N channels, K classes, D draws (the first of them the identity: what is observed),
F frames, R coordinates of the span of all draws' co-moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from math import factorial
from typing import NamedTuple

import numpy as np

from u1core.measures.shape import half_of

DRAWS = 9_999
"""Permutations drawn where there are more of them; with fewer all are asked."""

SWAPS = 199
"""Frames fitted to classes that have one another's dipoles."""

RANDOM_PLANES = 20
"""Planes drawn at random."""

MIN_CLASSES = 5
"""Fewer classes have too few permutations to say anything at 0.01."""

MIN_IMAGES = 5
"""Images that every class needs in either split to be tested, one of them in each half of the query split."""

TIE = 1e-9
"""An agreement this close below what is observed counts as exceeding it: draws round by 1e-12."""

GROUPS = 100
"""Groups of classes that standard errors leave out in turn; with fewer classes each is one of its own."""

_CHUNK_NUMBERS = 2**17
"""Numbers worked on at a time: 1 MB stays in a processor's cache."""


@dataclass(frozen=True)
class ClassMoments:
    """Class by class the centred co-moments of chroma and dipole, mergeable (Chan, Golub and LeVeque 1983).

    Attributes:
        count: Images, (K,).
        mean_chroma: (K, N).
        mean_dipole: (K, 2), half images.
        comoment: sum (h - mean h of its class)(d - mean d of its class)^T, (K, N, 2).
    """

    count: np.ndarray
    mean_chroma: np.ndarray
    mean_dipole: np.ndarray
    comoment: np.ndarray

    @classmethod
    def of(cls, label: np.ndarray, chroma: np.ndarray, dipole: np.ndarray, classes: int) -> ClassMoments:
        """Accumulate images with finite chroma (n, N) and dipole (n, 2), labels (n,) in [0, classes).

        Example:
            >>> h, d = np.array([[1.0], [3.0], [5.0]]), np.array([[0.0, 0.5], [1.0, 0.5], [0.0, 0.0]])
            >>> moments = ClassMoments.of(np.array([1, 1, 0]), h, d, 2)
            >>> moments.count.tolist(), moments.mean_chroma.tolist(), moments.comoment[1].tolist()
            ([1, 2], [[5.0], [2.0]], [[1.0, 0.0]])
        """
        count = np.bincount(label, minlength=classes)
        order = np.argsort(label, kind="stable")
        label, h, d = label[order], chroma[order], dipole[order]
        mean_h, mean_d = (_class_sums(values, count) / np.maximum(count, 1)[:, None] for values in (h, d))
        h, d = h - mean_h[label], d - mean_d[label]
        comoment = np.stack([_class_sums(h * d[:, [axis]], count) for axis in range(2)], axis=2)
        return cls(count, mean_h, mean_d, comoment)

    def merge(self, other: ClassMoments) -> ClassMoments:
        """Return the moments of both sets of images together."""
        count = self.count + other.count
        share = (other.count / np.maximum(count, 1))[:, None]
        dh, dd = other.mean_chroma - self.mean_chroma, other.mean_dipole - self.mean_dipole
        between = dh[:, :, None] * dd[:, None, :] * (self.count[:, None] * share)[:, :, None]
        return ClassMoments(
            count,
            self.mean_chroma + dh * share,
            self.mean_dipole + dd * share,
            self.comoment + other.comoment + between,
        )

    def keep(self, chosen: np.ndarray) -> ClassMoments:
        """Return some of the classes, by flags or labels."""
        return ClassMoments(*(values[chosen] for values in vars(self).values()))

    @property
    def centre(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean chroma (N,) and mean dipole (2,) over all images."""
        weights = self.count / self.count.sum()
        return weights @ self.mean_chroma, weights @ self.mean_dipole

    @property
    def within(self) -> np.ndarray:
        """Co-moment of images about the means of their classes, (N, 2)."""
        total: np.ndarray = self.comoment.sum(axis=0)
        return total

    def between(self, positions: np.ndarray) -> np.ndarray:
        """Return the co-moments (D, N, 2) of class means where class k has the dipole of class positions[k].

        Args:
            positions: (D, K).
        """
        chroma, dipole = self.centre
        a = self.count[:, None] * (self.mean_chroma - chroma)
        comoments: np.ndarray = np.einsum(
            "kn,dkj->dnj", a, (self.mean_dipole - dipole)[positions], optimize=True
        )
        return comoments


def _class_sums(values: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return the sums (K, N) of rows (n, N) that are sorted by class."""
    sums = np.zeros((len(count), values.shape[1]))
    starts = np.cumsum(count) - count
    if len(values):
        sums[count > 0] = np.add.reduceat(values, starts[count > 0], axis=0)
    return sums


def class_permutations(classes: int, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """Return permutations of classes: all of them where there are no more than `draws`, else that many.

    Returns:
        (D, K), the identity first, beside `draws` others that are drawn by the seed.

    Example:
        >>> class_permutations(3).tolist()
        [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
        >>> class_permutations(8).shape
        (10000, 8)
    """
    if classes <= 12 and factorial(classes) <= draws:
        return np.array(list(permutations(range(classes))))
    identity = np.arange(classes, dtype=np.int32)
    drawn = np.random.default_rng(seed).permuted(np.tile(identity, (draws, 1)), axis=1)
    return np.concatenate([identity[None], drawn])


def halves(rank: np.ndarray) -> np.ndarray:
    """Return the half, 0 or 1, that each image of a class belongs to: of every two in turn a hash says which.

    So a class's first images fall into halves of one size, however many they are, and always the same ones.

    Args:
        rank: How many images of its class and split come before it in the data set, (n,).

    Example:
        >>> halves(np.arange(8)).tolist()
        [1, 0, 1, 0, 0, 1, 1, 0]
    """
    half: np.ndarray = (rank + half_of(rank // 2)) % 2
    return half


def classes_to_test(memory: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Return the labels of the classes that can be tested against permuted classes: all, or none.

    Args:
        memory: Images per class in the memory split, (K,).
        query: Those in each half of the query split, (2, K).

    Example:
        >>> classes_to_test(np.array([5, 9, 0, 7, 5, 6]), np.array([[3, 3, 0, 4, 3, 3], [2, 2, 0, 1, 2, 3]]))
        array([0, 1, 3, 4, 5])
        >>> classes_to_test(np.array([5, 9, 7, 5, 6]), np.array([[3, 5, 4, 3, 3], [2, 0, 1, 2, 3]])).tolist()
        []
    """
    present = np.flatnonzero(memory + query.sum(axis=0))
    memory, query = memory[present], query[:, present]
    enough = len(present) >= MIN_CLASSES and min(*memory, *query.sum(axis=0)) >= MIN_IMAGES and query.all()
    return present if enough else present[:0]


def nearest_orthonormal(comoments: np.ndarray) -> np.ndarray:
    """Return the frames (F, N, 2) nearest to co-moments (F, N, 2), as `frames.fit_frame` does one.

    Example:
        >>> nearest_orthonormal(np.array([[[3.0, 0.0], [0.0, 0.5]]])).tolist()
        [[[1.0, 0.0], [0.0, 1.0]]]
    """
    U, _, Vt = np.linalg.svd(comoments, full_matrices=False)
    frames: np.ndarray = U @ Vt
    return frames


def turned(planes: np.ndarray, comoment: np.ndarray) -> np.ndarray:
    """Return planes (F, N, 2) with axes turned, and mirrored, within them to follow a co-moment (N, 2) best.

    A plane that was not fitted to the dipole has no axes of its own; two numbers' worth of fit gives it some.

    Example:
        >>> plane = np.array([[[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]])
        >>> turned(plane, np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 0.0]])).tolist()
        [[[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]]
    """
    frames: np.ndarray = planes @ nearest_orthonormal(planes.transpose(0, 2, 1) @ comoment)
    return frames


def random_planes(channels: int, count: int = RANDOM_PLANES, seed: int = 0) -> np.ndarray:
    """Return planes (count, N, 2) drawn uniformly, orthogonal to the medial vector as chroma is.

    Example:
        >>> plane = random_planes(5, count=1)[0]
        >>> np.allclose(plane.T @ plane, np.eye(2)), np.allclose(plane.sum(axis=0), 0)
        (True, True)
    """
    drawn = np.random.default_rng(seed).normal(size=(count, channels, 2))
    planes: np.ndarray = np.linalg.qr(drawn - drawn.mean(axis=1, keepdims=True))[0]
    return planes


def principal_plane(scatter: np.ndarray) -> np.ndarray:
    """Return the two directions (N, 2) of largest variance, of a scatter matrix (N, N).

    Example:
        >>> np.abs(principal_plane(np.diag([1.0, 9.0, 4.0]))).tolist()
        [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    """
    vectors: np.ndarray = np.linalg.eigh(scatter)[1]
    return vectors[:, :-3:-1]


class Agreement(NamedTuple):
    """How two sets of resultants of the same classes agree.

    Attributes:
        agreement: A, mean over classes of cos(difference of mean directions); a class without one adds 0.
        joint: J, mean over classes of Re(conj(r_image) r_feature).
    """

    agreement: np.ndarray
    joint: np.ndarray


def agree(image: np.ndarray, feature: np.ndarray) -> Agreement:
    """Compare complex resultants (..., K) of the two planes.

    Example:
        >>> a, j = agree(np.array([0.5 + 0j, 0.5j]), np.array([0.5 + 0j, 1 + 0j]))
        >>> float(a), float(j)
        (0.5, 0.125)
    """
    product = (image.conj() * feature).real
    lengths = np.abs(image) * np.abs(feature)
    cosines = np.divide(product, lengths, out=np.zeros(product.shape), where=lengths > 1e-12)
    return Agreement(cosines.mean(axis=-1), product.mean(axis=-1))


def cross(image: np.ndarray, feature: np.ndarray) -> Agreement:
    """Compare resultants (2, ..., K) of halves: the image directions of one with the other's of features.

    No image is asked twice, so what images' own dipoles do to their own chroma is in no term.

    Example:
        >>> a, j = cross(np.array([[1 + 0j], [1j]]), np.array([[1j], [0.5 + 0j]]))
        >>> float(a), float(j)
        (1.0, 0.75)
    """
    crossings = agree(image[0], feature[1]), agree(image[1], feature[0])
    return Agreement(*(np.mean(values, axis=0) for values in zip(*crossings, strict=True)))


def resultants(vectors: np.ndarray) -> np.ndarray:
    """Return the mean of e^(i theta) over the directions of vectors (n, F, 2): (F,), complex.

    Example:
        >>> resultants(np.array([[[2.0, 0.0]], [[0.0, 5.0]]])).tolist()
        [(0.5+0.5j)]
    """
    sums = _unit_sums(vectors[..., 0], vectors[..., 1]) / max(len(vectors), 1)
    return sums


def _unit_sums(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the sums over rows of (x + iy) / |x + iy|, (n, D) to (D,); zero adds nothing."""
    scale = x * x
    scale += y * y
    scale += 1e-300
    np.sqrt(scale, out=scale)
    np.reciprocal(scale, out=scale)
    sums: np.ndarray = np.einsum("nd,nd->d", x, scale) + 1j * np.einsum("nd,nd->d", y, scale)
    return sums


def _means(x: np.ndarray, y: np.ndarray, parts: list[slice]) -> np.ndarray:
    """Return the means of (x + iy) / |x + iy| over parts of the rows, (n, D) to (2, D)."""
    means: np.ndarray = np.stack(
        [_unit_sums(x[part], y[part]) / max(part.stop - part.start, 1) for part in parts]
    )
    return means


class LeaveOneOut:
    r"""The planes' agreement where the frame and both means are fitted without the class asked about.

    Let a_k be the mean chroma of class k about that of all, n_k its images, W_k its own co-moment, m_k its
    mean dipole and pi a permutation. With class c left out the co-moment is exactly

        K_c = F - W_c - n_c a_c g^T,    F = sum_k W_k + sum_k n_k a_k m_pi(k)^T,
        g = m_pi(c) - (mean dipole without c),

    so all draws share F, a product of class means, and one product X F projects the class's images X. The
    frame's coordinates are (K_c^T K_c)^(-1/2) K_c^T x; the inverse root is, but for a positive factor, which
    turns no direction, the adjugate of S + sqrt(det S) 1, S = K_c^T K_c (Cayley and Hamilton). No draw needs
    an SVD.

    Of the two crossings of a class's halves one has pi, the other its inverse: with pi in both, r_image of a
    half and r_feature of the same half would come from two classes, where they come from one in what is
    observed, and the crossings would vary apart, where images' own coupling makes them vary together.

    Args:
        memory: Moments of the memory split, of the K classes that are compared.
        query: Those of both halves of the query split; of them only counts and mean dipoles are used.
        positions: Class k gets the mean dipole of class positions[:, k], (D, K), the identity first.

    Attributes:
        observed: By label, r_image and r_feature of the identity in both halves, (2, 2): plane, half.
    """

    def __init__(self, memory: ClassMoments, query: Sequence[ClassMoments], positions: np.ndarray) -> None:
        self.memory, self.positions = memory, (positions, np.argsort(positions, axis=1))
        largest = int(max(half.count.max() for half in query))
        self._crossings = [
            _Crossing(memory, half, order, largest) for half, order in zip(query, self.positions, strict=True)
        ]
        self._sums = np.zeros((2, len(positions)))
        self._others = _Others(memory)
        self.observed: dict[int, np.ndarray] = {}

    def add(self, label: int, chroma: np.ndarray, dipole: np.ndarray, half: np.ndarray) -> None:
        """Ask one class: its query images' chroma (n, N), dipole (n, 2) and half (n,)."""
        asked = [
            crossing.ask(label, dipole[half == h], chroma[half == 1 - h])
            for h, crossing in enumerate(self._crossings)
        ]
        image = np.stack([asked[0][0], asked[1][0]])
        feature = np.stack([asked[1][1], asked[0][1]])
        self._sums += cross(image[..., None], feature[..., None])
        self.observed[label] = np.stack([image[:, 0], feature[:, 0]])
        order, ends = np.argsort(half, kind="stable"), np.bincount(half, minlength=2).cumsum()
        parts = [slice(0, ends[0]), slice(ends[0], ends[1])]
        self._others.add(label, chroma[order], dipole[order], parts)

    def result(self) -> Agreement:
        """Return A and J of every draw, (D,) each, once every class was added."""
        return Agreement(*(self._sums / len(self.memory.count)))

    def standard_errors(self) -> Agreement:
        """Return the standard errors of what is observed, over classes, once every class was added."""
        return self._others.standard_errors()


class _Crossing:
    """One crossing of `LeaveOneOut`: image directions of one half of a class, those of features of the other.

    Args:
        memory: Moments of the memory split, of the K classes that are compared.
        query: Those of the half that is asked for image directions; of it only the mean dipoles are used.
        positions: Class k gets the mean dipole of class positions[:, k], (D, K).
        largest: Images of the largest class.
    """

    def __init__(
        self, memory: ClassMoments, query: ClassMoments, positions: np.ndarray, largest: int
    ) -> None:
        self.memory, self.positions = memory, positions
        self._mean_chroma, mean_dipole = memory.centre
        self._memory_dipole, self._query_dipole = (  # complex, (K,)
            (moments.mean_dipole - mean_dipole) @ (1, 1j) for moments in (memory, query)
        )
        means, within = memory.mean_chroma - self._mean_chroma, memory.within
        self._basis = np.linalg.qr(np.concatenate([means, within.T]).T)[0]  # (N, R), R = min(N, K + 2)
        self._means, self._within = means @ self._basis, self._basis.T @ within  # (K, R), (R, 2)
        chunk = max(64, _CHUNK_NUMBERS // largest)
        self._chunks = [slice(start, start + chunk) for start in range(0, len(positions), chunk)]
        self._shared = [self._shared_comoments(positions[draws]) for draws in self._chunks]
        self._squares = [np.einsum("rid,rjd->ijd", F, F) for F in self._shared]  # F^T F, (2, 2, D)

    def ask(self, label: int, dipole: np.ndarray, chroma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return r_image (D,) of a half's dipoles (n, 2) and r_feature (D,) of the other's chroma (m, N)."""
        shift = self._shift(label)
        return self._image_resultants(label, dipole, shift), self._feature_resultants(label, chroma, shift)

    def _shared_comoments(self, positions: np.ndarray) -> np.ndarray:
        """Return F of some draws, (R, 2, D), in coordinates of the basis."""
        dipoles = self._memory_dipole[positions].T  # (K, D)
        parts = np.concatenate([dipoles.real, dipoles.imag], axis=1)
        between = (self.memory.count[:, None] * self._means).T @ parts
        shared: np.ndarray = between.reshape(len(between), 2, -1) + self._within[:, :, None]
        return shared

    def _shift(self, label: int) -> np.ndarray:
        """Return g, the mean dipole of the class about that of the memory without it, complex (D,)."""
        count, moved = self.memory.count, self._memory_dipole[self.positions[:, label]]
        # Where classes are of one size every permutation has the same total, to the last bit.
        is_balanced = (count == count[0]).all()
        total = count @ self._memory_dipole if is_balanced else self._memory_dipole[self.positions] @ count
        g: np.ndarray = moved - (total - count[label] * moved) / (count.sum() - count[label])
        return g

    def _image_resultants(self, label: int, dipole: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """Return r_image (D,): the class's images moved to where another class's lie."""
        query_dipole, to = self._query_dipole, self.positions[:, label]
        own = (dipole - self.memory.centre[1]) @ (1, 1j) - query_dipole[label]
        moves, which = np.unique(query_dipole[to] - self._memory_dipole[to] + shift, return_inverse=True)
        step = max(1, _CHUNK_NUMBERS // max(len(own), 1))
        parts = [own[:, None] + moves[start : start + step] for start in range(0, len(moves), step)]
        found = np.concatenate([_unit_sums(part.real, part.imag) for part in parts])
        return found[which] / max(len(own), 1)

    def _feature_resultants(self, label: int, chroma: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """Return r_feature (D,): the class's images in the frames that were fitted without it."""
        n, a, W = self.memory.count[label], self._means[label], self.memory.comoment[label]
        # About the mean of the memory without the class, which lies opposite to it.
        x = (
            chroma
            - self._mean_chroma
            + (self.memory.mean_chroma[label] - self._mean_chroma) * (n / (self.memory.count.sum() - n))
        )
        own = np.stack([*(self._basis.T @ W).T, n * a])  # (3, R): what K_c takes from F
        coordinates = x @ self._basis
        asked = np.column_stack([coordinates, x @ W, coordinates @ (n * a)])  # (n, R + 3)
        gram = own @ own.T  # (3, 3), but for the part of W that no draw shares
        gram[:2, :2] = W.T @ W
        vectors = (
            _feature_vectors(asked, self._shared[i], self._squares[i], own, gram, np.stack([g.real, g.imag]))
            for i, g in enumerate(shift[draws] for draws in self._chunks)
        )
        return np.concatenate([_unit_sums(x, y) for x, y in vectors]) / max(len(chroma), 1)


class _Others:
    """The jackknife over classes: A and J once more without each group of classes, in fits and in the mean.

    Classes share their fits, so the deviation of their values says too little. Quenouille and Tukey's
    variance (Efron and Stein 1981, doi:10.1214/aos/1176345462) of G groups: (G-1)/G times the sum of squares.
    """

    def __init__(self, memory: ClassMoments) -> None:
        self.count, (self._chroma, self._dipole) = memory.count, memory.centre
        a = self.count[:, None] * (memory.mean_chroma - self._chroma)  # (K, N), their sum is 0
        m = memory.mean_dipole - self._dipole
        self._sums = np.column_stack([self.count, a, self.count[:, None] * m])  # (K, 1 + N + 2)
        self._comoments = memory.comoment + a[:, :, None] * m[:, None, :]  # (K, N, 2), about the mean of all
        self._group = np.arange(len(a)) % GROUPS
        groups = int(self._group.max()) + 1
        self._group_sums, self._group_comoments = (
            np.stack([values[self._group == g].sum(axis=0) for g in range(groups)])
            for values in (self._sums, self._comoments)
        )
        self._total = self._comoments.sum(axis=0)
        self._found = np.zeros((2, groups))

    def add(self, label: int, chroma: np.ndarray, dipole: np.ndarray, parts: list[slice]) -> None:
        """Ask one class in the frames without it and each group that it is not of; images by half."""
        groups = np.flatnonzero(np.arange(self._found.shape[1]) != self._group[label])
        left_out = self._sums[label] + self._group_sums[groups]  # (G, 1 + N + 2)
        rest = self.count.sum() - left_out[:, :1]
        mean_chroma, mean_dipole = -left_out[:, 1:-2] / rest, -left_out[:, -2:] / rest
        comoments = self._total - self._comoments[label] - self._group_comoments[groups]
        comoments = comoments - (rest * mean_chroma)[:, :, None] * mean_dipole[:, None, :]  # (G, N, 2)
        points = np.tensordot(chroma - self._chroma, comoments, axes=(1, 1))  # (n, G, 2)
        points = points - np.einsum("gn,gnj->gj", mean_chroma, comoments)
        S = (comoments.transpose(0, 2, 1) @ comoments).transpose(1, 2, 0)
        image = (dipole - self._dipole)[:, None] - mean_dipole
        crossed = cross(
            _means(image[..., 0], image[..., 1], parts)[..., None],
            _means(*_turned(points.transpose(0, 2, 1), S), parts)[..., None],
        )
        self._found[:, groups] += crossed

    def standard_errors(self) -> Agreement:
        """Return those of A and J."""
        groups = self._found.shape[1]
        without = self._found / (len(self.count) - np.bincount(self._group))
        return Agreement(*(np.sqrt((groups - 1) * values.var()) for values in without))


def _feature_vectors(
    asked: np.ndarray,
    shared: np.ndarray,
    squares: np.ndarray,
    own: np.ndarray,
    gram: np.ndarray,
    g: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors along theta_feature of images of one class, for some draws: both axes (n, D).

    Args:
        asked: Images in coordinates of F, then of W_c and of n_c a_c, (n, R + 3).
        shared: F, (R, 2, D).
        squares: F^T F, (2, 2, D).
        own: W_c and n_c a_c in coordinates of F, (3, R).
        gram: Their inner products, (3, 3).
        g: (2, D).
    """
    # K_c = F - W - n a g^T as rows of coefficients: two for W, whose columns are the plane's axes, one for a.
    taken = np.zeros((3, *g.shape))
    taken[0, 0] = taken[1, 1] = 1.0
    taken[2] = g
    crossed = (own @ shared.reshape(len(shared), -1)).reshape(taken.shape)
    half = np.einsum("kid,kjd->ijd", taken, crossed - np.tensordot(gram, taken, 1) / 2)
    S = squares - half - half.transpose(1, 0, 2)
    # Turning and projecting commute: what is smaller is turned.
    if len(shared) < len(asked):
        x, y = _turned(np.concatenate([shared, -taken]), S)
        return asked @ x, asked @ y
    points = asked[:, :-3] @ shared.reshape(len(shared), -1) - asked[:, -3:] @ taken.reshape(3, -1)
    return _turned(points.reshape(len(asked), *g.shape), S)


def _turned(points: np.ndarray, S: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return points (n, 2, D) times the adjugate of S + sqrt(det S) 1, S (2, 2, D): both axes (n, D)."""
    root = np.sqrt(np.maximum(S[0, 0] * S[1, 1] - S[0, 1] ** 2, 0.0))
    x, y = points[:, 0], points[:, 1]
    return (S[1, 1] + root) * x - S[0, 1] * y, (S[0, 0] + root) * y - S[0, 1] * x


def nearest_on_circle(asked: np.ndarray, stored: np.ndarray) -> np.ndarray:
    """Return the positions (Q,) of the stored angles nearest to those asked, ties to the earlier one.

    Args:
        asked: (Q,), radians in (-pi, pi]; NaN, which is as far from everything, is given the first.
        stored: (M,), at least one; NaN is nearest to nothing.

    Example:
        >>> nearest_on_circle(np.radians([-179.0, 9.0]), np.radians([10.0, 170.0, 10.0, 90.0])).tolist()
        [1, 0]
    """
    order = np.argsort(stored, kind="stable")  # NaN last
    angles = stored[order][: np.isfinite(stored).sum()]
    if not len(angles):
        return np.zeros(len(asked), dtype=np.int64)
    after = np.searchsorted(angles, asked) % len(angles)
    before = np.searchsorted(angles, angles[after - 1])  # the earliest of equal ones
    far_after, far_before = (1 - np.cos(asked - angles[side]) for side in (after, before))
    is_before = (far_before < far_after) | ((far_before == far_after) & (order[before] < order[after]))
    return np.where(np.isnan(asked), 0, order[np.where(is_before, before, after)])
