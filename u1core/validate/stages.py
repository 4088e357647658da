"""Does the product measure what it says? Its own SQL and functions, run on data whose answer is known.

Rejection rates under the null, false discoveries, power, coverage of the arcs, recovery of what was
planted, and exact symmetries. The seed is fixed, so the outcome is reproducible. At another seed chance
alone leaves a band of 99 % once in a hundred; a rate outside is therefore drawn again, once (`levels`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np

from u1core.lake.connect import connect
from u1core.validate import calibration, precision, real_cell, recovery, rules
from u1core.validate.outcome import Finding, Outcome, Size, Table

__all__ = ["SEED", "STAGES", "Finding", "Outcome", "Table", "validate"]

SEED = 2206
"""Seed of the generated data."""

Stage = Callable[[duckdb.DuckDBPyConnection, Size, np.random.Generator], Outcome]

STAGES: dict[str, Stage] = {
    "formulas": calibration.formulas,
    "level of the bias test": calibration.level_of_bias,
    "level of the Rayleigh test": calibration.level_of_rayleigh,
    "false discoveries": calibration.false_discoveries,
    "level of the agreements": calibration.level_of_agreements,
    "power": precision.power,
    "coverage": precision.coverage,
    "planted angles": recovery.planted_angles,
    "optics": recovery.optics,
    "symmetries": recovery.symmetries,
    "rules of the claims": rules.rules_of_claims,
}
"""What is tested, in this order; every stage has random numbers of its own."""


def validate(
    *,
    quick: bool = False,
    seed: int = SEED,
    lake: Path | str | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Outcome:
    """Run every stage and gather its findings and tables.

    Args:
        quick: Fewer and smaller data sets: seconds instead of minutes.
        seed: Of the generated data.
        lake: A lake; then the angles of one of its cells, labels permuted, are a null too.
        progress: Called before each stage with stages done, stages in all and the name of the next.

    Raises:
        U1Error: The lake holds no cell with angles.
    """
    size = Size.quick() if quick else Size.full()
    stages = dict(STAGES)
    if lake is not None:
        stages["labels of a real cell permuted"] = real_cell.permuted_cell(lake)
    outcome = Outcome()
    with connect(None) as connection:
        for number, (name, stage) in enumerate(stages.items()):
            if progress:
                progress(number, len(stages), name)
            outcome += stage(connection, size, np.random.default_rng([seed, number]))
    if progress:
        progress(len(stages), len(stages), "")
    return outcome
