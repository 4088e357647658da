"""Bring a lake of an earlier schema version to the present one, in place, one file after another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from u1core.common.errors import U1Error
from u1core.lake import index
from u1core.lake.schema import CELL_TABLES, SCHEMA_VERSION, SCHEMAS
from u1core.lake.store import CellId, Lake, encode, key_of

_KEYS = ("cell_key", "dataset", "model", "variant")


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


def _add_accounts(lake: Lake) -> int:
    """5 to 6: `cells` says where every picture went, which nobody counted before."""
    return complete_columns(lake, "cells")


def _add_summaries(lake: Lake) -> int:
    """6 to 7: `cells` says whose the memory is, `records` how a picture was rolled and where its object lies.

    Tables of summaries are new, which cells of before do without.
    """
    return complete_columns(lake, "cells") + complete_columns(lake, "records")


def _add_claims(lake: Lake) -> int:
    """7 to 8: `planes` and `shapes` say how sure they are; what claims are judged by has tables."""
    return complete_columns(lake, "planes") + complete_columns(lake, "shapes")


def complete_columns(lake: Lake, table: str) -> int:
    """Give every file of a table all columns of its schema, null where nothing is known; and its sums anew.

    The sums come first: a file that a crash leaves as it was is lacking still, and is rewritten to them.

    Returns:
        How many files were rewritten.

    Raises:
        U1Error: A file is damaged.
    """
    names = [name for name in lake.storage.names(table) if name.endswith(".parquet")]
    lacking = [name for name in names if _missing(lake, table, name)]
    for name in lacking:
        old = index.read_table(lake.storage, name)
        new = {f.name: old[f.name] if f.name in old.column_names else None for f in SCHEMAS[table]}
        content = encode(table, new, len(old))
        if table in CELL_TABLES and table not in ("cells", "files"):
            _amend_sums(lake, CellId(*(old[key][0].as_py() for key in _KEYS)), name, content)
        lake.storage.write(name, content)
    return len(lacking)


def _missing(lake: Lake, table: str, name: str) -> set[str]:
    with lake.storage.files.open_input_file(name) as file, pq.ParquetFile(file) as parquet:
        return set(SCHEMAS[table].names) - set(parquet.schema_arrow.names)


def _amend_sums(lake: Lake, cell: CellId, name: str, content: bytes) -> None:
    """Say what one file of a committed cell is now; what the others were stays, damaged since or not."""
    if not lake.parts("files", cell):
        return
    rows = lake.read("files", cell).to_pylist()
    now = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    rows = [row | now if row["path"] == name else row for row in rows]
    lake.write("files", cell, {key: [row[key] for row in rows] for key in rows[0]})


def _rows(lake: Lake, table: str) -> list[index.Row]:
    """Read a table of one row a file; every row says which `file` it is from."""
    return index.read_files(lake.storage, [n for n in lake.storage.names(table) if n.endswith(".parquet")])


_STEPS: dict[int, Callable[[Lake], int]] = {
    3: _add_objectives,
    4: _add_checksums,
    5: _add_accounts,
    6: _add_summaries,
    7: _add_claims,
}
"""By the version that each starts from."""
