import errno
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from u1core.common.errors import U1Error
from u1core.lake import store
from u1core.lake.schema import COLUMNS, SCHEMAS
from u1core.lake.store import CellId, Lake, list_column

CELL = CellId("k1", "digits", "net", "original")


@pytest.fixture
def lake(tmp_path):
    return Lake.open(tmp_path / "lake", create=True)


def frames(n):
    return {"layer": ["a"] * n, "coupling_1": np.arange(n, dtype=float)}


def test_a_file_carries_its_keys_units_and_nulls(lake):
    columns = {"image_id": np.array([3, 4]), "theta_image_rad": np.array([0.5, np.nan])}
    lake.write("angles", CELL, columns, layer="conv.1", part=2)
    path = lake.root / "angles/dataset=digits/model=net/variant=original/layer=conv.1/k1-00002.parquet"
    table = pq.ParquetFile(path).read()
    assert table.schema.equals(SCHEMAS["angles"], check_metadata=True)
    assert table.to_pylist()[1]["theta_image_rad"] is None
    row = table.to_pylist()[0]
    assert (row["cell_key"], row["layer"], row["theta_image_rad"]) == ("k1", "conv.1", 0.5)


def test_a_list_of_more_numbers_than_arrow_counts_is_refused():
    with pytest.raises(pa.ArrowInvalid, match="not in range"):
        list_column(np.broadcast_to(np.float32(0), (70_000, 40_000)))


def test_a_column_that_the_table_has_not_is_refused(lake):
    with pytest.raises(U1Error, match="columns that the table frames has; got coupling_3, z;"):
        lake.write("frames", CELL, {**frames(2), "z": [1, 2], "coupling_3": [1, 2]})
    assert not list(lake.root.glob("frames/**/*.parquet"))


def test_every_column_says_what_it_is():
    assert all(c.description for columns in COLUMNS.values() for c in columns)


def test_a_failing_write_leaves_no_trace(lake, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store.pq, "write_table", full)
    with pytest.raises(U1Error, match="room on the lake's disk"):
        lake.write("frames", CELL, frames(2))
    assert not list(lake.root.glob("frames/**/*.parquet"))
    assert not list(lake.work(CELL).iterdir())


@pytest.mark.parametrize(("number", "limit"), [(errno.EFBIG, "ulimit -f"), (errno.EMFILE, "ulimit -n")])
def test_a_limit_of_the_process_is_named(lake, monkeypatch, number, limit):
    def limited(*args, **kwargs):
        raise OSError(number, "no more")

    monkeypatch.setattr(store.pq, "write_table", limited)
    with pytest.raises(U1Error, match=f"raise `{limit}` and run the same command again"):
        lake.write("frames", CELL, frames(2))
    assert not list(lake.root.glob("frames/**/*.parquet"))


def test_commit_drops_the_unfinished_state_and_select_makes_current(lake):
    lake.save_state(CELL, "part-00000.npz", b"x")
    lake.commit(CELL, {"status": "done"})
    assert not lake.work(CELL).exists()
    newer = CellId("k2", "digits", "net", "original")
    lake.commit(newer, {"status": "done"})
    before = lake.cells()
    assert before["k2"]["selected_at"] > before["k1"]["selected_at"]
    lake.select(newer)
    assert lake.cells() == before
    lake.select(CELL)
    assert lake.cells()["k1"]["selected_at"] > before["k2"]["selected_at"]
    assert lake.cells()["k1"]["committed_at"] == before["k1"]["committed_at"]


def test_what_was_asked_for_last_is_current_though_the_clock_went_back(lake, monkeypatch):
    class Earlier(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2020, 1, 1, tzinfo=tz)

    newer = CellId("k2", "digits", "net", "original")
    lake.commit(CELL, {"status": "done"})
    monkeypatch.setattr(store, "datetime", Earlier)
    lake.commit(newer, {"status": "done"})
    selected = {key: row["selected_at"] for key, row in lake.cells().items()}
    assert selected["k2"] > selected["k1"]
    lake.select(CELL)
    assert lake.cells()["k1"]["selected_at"] > selected["k2"]


def test_a_cell_that_failed_before_is_committed_in_its_place(lake):
    lake.mark_failed(CELL, {"status": "failed", "error": "why"})
    lake.commit(CELL, {"status": "done"})
    assert [row["status"] for row in lake.cells().values()] == ["done"]


def test_a_failed_cell_keeps_its_state(lake):
    lake.save_state(CELL, "part-00000.npz", b"x")
    lake.mark_failed(CELL, {"status": "failed", "error": "why"})
    assert lake.cells()["k1"]["error"] == "why"
    assert (lake.work(CELL) / "part-00000.npz").is_file()


def test_a_folder_of_something_else_is_not_a_lake(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    for create in (True, False):
        with pytest.raises(U1Error, match="holds something else"):
            Lake.open(tmp_path, create=create)
    with pytest.raises(U1Error, match="where none is"):
        Lake.open(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()


def test_a_lake_of_another_version_is_refused(lake):
    (lake.root / store.MARK).write_text('{"schema_version": 99}')
    with pytest.raises(U1Error, match="version 99"):
        Lake.open(lake.root)
    (lake.root / store.MARK).write_text("{")
    with pytest.raises(U1Error, match="unreadable"):
        Lake.open(lake.root)


def test_a_lake_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(U1Error):
        Lake.open(tmp_path / "file" / "lake", create=True)


def test_one_sweep_at_a_time(lake):
    with lake.alone(), pytest.raises(U1Error, match="one that is writing now"), Lake(lake.root).alone():
        pass
    with lake.alone():
        pass


def test_a_done_cell_replaces_failed_tries(lake):
    lake.mark_failed(
        CellId("unknown", "digits", "net", "original"), {"status": "failed", "error": "no images"}
    )
    lake.mark_failed(CellId("other", "digits", "other", "original"), {"status": "failed", "error": "stays"})
    lake.commit(CELL, {"status": "done"})
    assert set(lake.cells()) == {"k1", "other"}
