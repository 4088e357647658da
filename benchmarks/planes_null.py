"""Do the planes' frames find what is coupled, and nothing where nothing is? Size, power and coverage.

    .venv/bin/python benchmarks/planes_null.py --worlds 400 --draws 199

Worlds of images of K classes whose means lie in both planes; a share of the variance of the means of chroma
is the dipole's own. Frames are asked for p of their agreement: 'loco' (one class left out), 'coupled' against
classes that have one another's dipoles, and 'within'; each with a class's directions from different halves of
its images, and with both from all of them ('shared'), which lets images' own coupling in. Then how often a t
interval over classes holds the mean over worlds. docs/method.md, 'Frames and nulls', has what they gave.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from u1core.images.sources.listing import rank_within_class
from u1core.measures.planes import (
    SWAPS,
    TIE,
    ClassMoments,
    LeaveOneOut,
    class_permutations,
    cross,
    halves,
    nearest_orthonormal,
    resultants,
)

Split = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Labels (n,), chroma (n, N), dipoles (n, 2)."""


DESIGNS: tuple[tuple[float, dict[str, Any]], ...] = (
    (0.05, {}),
    (0.05, {"within": 1.0}),
    (0.05, {"within": 1.0, "spread": 0.3}),
    (0.05, {"within": 1.0, "spread": 0.0}),
    (0.05, {"within": 1.0, "spread": 0.0, "counts": (5, 100)}),
    (0.05, {"within": 1.0, "spread": 0.0, "counts": (5, 6), "classes": 5}),
    (0.05, {"within": 3.0, "spread": 0.1, "counts": (5, 6), "classes": 30}),
    (0.01, {"coupling": 0.3}),
    (0.01, {"coupling": 0.3, "within": 0.3}),
    (0.01, {"coupling": 1.0, "spread": 0.3}),
)
"""Level, and what differs from a world of two planes that share nothing."""


