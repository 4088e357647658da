"""Bring a lake of an earlier schema version to the present one, in place, one file after another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from u1core.common.errors import U1Error
from u1core.lake import index
from u1core.lake.schema import SCHEMA_VERSION, SCHEMAS
from u1core.lake.store import CellId, Lake, key_of


def migrate(address: Path | str) -> int:
    """Migrate a lake; what was measured stays as it was, and so do the keys of the cells.

    The mark is written last and a file that is migrated is left alone: after a crash the same call goes on.

    Args:
        address: The lake's folder or URI.

    Returns:
        How many files were rewritten; 0 for a lake of the present version.

    Raises:
        U1Error: There is no lake, a sweep is writing to it, a file is damaged, or its version is too old.
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
    arms = {row["weights_sha256"]: row["arm"] for row in _rows(lake, "training_runs")}
    old = [row for row in _rows(lake, "cells") if "objective" not in row]
    for row in old:
        is_trained = row["weights"] not in ("none", "random, seed 0")
        row["objective"] = arms.get(row["weights_sha256"], "onehot") if is_trained else None
        with lake.storage.writing(row.pop("file")) as path:
            pq.write_table(pa.Table.from_pylist([row], schema=SCHEMAS["cells"]), path, compression="zstd")
    return len(old)


def _add_checksums(lake: Lake) -> int:
    """4 to 5: `files` says what the files of every cell were."""
    rows = _rows(lake, "cells")
    proved = {key_of(name) for name in lake.storage.names("files")}
    done = [row for row in rows if row["status"] == "done" and row["cell_key"] not in proved]
    for row in done:
        lake.write_sums(CellId(row["cell_key"], row["dataset"], row["model"], row["variant"]))
    return len(done)


def _rows(lake: Lake, table: str) -> list[index.Row]:
    """Read a table of one row a file; every row says which `file` it is from."""
    return index.read_files(lake.storage, [n for n in lake.storage.names(table) if n.endswith(".parquet")])


_STEPS: dict[int, Callable[[Lake], int]] = {3: _add_objectives, 4: _add_checksums}
"""By the version that each starts from."""
