"""The reference null of a real cell: its own angles, its labels permuted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np

from u1core.common.errors import U1Error
from u1core.lake.connect import connect
from u1core.lake.guard import run_query
from u1core.lake.store import Lake
from u1core.validate.angles import ask, fill, permuted
from u1core.validate.outcome import Outcome, Size, levels

MOST_IMAGES = 500
"""Images of the cell that are used: as many tests as there are nulls are computed on them."""

_CELLS = """
select layers.cell_key, layers.dataset, layers.model, layers.layer
from layers
where layers.is_bottleneck
order by layers.is_evidence desc, layers.dataset, layers.model, layers.variant
limit 1
"""
_ANGLES = """
select theta_rad, label
from plane_angles
where cell_key = $key
    and layer = $layer
    and plane = 'image'
    and split = 'query'
    and theta_rad is not null
order by md5(image_id::varchar)
limit $limit
"""


def permuted_cell(
    root: Path | str,
) -> Callable[[duckdb.DuckDBPyConnection, Size, np.random.Generator], Outcome]:
    """Return the stage that permutes the labels of a cell of a lake (query split, bottleneck).

    Raises:
        U1Error: The folder is no lake, or it holds no cell with angles.
    """
    Lake.open(root)
    with connect(root) as connection:
        cells = run_query(connection, _CELLS).to_pylist()
        rows = None
        for cell in cells:
            values = {"key": cell["cell_key"], "layer": cell["layer"], "limit": MOST_IMAGES}
            rows = run_query(connection, _ANGLES, values)
    if not rows:
        raise U1Error("--lake to hold a cell with angles", f"none in {root}", "run `u1 sweep` first")
    name = f"{cells[0]['model']} on {cells[0]['dataset']}, labels permuted"
    theta, label = rows["theta_rad"].to_numpy(), rows["label"].to_numpy()

    def stage(connection: duckdb.DuckDBPyConnection, size: Size, rng: np.random.Generator) -> Outcome:
        def draw(count: int) -> dict[str, np.ndarray]:
            fill(connection, permuted(rng, theta, count), label)
            bias = ask(connection, "select mww_p from class_bias where plane = 'image'")
            return {f"MWW, {name}": bias["mww_p"]}

        return Outcome(levels(draw, size.nulls))

    return stage
