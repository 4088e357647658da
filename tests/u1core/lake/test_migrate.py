"""Lakes of an earlier schema version: refused, migrated, and then as if they had been written today."""

import json

import pyarrow.parquet as pq
import pytest

from u1core.common.errors import U1Error
from u1core.lake import migrate as migration
from u1core.lake.migrate import migrate
from u1core.lake.schema import SCHEMA_VERSION, SCHEMAS
from u1core.lake.store import MARK, CellId, Lake, RunId
from u1core.lake.verify import verify

RUN = RunId("r1", "e1", "digits", "small_cnn:16", "onehot+u1", 0.3, 0)
CELLS = {
    CellId("k1", "digits", "taught", "original"): {"weights": "file:a.safetensors", "weights_sha256": "a"},
    CellId("k2", "digits", "net", "original"): {"weights": "torchvision:x@Y", "weights_sha256": "b"},
    CellId("k3", "digits", "net", "random-init"): {"weights": "random, seed 0"},
    CellId("k4", "digits", "pixels", "original"): {"weights": "none"},
}


@pytest.fixture
def old_lake(tmp_path):
    """A lake as version 3 wrote it: no objective in `cells`."""
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.write("training_runs", RUN, {"weights_sha256": ["a"]})
    for cell, row in CELLS.items():
        lake.commit(cell, {"status": "done", **row})
    for path in (lake.root / "cells").rglob("*.parquet"):
        table = pq.read_table(path, partitioning=None)
        pq.write_table(table.drop_columns("objective"), path)
    set_version(lake, 3)
    return lake


def set_version(lake, version):
    (lake.root / MARK).write_text(json.dumps({"format": "u1sweep lake", "schema_version": version}))


def objectives(lake):
    return {key: row["objective"] for key, row in Lake.open(lake.root).cells().items()}


def test_an_old_lake_is_refused_with_what_to_do(old_lake):
    with pytest.raises(U1Error, match=rf"version 3 in .*; run `u1 migrate --lake {old_lake.root}`"):
        Lake.open(old_lake.root)


def test_migration_says_what_weights_were_trained_by_and_keeps_the_rest(old_lake):
    def rows():
        return [
            {name: value for name, value in row.items() if name != "objective"}
            for row in Lake(old_lake.root).cells().values()
        ]

    before = rows()
    assert migrate(old_lake.root) == 4
    assert objectives(old_lake) == {"k1": "onehot+u1", "k2": "onehot", "k3": None, "k4": None}
    assert rows() == before
    for path in (old_lake.root / "cells").rglob("*.parquet"):
        schema = pq.ParquetFile(path).read().schema
        assert schema.equals(SCHEMAS["cells"])
        assert schema.metadata == SCHEMAS["cells"].metadata
    assert migrate(old_lake.root) == 0


