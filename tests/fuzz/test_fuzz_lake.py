"""Whatever became of a file of a lake: rows, or a U1Error of one line."""

import os
import time

import pyarrow as pa
import pytest
from fuzzing import answer, damaged, fuzzed
from hypothesis import given
from hypothesis import strategies as st

from u1core.lake import index, views
from u1core.lake.connect import connect
from u1core.lake.guard import run_query
from u1core.lake.schema import SCHEMAS
from u1core.lake.store import CellId, Lake, RegistrationId, SweepId

CELLS = [CellId(f"key{number}", "digits", f"model{number}", "original") for number in range(3)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A lake of three cells with a row or two in every table, and an index."""
    root = tmp_path_factory.mktemp("fuzz") / "lake"
    made = Lake.open(root, create=True)
    for cell in CELLS:
        for table in SCHEMAS:
            if table == "sweeps":
                made.write(table, SweepId.draw(), {"computed": [1]})
            elif table == "registrations":
                made.write(table, RegistrationId.now("key", []), {"cell_keys": [["key0"]]})
            elif table != "cells" and not table.startswith("training"):
                made.write(table, cell, {"dataset": [cell.dataset] * 2})
        made.commit(cell, {"status": "done"})
    written = made.storage.modified("cells")
    rows = index.read_files(made.storage, sorted(written))
    index._write_index(made.storage, [row | {"modified": written[row["file"]]} for row in rows])
    os.utime(root / index.INDEX, (time.time() + 60,) * 2)  # settled: the index is used
    return root


def read(root, query):
    """Read a lake as a sweep and as `u1 sql` do."""
    found = Lake.find(root)
    cells = found.cells()
    with connect(root, views.views_named(query)) as connection:
        return cells, run_query(connection, query)


@fuzzed
@given(data=st.data())
def test_a_damaged_file(lake, data):
    files = sorted(
        path for path in lake.rglob("*") if path.is_file() and path.suffix in (".parquet", ".json")
    )
    path = data.draw(st.sampled_from(files), label="file")
    whole, times = path.read_bytes(), path.stat()
    table = path.relative_to(lake).parts[0]
    query = f"select * from lake.{table}" if table in SCHEMAS else "select * from cells"
    path.write_bytes(data.draw(damaged([whole]), label="content"))
    if path.name == "cells.parquet":
        os.utime(path, (time.time() + 60,) * 2)
    try:
        found = answer(read, lake, query)
    finally:
        path.write_bytes(whole)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert found is None or isinstance(found[1], pa.Table)
