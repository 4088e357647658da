"""Are the formulas right, and do the tests reject as often as they say when there is nothing to find?"""

from __future__ import annotations

from functools import partial

import duckdb
import numpy as np

from u1core.lake.connect import connect, freeze
from u1core.lake.guard import run_query
from u1core.validate.angles import ask, fill, labels_of, lumpy, permuted, wrap
from u1core.validate.outcome import Finding, Outcome, Size, close, levels

_BIAS = "select * from class_bias where plane = 'image' order by cell_key"
_DIRECTIONS = "select * from class_directions where plane = 'image' order by cell_key, label"


def formulas(connection: duckdb.DuckDBPyConnection, size: Size, rng: np.random.Generator) -> Outcome:
    """Compare W, its size, q, R and directions with their definitions in numpy, ties included."""
    label = labels_of((4, 9, 30, 60))
    theta = wrap(rng.vonmises(0.0, 0.7, (12, len(label))) + 0.3 * label)
    theta[::2] = np.round(theta[::2], 1)
    fill(connection, theta, label)
    bias = ask(connection, _BIAS)
    leaning = ask(connection, _DIRECTIONS)
    w = np.array([uniform_scores(row, label) for row in theta])
    resultant = np.array([[np.exp(1j * row[label == c]).mean() for c in range(4)] for row in theta]).ravel()
    turn = wrap(leaning["mean_direction_rad"] - np.angle(resultant))
    return Outcome(
        [
            close("W equals its definition, ties included", np.abs(bias["mww_w"] - w).max(), 1e-9),
            close("effect size = W / 2n", np.abs(bias["effect_size"] - w / (2 * len(label))).max(), 1e-12),
            close(
                "q equals Benjamini-Hochberg", np.abs(bias["mww_q"] - adjusted(bias["mww_p"])).max(), 1e-12
            ),
            close("class directions equal arg of the mean", np.abs(turn).max(), 1e-9, " rad"),
            close(
                "R equals its definition", np.abs(leaning["resultant_length"] - abs(resultant)).max(), 1e-9
            ),
        ]
    )


def uniform_scores(theta: np.ndarray, label: np.ndarray) -> float:
    """Return W of angles (N,): 2 sum_k |sum of e^{2 pi i rank / N}|^2 / n_k, mean ranks on ties."""
    low = (theta[:, None] > theta).sum(axis=1)
    equal = (theta[:, None] == theta).sum(axis=1)
    points = np.exp(2j * np.pi * (low + (equal + 1) / 2) / len(theta))
    return float(2 * sum(abs(points[label == c].sum()) ** 2 / (label == c).sum() for c in np.unique(label)))


def adjusted(p: np.ndarray) -> np.ndarray:
    """Return Benjamini and Hochberg's (1995) q of p-values (T,): min over ranks at or above of p T / rank."""
    order = np.argsort(p)[::-1]
    scaled = p[order] * len(p) / np.arange(len(p), 0, -1)
    q = np.empty(len(p))
    q[order] = np.minimum(1.0, np.minimum.accumulate(scaled))
    return q


def level_of_bias(connection: duckdb.DuckDBPyConnection, size: Size, rng: np.random.Generator) -> Outcome:
    """Permute the labels of fixed angles: small, unequal and large classes, even, lumpy and tied angles."""
    designs = {
        "20 classes of 2": ((2,) * 20, _even(rng, 40)),
        "8 classes of 5": ((5,) * 8, _even(rng, 40)),
        "5, 10, 20 images, lumpy": ((5, 10, 20), lumpy(rng, 35)),
        "4 classes of 60, lumpy": ((60,) * 4, lumpy(rng, 240)),
        "20, 40, 80 images": ((20, 40, 80), _even(rng, 140)),
        "4 classes of 30, 2 in 5 angles equal": ((30,) * 4, np.append(np.zeros(48), _even(rng, 72))),
    }

    def draw(name: str, count: int) -> dict[str, np.ndarray]:
        sizes, theta = designs[name]
        fill(connection, permuted(rng, theta, count), labels_of(sizes))
        return {f"MWW, {name}": ask(connection, _BIAS)["mww_p"]}

    return Outcome([f for name in designs for f in levels(partial(draw, name), size.nulls)])