def test_a_migration_that_crashed_goes_on(old_lake, monkeypatch):
    write, written = migration.pq.write_table, []

    def crash_at_the_third(table, path, **options):
        written.append(path)
        if len(written) == 3:
            raise KeyboardInterrupt
        write(table, path, **options)

    monkeypatch.setattr(migration.pq, "write_table", crash_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        migrate(old_lake.root)
    monkeypatch.undo()
    assert Lake(old_lake.root).version() == 3
    assert migrate(old_lake.root) == 2
    assert objectives(old_lake) == {"k1": "onehot+u1", "k2": "onehot", "k3": None, "k4": None}


@pytest.mark.parametrize("version", [2, SCHEMA_VERSION + 1])
def test_what_cannot_be_migrated_is_left_alone(old_lake, version):
    set_version(old_lake, version)
    with pytest.raises(U1Error, match="use the u1sweep release that wrote it"):
        migrate(old_lake.root)
    assert Lake(old_lake.root).version() == version


def test_a_sweep_that_is_writing_is_not_migrated(old_lake):
    with old_lake.alone(), pytest.raises(U1Error, match="one that is writing now"):
        migrate(old_lake.root)


def test_where_no_lake_is_nothing_is_made(tmp_path):
    with pytest.raises(U1Error, match="where none is"):
        migrate(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()


def as_version_5_wrote(lake, table, *names):
    """Take columns out of a table, as files before them were; say so of committed cells."""
    for path in (lake.root / table).rglob("*.parquet"):
        data = pq.read_table(path, partitioning=None)
        pq.write_table(data.drop_columns(list(names)), path)
    for cell in CELLS:
        lake.write_sums(cell)
    set_version(lake, 5)


def test_a_lake_of_version_5_says_of_no_cell_where_its_pictures_went(old_lake):
    migrate(old_lake.root)
    lake = Lake.open(old_lake.root)
    before = lake.cells()
    new = ["pictures_found", "pictures_unlabelled", "pictures_ignored", "pictures_not_selected"]
    new += ["ignored_kinds", "pictures_repeated"]
    as_version_5_wrote(lake, "cells", *new)
    assert migrate(lake.root) == 4
    assert Lake.open(lake.root).cells() == before
    assert all(row[name] is None for row in before.values() for name in new)
    assert all(
        pq.read_schema(path).equals(SCHEMAS["cells"]) for path in (lake.root / "cells").rglob("*.parquet")
    )
    assert verify(Lake.open(lake.root)) == []
    assert migrate(lake.root) == 0


def test_columns_that_are_completed_come_with_their_sums(old_lake):
    migrate(old_lake.root)
    lake = Lake.open(old_lake.root)
    cell, *_ = CELLS
    for layer in ("a", "b"):
        lake.write("angles", cell, {"image_id": [1, 2], "theta_image_rad": [0.5, None]}, layer=layer)
    lake.write("frames", cell, {"layer": ["a"], "channels": [3]})
    as_version_5_wrote(lake, "angles", "strength_image", "strength_feature")
    frames = next((lake.root / "frames").rglob("*.parquet"))
    frames.write_bytes(frames.read_bytes()[:-1])  # damaged since: that is not blessed
    assert migration.complete_columns(lake, "angles") == 2
    assert migration.complete_columns(lake, "angles") == 0
    found = lake.read("angles", cell, layer="b")
    assert found.schema.equals(SCHEMAS["angles"], check_metadata=True)
    assert found["theta_image_rad"].to_pylist() == [0.5, None]
    assert found["strength_image"].to_pylist() == [None, None]
    lake.write_mark()
    assert [damage.name for damage in verify(lake)] == [str(frames.relative_to(lake.root))]


def test_columns_that_a_crash_left_uncompleted_get_the_sums_they_have(old_lake, monkeypatch):
    migrate(old_lake.root)
    lake = Lake.open(old_lake.root)
    cell, *_ = CELLS
    lake.write("angles", cell, {"image_id": [1]}, layer="a")
    as_version_5_wrote(lake, "angles", "strength_image")

    def crash(name, content):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(lake.storage, "write", crash)
        migration.complete_columns(lake, "angles")
    assert migration.complete_columns(lake, "angles") == 1
    lake.write_mark()
    assert verify(lake) == []


def test_a_damaged_file_stops_a_migration_in_one_line(old_lake):
    next((old_lake.root / "cells").rglob("*.parquet")).write_bytes(b"PAR1 nothing")
    with pytest.raises(U1Error, match=r"a damaged .*cells"):
        migrate(old_lake.root)


def test_every_version_has_a_way_to_the_next():
    assert sorted(migration._STEPS) == list(range(min(migration._STEPS), SCHEMA_VERSION))


def test_a_migrated_lake_is_as_it_was_committed(old_lake):
    migrate(old_lake.root)
    assert verify(Lake.open(old_lake.root)) == []


def test_a_lake_of_version_6_says_of_no_record_where_its_object_lies(old_lake):
    migrate(old_lake.root)
    lake = Lake.open(old_lake.root)
    cell, *_ = CELLS
    lake.write("records", cell, {"image_id": [1, 2], "dipole_x": [0.5, None]}, layer="a")
    new = ["roll_x", "roll_y", "object_x", "object_y", "object_radius"]
    as_version_5_wrote(lake, "records", *new)
    set_version(lake, 6)
    assert migrate(lake.root) == 1
    found = Lake.open(lake.root).read("records", cell, layer="a")
    assert found.schema.equals(SCHEMAS["records"], check_metadata=True)
    assert found["dipole_x"].to_pylist() == [0.5, None]
    assert all(found[name].to_pylist() == [None, None] for name in new)
    assert verify(Lake.open(lake.root)) == []
