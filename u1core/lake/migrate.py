"""Bring a lake of an earlier schema version to the present one, in place, one file after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from u1core.errors import U1Error
from u1core.lake.store import Lake
from u1core.schema import SCHEMA_VERSION, SCHEMAS


def migrate(address: Path | str) -> int:
    """Migrate a lake; what was measured stays as it was, and so do the keys of the cells.

    The mark is written last and a file that is migrated is left alone: after a crash the same call goes on.

    Args:
        address: The lake's folder or URI.

    Returns:
        How many files were rewritten; 0 for a lake of the present version.

    Raises:
        U1Error: There is no lake, a sweep is writing to it, or its version is not one that can be migrated.
    """
    lake = Lake(address)
    version = lake.version()
    if version is None:
        raise U1Error("--lake to name a lake", f"{lake.root}, where none is", "name the one to migrate")
    if version == SCHEMA_VERSION:
        return 0
    if not {version, *range(version, SCHEMA_VERSION)} <= _STEPS.keys():
        wanted = f"a lake of a schema version from {min(_STEPS)} to {SCHEMA_VERSION}"
        todo = "use the u1sweep release that wrote it"
        raise U1Error(wanted, f"{version} in {lake.root}", todo)
    with lake.alone():
        rewritten = sum(_STEPS[step](lake) for step in range(version, SCHEMA_VERSION))
        lake.write_mark()
    return rewritten


def _add_objectives(lake: Lake) -> int:
    """3 to 4: `cells` says by which arm weights were trained, which `training_runs` alone knew."""
    arms = {row["weights_sha256"]: row["arm"] for _, rows in _files(lake, "training_runs") for row in rows}
    rewritten = 0
    for name, rows in _files(lake, "cells"):
        if "objective" in rows[0]:
            continue
        for row in rows:
            is_trained = row["weights"] not in ("none", "random, seed 0")
            row["objective"] = arms.get(row["weights_sha256"], "onehot") if is_trained else None
        with lake.storage.writing(name) as path:
            pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMAS["cells"]), path, compression="zstd")
        rewritten += 1
    return rewritten


def _files(lake: Lake, table: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the name and the rows of every file of a table."""
    for name in sorted(lake.storage.modified(table)):
        if name.endswith(".parquet"):
            with lake.storage.files.open_input_file(name) as file, pq.ParquetFile(file) as parquet:
                yield name, parquet.read().to_pylist()


_STEPS: dict[int, Callable[[Lake], int]] = {3: _add_objectives}
"""By the version that each starts from."""
