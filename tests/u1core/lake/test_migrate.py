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


def test_every_version_has_a_way_to_the_next():
    assert sorted(migration._STEPS) == list(range(min(migration._STEPS), SCHEMA_VERSION))


def test_a_migrated_lake_is_as_it_was_committed(old_lake):
    migrate(old_lake.root)
    assert verify(Lake.open(old_lake.root)) == []