def _even(rng: np.random.Generator, images: int) -> np.ndarray:
    return rng.uniform(-np.pi, np.pi, images)


def level_of_rayleigh(connection: duckdb.DuckDBPyConnection, size: Size, rng: np.random.Generator) -> Outcome:
    """Test classes of even angles for a direction, 100 classes a data set."""

    def draw(images: int, count: int) -> dict[str, np.ndarray]:
        label = labels_of((images,) * 100)
        fill(connection, rng.uniform(-np.pi, np.pi, (count // 100, len(label))), label)
        return {f"Rayleigh, {images} images": ask(connection, _DIRECTIONS)["rayleigh_p"]}

    return Outcome([f for images in (5, 10, 100) for f in levels(partial(draw, images), size.nulls)])


def false_discoveries(connection: duckdb.DuckDBPyConnection, size: Size, rng: np.random.Generator) -> Outcome:
    """Simulate lakes of 10 true and 30 null tests and count the false ones among what is found.

    Of independent tests the share is on average the level times the share of nulls, 0.2 x 30/40: at most
    that (Benjamini and Hochberg 1995), and exactly that for continuous p (Finner and Roters 2001).
    """
    sizes, nulls, level = (20, 20, 20), 30, 0.2
    label = labels_of(sizes)
    theta = rng.uniform(-np.pi, np.pi, (size.lakes * 40, len(label)))
    is_null = np.arange(len(theta)) % 40 < nulls
    leaning = rng.vonmises(0.0, 1.2, theta.shape) + 2 * np.pi / 3 * label
    theta = np.where(is_null[:, None], theta, wrap(leaning))
    fill(connection, theta, label)
    p = ask(connection, _BIAS)["mww_p"].reshape(size.lakes, 40)
    q = np.stack([_q_in_sql(connection, lake) for lake in p])
    found = q <= level
    false = (found & is_null.reshape(p.shape)).sum(axis=1) / np.maximum(found.sum(axis=1), 1)
    error = 3.29 * false.std() / np.sqrt(size.lakes)
    expected = level * nulls / 40
    power = float(found[~is_null.reshape(p.shape)].mean())
    return Outcome(
        [
            Finding(
                "false finds at q <= 0.2, 3/4 of tests null",
                f"{expected - error:.3f} to {expected + error:.3f}",
                f"{false.mean():.3f} in {size.lakes} lakes",
                bool(abs(false.mean() - expected) <= error),
            ),
            Finding("true finds at q <= 0.2", "more than half", f"{power:.2f}", power > 0.5),
        ]
    )


def _q_in_sql(connection: duckdb.DuckDBPyConnection, p: np.ndarray) -> np.ndarray:
    """Return q of one simulated lake's p (T,), by the macro of the views."""
    query = """
        with given as (select * from unnest($p::double[]) with ordinality as t(p, number))
        select q from benjamini_hochberg(given, p) order by number
    """
    q: np.ndarray = run_query(connection, query, {"p": p.tolist()})["q"].to_numpy()
    return q


def level_of_agreements(
    connection: duckdb.DuckDBPyConnection, size: Size, rng: np.random.Generator
) -> Outcome:
    """Give two models of every data set, in both planes, independent class directions."""

    def draw(count: int) -> dict[str, np.ndarray]:
        theta = rng.uniform(-np.pi, np.pi, (2, 2 * count, 8))
        datasets = [f"{i:06d}" for i in range(count) for _ in range(2)]
        # The view is computed once for both questions; it has a connection of its own, which it changes.
        with connect(None) as apart:
            models = ["a", "b"] * count
            fill(apart, theta[0], np.arange(8), theta_feature=theta[1], datasets=datasets, models=models)
            freeze(apart, ["class_directions", "agreements"])
            return {
                f"agreement of {pair}": ask(apart, f"select permutation_p as p from {view}")["p"]
                for pair, view in (("planes", "plane_agreement"), ("models", "model_agreement"))
            }

    return Outcome(levels(draw, size.agreement_nulls))
