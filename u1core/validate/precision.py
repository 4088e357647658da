"""What can be found, and how sure the arcs are: power of the bias test, coverage of class directions."""

from __future__ import annotations

import duckdb
import numpy as np

from u1core.validate.angles import ask, fill, labels_of, wrap
from u1core.validate.outcome import Finding, Outcome, Size, Table, binomial_band

KAPPAS = (0.0, 0.25, 0.5, 1.0, 2.0)
"""Planted concentrations (von Mises) of the power curve."""

IMAGES = (5, 20, 50)
"""Images per class of the power curve."""

CLASSES = 8

COVERED = (0.93, 0.97)
"""Coverage of nominal 95 % arcs, an unbounded arc counted as covering; measured in docs/method.md."""

COVERED_SMALL = 0.995
"""Upper end below 10 images, where the bootstrap is cautious."""


def power(connection: duckdb.DuckDBPyConnection, size: Size, rng: np.random.Generator) -> Outcome:
    """Plant directions 45 degrees apart, of every concentration, and count rejections at 0.05."""
    curve = np.empty((len(KAPPAS), len(IMAGES)))
    for j, images in enumerate(IMAGES):
        label = labels_of((images,) * CLASSES)
        kappa = np.repeat(KAPPAS, size.power)[:, None]
        scattered = np.where(
            kappa > 0,
            rng.vonmises(0.0, np.maximum(kappa, 1e-9), (len(kappa), len(label))),
            rng.uniform(-np.pi, np.pi, (len(kappa), len(label))),
        )
        fill(connection, wrap(scattered + 2 * np.pi / CLASSES * label), label)
        query = "select mww_p from class_bias where plane = 'image' order by cell_key"
        p = ask(connection, query)["mww_p"].reshape(len(KAPPAS), size.power)
        curve[:, j] = (p <= 0.05).mean(axis=1)
    return Outcome(_judge_power(curve, size.power), [_power_table(curve)])


def _judge_power(curve: np.ndarray, trials: int) -> list[Finding]:
    """Judge a power curve (K, J) over concentrations and images."""
    low, high = binomial_band(trials * curve.shape[1], 0.05)
    slack = 2.576 * np.sqrt(0.5 / trials)  # of a difference of two shares, at most
    fall = max(0.0, float(-np.diff(curve, axis=0).min()), float(-np.diff(curve[2:], axis=1).min()))
    return [
        Finding(
            "power of 0.05 without concentration",
            f"{low:.3f} to {high:.3f}",
            f"{curve[0].mean():.3f}",
            bool(low <= curve[0].mean() <= high),
        ),
        Finding(
            "power rises with concentration and images",
            f"no fall above {slack:.2f}",
            f"{fall:.2f}",
            bool(fall <= slack),
        ),
        Finding(
            "power at kappa 2, 20 or 50 images a class",
            "at least 0.99",
            f"{curve[-1, 1:].min():.3f}",
            bool(curve[-1, 1:].min() >= 0.99),
        ),
    ]


def _power_table(curve: np.ndarray) -> Table:
    rows = [(f"{k:g}", *(f"{rate:.3f}" for rate in row)) for k, row in zip(KAPPAS, curve, strict=True)]
    return Table(
        f"power of class_bias at 0.05, {CLASSES} classes {360 // CLASSES} degrees apart",
        ("kappa", *(f"{n} a class" for n in IMAGES)),
        rows,
    )


def coverage(connection: duckdb.DuckDBPyConnection, size: Size, rng: np.random.Generator) -> Outcome:
    """Count how often the arc of a class direction holds the true one, over concentration and images."""
    laws, counts = size.laws, size.counts
    rate, bounded = np.empty((2, len(laws), len(counts)))
    for i, law in enumerate(laws):
        for j, images in enumerate(counts):
            rate[i, j], bounded[i, j] = _covered(connection, rng, law, images, size.arcs)
    findings = [_judge_coverage(images, rate[:, j], size.arcs, laws) for j, images in enumerate(counts)]
    rows = [
        (law, *(f"{rate[i, j]:.3f} ({bounded[i, j]:.2f})" for j in range(len(counts))))
        for i, law in enumerate(laws)
    ]
    title = "coverage of 95 % arcs (share of classes that have an arc)"
    return Outcome(findings, [Table(title, ("law", *(f"n = {n}" for n in counts)), rows)])


def _covered(
    connection: duckdb.DuckDBPyConnection, rng: np.random.Generator, law: str, images: int, arcs: int
) -> tuple[float, float]:
    """Return the share of arcs that hold the true direction, and the share of classes that have an arc."""
    classes = 100
    theta, truth = _draw(law, (arcs // classes, images * classes), rng)
    fill(connection, wrap(theta), labels_of((images,) * classes))
    found = ask(connection, "select mean_direction_rad, ci_low_rad, ci_high_rad from class_directions")
    low, high, direction = (found[f"{name}_rad"] for name in ("ci_low", "ci_high", "mean_direction"))
    # Counted from the low end counter-clockwise, which is how an arc is read.
    inside = np.mod(truth - low, 2 * np.pi) <= np.mod(high - low, 2 * np.pi)
    has_arc = np.isfinite(low) & np.isfinite(direction)
    return float(np.mean(inside | ~has_arc)), float(np.mean(has_arc))


def _draw(law: str, shape: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Draw angles about a true mean direction of 3 rad, and return both."""
    if law == "skewed":
        side = rng.random(shape) < 0.3
        angles = np.where(side, rng.vonmises(1.5, 2.0, shape), rng.vonmises(0.0, 8.0, shape))
        # The mean resultants I1(kappa) / I0(kappa) of kappa 2 and 8.
        lean = float(np.angle(0.3 * 0.697775 * np.exp(1.5j) + 0.7 * 0.935235))
        return angles - lean + 3.0, 3.0
    return rng.vonmises(0.0, float(law.split()[-1]), shape) + 3.0, 3.0


def _judge_coverage(images: int, rates: np.ndarray, arcs: int, laws: tuple[str, ...]) -> Finding:
    low = binomial_band(arcs, COVERED[0])[0]
    high = binomial_band(arcs, COVERED[1] if images >= 10 else COVERED_SMALL)[1]
    worst = laws[int(np.argmax(np.abs(rates - 0.95)))]
    return Finding(
        f"coverage of 95 % arcs, {images} images",
        f"{low:.3f} to {high:.3f}",
        f"{rates.min():.3f} to {rates.max():.3f}, farthest: {worst}",
        bool((rates >= low).all() and (rates <= high).all()),
    )