class World:
    """Images of K classes in both splits; scatter about the classes' means has a standard deviation of 1.

    Args:
        seed: Of everything drawn.
        classes: K.
        channels: N.
        counts: Images per class of a split, drawn by a generator: (K,).
        coupling: Share of the variance of the means of chroma that is the dipoles'.
        within: How far an image's own dipole shows in its chroma.
        spread: Standard deviation of the means in each plane.
    """

    def __init__(
        self,
        seed: int,
        classes: int,
        channels: int,
        counts: Callable[[np.random.Generator], np.ndarray],
        *,
        coupling: float = 0.0,
        within: float = 0.0,
        spread: float = 1.0,
    ) -> None:
        self.rng, self.classes = np.random.default_rng(seed), classes
        dipoles = self.rng.normal(size=(classes, 2)) * spread
        plane = np.linalg.qr(self.rng.normal(size=(channels, 2)))[0]
        own = self.rng.normal(size=(classes, channels)) * np.sqrt(2 / channels) * spread
        means = np.sqrt(coupling) * dipoles @ plane.T + np.sqrt(1 - coupling) * own
        self.memory, self.query = (
            self._split(counts(self.rng), dipoles, means, within * plane.T) for _ in range(2)
        )
        self.half = halves(rank_within_class(self.query[0]))

    @classmethod
    def of(cls, seed: int, design: dict[str, Any]) -> World:
        """Draw the world of a design: 10 classes of 50 images in either split, where it says nothing else."""
        design = {"classes": 10, "channels": 64, "counts": (50, 51)} | design
        classes, channels, counts = (design.pop(name) for name in ("classes", "channels", "counts"))
        return cls(seed, classes, channels, lambda rng: rng.integers(*counts, classes), **design)

    def _split(self, counts: np.ndarray, dipoles: np.ndarray, means: np.ndarray, within: np.ndarray) -> Split:
        label = self.rng.permutation(np.repeat(np.arange(self.classes), counts))
        noise = self.rng.normal(size=(len(label), 2))
        chroma = means[label] + self.rng.normal(size=(len(label), means.shape[1])) + noise @ within
        return label, chroma, dipoles[label] + noise + [0.1, -0.2]

    @property
    def moments(self) -> ClassMoments:
        """Of the memory split, class by class."""
        return ClassMoments.of(*self.memory, self.classes)

    def parts(self, *, shared: bool = False) -> list[np.ndarray]:
        """Which query images either half has, (2, n) flags; where they are shared, all of them."""
        return [(self.half == half) | shared for half in (0, 1)]

    def leave_one_out(self, positions: np.ndarray, *, shared: bool = False) -> LeaveOneOut:
        """Ask every class in permutations (D, K)."""
        parts = self.parts(shared=shared)
        query = [ClassMoments.of(*(v[part] for v in self.query), self.classes) for part in parts]
        loco = LeaveOneOut(self.moments, query, positions)
        half = np.repeat((0, 1), [part.sum() for part in parts])
        label, chroma, dipole = (np.concatenate([v[part] for part in parts]) for v in self.query)
        for c in range(self.classes):
            loco.add(c, *(values[label == c] for values in (chroma, dipole, half)))
        return loco

    def resultants(self, frames: np.ndarray, *, shared: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """r_image (2, K) and r_feature (2, F, K) in frames (F, N, 2), by half."""
        (label, chroma, dipole), (mean_h, mean_d) = self.query, self.moments.centre
        points = np.einsum("bn,fnj->bfj", chroma - mean_h, frames, optimize=True)
        of_class = [[part & (label == c) for c in range(self.classes)] for part in self.parts(shared=shared)]
        image = [[resultants((dipole[c] - mean_d)[:, None])[0] for c in half] for half in of_class]
        feature = [np.stack([resultants(points[c]) for c in half], axis=1) for half in of_class]
        return np.array(image), np.array(feature)


def share_as_high(draws: np.ndarray) -> float:
    """p of the first of some draws."""
    return float((draws >= draws[0] - TIE).mean())


def p_values(world: World, draws: int, *, shared: bool) -> dict[str, float]:
    """p of the agreement, and of J where a class is left out, by frame."""
    memory, positions = world.moments, class_permutations(world.classes, draws)
    swaps = class_permutations(world.classes, SWAPS)
    comoments = memory.between(swaps)
    comoments[0] += memory.within
    image, feature = world.resultants(nearest_orthonormal(comoments), shared=shared)
    _, within = world.resultants(nearest_orthonormal(memory.within[None]), shared=shared)
    loco = world.leave_one_out(positions, shared=shared).result()
    moved = np.stack([image[0][positions], image[1][np.argsort(positions, axis=1)]])
    return {
        "loco": share_as_high(loco.agreement),
        "loco J": share_as_high(loco.joint),
        "coupled": share_as_high(cross(image[:, swaps], feature).agreement),
        "within": share_as_high(cross(moved, within).agreement),
    }


def intervals(worlds: list[World], *, shared: bool) -> dict[str, tuple[float, float, float]]:
    """Of A and J where a class is left out: mean, mean standard error over deviation, coverage at 95 %."""
    asked = [world.leave_one_out(np.arange(world.classes)[None], shared=shared) for world in worlds]
    values = np.concatenate([loco.result() for loco in asked], axis=1)  # (2, worlds)
    errors = np.array([loco.standard_errors() for loco in asked]).T
    mean = values.mean(axis=1, keepdims=True)
    reach = stats.t.ppf(0.975, worlds[0].classes - 1) * errors
    covered = (abs(values - mean) <= reach).mean(axis=1)
    ratio = errors.mean(axis=1) / values.std(axis=1)
    return {
        name: (float(mean[i, 0]), float(ratio[i]), float(covered[i])) for i, name in enumerate(("A", "J"))
    }


def main() -> None:
    """Print, design by design, the share of worlds that each frame finds, and what the intervals hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--worlds", type=int, default=400)
    parser.add_argument("--draws", type=int, default=199)
    options = parser.parse_args()
    for level, design in DESIGNS:
        worlds = [World.of(seed, design) for seed in range(options.worlds)]
        print(f"{design}, at {level}")
        for shared in (True, False):
            found = [p_values(world, options.draws, shared=shared) for world in worlds]
            shares = {name: round(float(np.mean([p[name] <= level for p in found])), 4) for name in found[0]}
            told = {name: [round(x, 3) for x in t] for name, t in intervals(worlds, shared=shared).items()}
            print("  shared " if shared else "  crossed", shares, told, flush=True)


if __name__ == "__main__":
    main()
