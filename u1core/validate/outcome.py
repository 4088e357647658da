"""What a validation says, and how large it is."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import binom


@dataclass(frozen=True)
class Finding:
    """One test: its name, what was expected, what came, and whether that is as expected."""

    test: str
    expected: str
    observed: str
    passed: bool


@dataclass(frozen=True)
class Table:
    """Figures to look at: a title, column headings and rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


@dataclass(frozen=True)
class Outcome:
    """Findings and tables, in order; outcomes add up."""

    findings: list[Finding] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)

    def __add__(self, other: Outcome) -> Outcome:
        """Return both, this one first."""
        return Outcome(self.findings + other.findings, self.tables + other.tables)

    @property
    def failed(self) -> list[Finding]:
        """The findings that are not as expected."""
        return [finding for finding in self.findings if not finding.passed]


@dataclass(frozen=True)
class Size:
    """How much is generated.

    Attributes:
        nulls: Data sets per rejection rate.
        agreement_nulls: Pairs of planes or models per rejection rate.
        lakes: Simulated lakes behind the false discovery rate.
        power: Data sets per point of the power curve.
        laws: Distributions of the coverage.
        counts: Images per class of the coverage.
        arcs: Classes per point of the coverage.
        images: Images of the planted angles, per class and split; even.
        rounds: Draws of every world of the claims' rules.
        kinds: Kinds of pictures whose worlds are drawn; empty: all.
        images_of_worlds: Their images, per class and split.
        trainings: Draws of every world of trainings.
    """

    nulls: int
    agreement_nulls: int
    lakes: int
    power: int
    laws: tuple[str, ...]
    counts: tuple[int, ...]
    arcs: int
    images: int
    rounds: int
    kinds: tuple[str, ...]
    images_of_worlds: int
    trainings: int

    @classmethod
    def quick(cls) -> Size:
        """Seconds, for tests."""
        return cls(
            nulls=2000,
            agreement_nulls=100,
            lakes=200,
            power=60,
            laws=("von Mises 1", "von Mises 5", "skewed"),
            counts=(10, 25, 50),
            arcs=1000,
            images=20,
            rounds=1,
            kinds=("ring", "dome"),
            images_of_worlds=20,
            trainings=1,
        )

    @classmethod
    def full(cls) -> Size:
        """Minutes on two cores."""
        return cls(
            nulls=5000,
            agreement_nulls=1000,
            lakes=2000,
            power=400,
            laws=("von Mises 0.5", "von Mises 1", "von Mises 2", "von Mises 5", "skewed"),
            counts=(5, 8, 10, 15, 25, 49, 50, 100, 400),
            arcs=4000,
            images=100,
            rounds=30,
            kinds=(),
            images_of_worlds=30,
            trainings=100,
        )


def binomial_band(trials: int, share: float) -> tuple[float, float]:
    """Return the central 99 % of a binomial share: (low, high), both still inside.

    Example:
        >>> binomial_band(2000, 0.05)
        (0.038, 0.063)
    """
    low, high = binom.interval(0.99, trials, share)
    return float(low) / trials, float(high) / trials


def levels(draw: Callable[[int], dict[str, np.ndarray]], nulls: int) -> list[Finding]:
    """Compare rates of rejection under the null with their levels, 0.05 and 0.01.

    A rate outside its band is drawn again, once and four times as large: chance rarely misses twice, a
    wrong formula does so the more surely.

    Args:
        draw: Gives p-values under the null by name of the test, as many data sets as asked for.
        nulls: How many to ask for.
    """
    findings = _rejections(draw(nulls))
    return findings if all(f.passed for f in findings) else _rejections(draw(4 * nulls))


def _rejections(p_values: dict[str, np.ndarray]) -> list[Finding]:
    findings = []
    for (test, p), level in itertools.product(p_values.items(), (0.05, 0.01)):
        low, high = binomial_band(len(p), level)
        rate = float(np.mean(p <= level))
        findings.append(
            Finding(
                f"level {level:g}: {test}",
                f"{low:.4f} to {high:.4f}",
                f"{rate:.4f} of {len(p)}",
                low <= rate <= high,
            )
        )
    return findings


def close(test: str, worst: float, tolerance: float, unit: str = "") -> Finding:
    """Compare the largest error with its tolerance; NaN, where something is missing, fails."""
    return Finding(test, f"error at most {tolerance:g}{unit}", f"{worst:.2g}{unit}", bool(worst <= tolerance))
