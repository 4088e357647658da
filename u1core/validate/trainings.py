"""Trainings with a known gain: does the rule of claim 5 call a gain what is one, and nothing else?

Every run answers the same test images, some of which are hard for all; what an arm gains it gains on these.
Shape legend: T worlds, A arms, S seeds, B test images.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import numpy as np
import pyarrow as pa

from u1core.validate.angles import insert

IMAGES = 5_000
"""Test images, as few as the rule takes."""

_HARD, _RIGHT_WHEN_HARD = 0.15, 0.5
_RIGHT_WHEN_EASY = 0.995
_OF_SEEDS = 0.001
"""Standard deviation over seeds of an arm's expected accuracy."""

_RIVALS = ("onehot+shuffled", "onehot+plane", "onehot+smoothing")


@dataclass(frozen=True)
class Training:
    """Arms and what they truly gain over one-hot labels, in points of accuracy.

    Attributes:
        name: In tables.
        gains: By arm; 'onehot' gains nothing.
        truth: Of claim 5: 'false', 'may hold', or 'not told': it holds too often though it should not.
        seeds: S.
        traded: Share of the images on which the combined loss answers otherwise at every seed, right for
            wrong or wrong for right by the toss of a coin: over all pictures it gains nothing by that.
    """

    name: str
    gains: Mapping[str, float]
    truth: str = "false"
    seeds: int = 10
    traded: float = 0.0


def _with(gain: float, rivals: float = 0.0, **others: float) -> dict[str, float]:
    named = {f"onehot+{arm}": value for arm, value in others.items()}
    return {"onehot+u1": gain, **dict.fromkeys(_RIVALS, rivals), **named}


TRAININGS = (
    Training("gain 0", _with(0.0)),
    Training("gain 0.25", _with(0.25)),
    Training("gain 0.5, the least of interest", _with(0.5)),
    Training("gain 1", _with(1.0), truth="may hold"),
    Training("gain 1.5", _with(1.5), truth="may hold"),
    Training("gain 1, smoothing gains as much", _with(1.0, smoothing=1.0)),
    Training("gain 1, no smoothing arm", {a: g for a, g in _with(1.0).items() if a != "onehot+smoothing"}),
    Training("gain 1, five seeds", _with(1.0), seeds=5),
    Training("gain 0, other images", _with(0.0), "not told", traded=0.04),
    Training("gain 0.25, other images", _with(0.25), "not told", traded=0.04),
)


def insert_trainings(connection: duckdb.DuckDBPyConnection, worlds: int, rng: np.random.Generator) -> None:
    """Insert so many draws of each of `TRAININGS`, each of another task: '<number> <draw>'."""
    for number, training in enumerate(TRAININGS):
        for world in range(worlds):
            _insert_world(connection, f"{number} {world}", training, rng)


def _insert_world(
    connection: duckdb.DuckDBPyConnection,
    task: str,
    training: Training,
    rng: np.random.Generator,
) -> None:
    arms = {"onehot": 0.0, **training.gains}
    runs = list(itertools.product(arms, range(training.seeds)))
    keys = [f"{task} {arm} {seed}" for arm, seed in runs]
    is_hard, is_traded = rng.random(IMAGES) < _HARD, rng.random(IMAGES) < training.traded
    gain = np.array([arms[arm] for arm, _ in runs]) / 100 + rng.normal(0, _OF_SEEDS, len(runs))
    chance = np.where(is_hard, _RIGHT_WHEN_HARD + gain[:, None] / _HARD, _RIGHT_WHEN_EASY)
    for_combined = rng.random(IMAGES) < 0.5
    is_combined = np.array([arm == "onehot+u1" for arm, _ in runs])[:, None]
    traded = np.where(for_combined == is_combined, _RIGHT_WHEN_EASY, 1 - _RIGHT_WHEN_EASY)
    is_right = rng.random(chance.shape) < np.where(is_traded, traded, chance)  # (A S, B)
    named = {
        "run_key": keys,
        "experiment": [task] * len(runs),
        "task": [task] * len(runs),
        "network": ["generated"] * len(runs),
        "arm": [arm for arm, _ in runs],
        "u1_weight": [float(arm != "onehot") for arm, _ in runs],
        "seed": [seed for _, seed in runs],
    }
    at = pa.array([datetime.now(UTC)] * len(runs), pa.timestamp("us", tz="UTC"))
    every = {"is_tested": [True] * len(runs), "images_test": [IMAGES] * len(runs)}
    insert(connection, "training_runs", pa.table(named | every | {"selected_at": at, "committed_at": at}))
    insert(connection, "training_epochs", pa.table(named | {"epoch": [1] * len(runs)}))
    label = np.zeros(is_right.size, dtype=np.int64)
    predictions = {"label": label, "predicted_label": 1 - is_right.ravel().astype(np.int64)}
    repeated = {
        name: pa.array(values).take(np.repeat(np.arange(len(runs)), IMAGES)) for name, values in named.items()
    }
    insert(connection, "training_predictions", pa.table(repeated | predictions))
