"""Do the planes' frames find what is coupled, and nothing where nothing is? Size and power over worlds.

    .venv/bin/python benchmarks/planes_null.py --worlds 400 --draws 999

Images of K classes whose means lie in both planes; a share of the variance of the means of chroma is the
dipole's own. Three frames are asked for p of their agreement: 'loco' (one class left out), 'coupled' against
classes that have one another's dipoles, and 'within'. docs/method.md, 'Frames and nulls', has what they gave.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from u1core.measures.planes import (
    SWAPS,
    TIE,
    Agreement,
    ClassMoments,
    LeaveOneOut,
    agree,
    class_permutations,
    nearest_orthonormal,
    resultants,
)

Split = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Labels (n,), chroma (n, N), dipoles (n, 2)."""


DESIGNS: tuple[tuple[float, dict[str, float]], ...] = (
    (0.05, {}),
    (0.05, {"within": 1.0}),
    (0.05, {"within": 1.0, "spread": 0.3}),
    (0.05, {"within": 1.0, "spread": 0.0}),
    (0.01, {"coupling": 0.3}),
    (0.01, {"coupling": 0.3, "within": 0.3}),
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

    def _split(self, counts: np.ndarray, dipoles: np.ndarray, means: np.ndarray, within: np.ndarray) -> Split:
        label = self.rng.permutation(np.repeat(np.arange(self.classes), counts))
        noise = self.rng.normal(size=(len(label), 2))
        chroma = means[label] + self.rng.normal(size=(len(label), means.shape[1])) + noise @ within
        return label, chroma, dipoles[label] + noise + [0.1, -0.2]

    def moments(self) -> list[ClassMoments]:
        """Of both splits, class by class."""
        return [ClassMoments.of(*split, self.classes) for split in (self.memory, self.query)]

    def leave_one_out(self, positions: np.ndarray) -> Agreement:
        """A and J of permutations (D, K)."""
        loco = LeaveOneOut(*self.moments(), positions)
        label, chroma, dipole = self.query
        for c in range(self.classes):
            loco.add(c, chroma[label == c], dipole[label == c])
        return loco.result()

    def resultants(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """r_image (K,) and r_feature (F, K) in frames (F, N, 2)."""
        (label, chroma, dipole), (mean_h, mean_d) = self.query, self.moments()[0].centre
        points = np.einsum("bn,fnj->bfj", chroma - mean_h, frames, optimize=True)
        of_class = [label == c for c in range(self.classes)]
        image = [resultants((dipole[c] - mean_d)[:, None])[0] for c in of_class]
        return np.array(image), np.stack([resultants(points[c]) for c in of_class], axis=1)


def share_as_high(draws: np.ndarray) -> float:
    """p of the first of some draws."""
    return float((draws >= draws[0] - TIE).mean())


def p_values(world: World, draws: int) -> dict[str, float]:
    """p of the agreement by frame."""
    memory, positions = world.moments()[0], class_permutations(world.classes, draws)
    swaps = class_permutations(world.classes, SWAPS)
    comoments = memory.between(swaps)
    comoments[0] += memory.within
    image, feature = world.resultants(nearest_orthonormal(comoments))
    _, within = world.resultants(nearest_orthonormal(memory.within[None]))
    return {
        "loco": share_as_high(world.leave_one_out(positions).agreement),
        "coupled": share_as_high(agree(image[swaps], feature).agreement),
        "within": share_as_high(agree(image[positions], within).agreement),
    }


def main() -> None:
    """Print the share of worlds that each frame finds, at 0.05 where nothing is coupled, else at 0.01."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--worlds", type=int, default=400)
    parser.add_argument("--draws", type=int, default=999)
    options = parser.parse_args()
    for level, design in DESIGNS:
        worlds = (World(seed, 10, 64, lambda _: np.full(10, 50), **design) for seed in range(options.worlds))
        found = [p_values(world, options.draws) for world in worlds]
        shares = {name: float(np.mean([p[name] <= level for p in found])) for name in found[0]}
        print(f"{design}, at {level}: {shares}", flush=True)


if __name__ == "__main__":
    main()
