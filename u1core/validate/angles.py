"""Generated angles as lakes in memory, so that the product's own views judge them.

Shape legend: T data sets, N images each. Angles in radians.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np
import pyarrow as pa

from u1core.lake.guard import run_query
from u1core.lake.schema import SCHEMAS


def fill(
    connection: duckdb.DuckDBPyConnection,
    theta: np.ndarray,
    label: np.ndarray,
    *,
    theta_feature: np.ndarray | None = None,
    datasets: Sequence[str] | None = None,
    models: Sequence[str] | None = None,
) -> None:
    """Replace what the lake holds by one cell of one layer per data set.

    Args:
        connection: From `connect(None)`.
        theta: theta_image, (T, N).
        label: Class of every image, (T, N) or (N,).
        theta_feature: (T, N); null where not given.
        datasets: Dataset of every data set, (T,); one for all by default.
        models: Model of every data set, (T,); its own number by default.
    """
    count, images = theta.shape
    keys = [f"{i:06d}" for i in range(count)]
    cells = {
        "cell_key": keys,
        "dataset": list(datasets or ["generated"] * count),
        "model": list(models or keys),
        "variant": ["original"] * count,
    }
    rows = {
        name: pa.array(values).take(np.repeat(np.arange(count), images)) for name, values in cells.items()
    }
    rows["label"] = pa.array(np.broadcast_to(label, theta.shape).ravel())
    rows["theta_image_rad"] = pa.array(theta.ravel())
    if theta_feature is not None:
        rows["theta_feature_rad"] = pa.array(theta_feature.ravel())
    clear(connection)
    insert(connection, "cells", pa.table(cells), status="done", bottleneck="last")
    connection.execute("update lake.cells set layers = ['last'], selected_at = now()")
    insert(connection, "angles", pa.table(rows), layer="last", split="query")


def clear(connection: duckdb.DuckDBPyConnection) -> None:
    """Empty the raw tables."""
    for table in SCHEMAS:
        connection.execute(f"delete from lake.{table}")


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table, **common: str) -> None:
    """Insert rows into a raw table by name; `common` holds values that all rows share."""
    for name, value in common.items():
        rows = rows.append_column(name, pa.array([value] * len(rows)))
    connection.register("_given", rows)
    connection.execute(f"insert into lake.{table} by name select * from _given")
    connection.unregister("_given")


def ask(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, np.ndarray]:
    """Return the columns of a query; null numbers are NaN."""
    table = run_query(connection, query)
    return {name: table[name].to_numpy() for name in table.column_names}


def labels_of(sizes: Sequence[int]) -> np.ndarray:
    """Return the labels of classes of these sizes, (N,)."""
    return np.repeat(np.arange(len(sizes)), sizes)


def permuted(rng: np.random.Generator, theta: np.ndarray, count: int) -> np.ndarray:
    """Deal the same angles (N,) to fixed labels in `count` random orders, (T, N): label permutation."""
    return rng.permuted(np.tile(theta, (count, 1)), axis=1)


def lumpy(rng: np.random.Generator, images: int) -> np.ndarray:
    """Draw angles (N,) that favour two directions, as real ones do."""
    angles: np.ndarray = np.where(
        rng.random(images) < 0.6, rng.vonmises(2.0, 4.0, images), rng.vonmises(-0.5, 1.0, images)
    )
    return angles


def wrap(angle: np.ndarray) -> np.ndarray:
    """Bring angles into (-pi, pi]."""
    wrapped: np.ndarray = -np.remainder(np.pi - angle, 2 * np.pi) + np.pi
    return wrapped
