"""Every kind of damage is found, told by its file, and taken out so that nothing of the cell is left."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from u1core.common.errors import TakenError
from u1core.lake.orphans import find_orphans, remove_orphans
from u1core.lake.store import CellId, Lake, RunId
from u1core.lake.verify import drop, verify

CELL = CellId("k1", "digits", "net", "original")
OTHER = CellId("k2", "digits", "net", "hflip")
RUN = RunId("r1", "e1", "digits", "small_cnn:16", "onehot", 0.0, 0)
IMAGES = list(range(500))


@pytest.fixture
def lake(tmp_path):
    """Two committed cells and a training run."""
    lake = Lake.open(tmp_path / "lake", create=True)
    for cell in (CELL, OTHER):
        lake.write("angles", cell, {"image_id": IMAGES, "theta_image_rad": [0.1] * 500}, layer="conv")
        lake.write("frames", cell, {"layer": ["conv"], "coupling_1": [0.5]})
        lake.commit(cell, {"status": "done", "class_names": ["ant", "bee"]})
    lake.write("training_epochs", RUN, {"epoch": [1, 2], "loss_onehot": [0.5, 0.25]})
    return lake


def file_of(lake, table, key="k1"):
    (path,) = (lake.root / table).rglob(f"{key}-*.parquet")
    return path


def flip_a_bit(path, where):
    content = bytearray(path.read_bytes())
    content[where if where >= 0 else len(content) + where] ^= 0x10
    path.write_bytes(content)


def found(lake):
    return [(damage.key, damage.name) for damage in verify(lake)]


def test_a_sound_lake_has_no_damage_and_every_file_counts(lake):
    seen = []
    assert verify(lake, lambda done, total: seen.append((done, total))) == []
    files = [file_of(lake, table, key) for table in ("angles", "frames") for key in ("k1", "k2")]
    size = sum(path.stat().st_size for path in files)
    assert seen[-1] == (size, size)


@pytest.mark.parametrize("where", [4, 300, -5, -40])
@pytest.mark.parametrize("table", ["angles", "frames"])
def test_a_flipped_bit_is_found(lake, table, where):
    path = file_of(lake, table)
    flip_a_bit(path, where)
    assert found(lake) == [("k1", str(path.relative_to(lake.root)))]


@pytest.mark.parametrize(("table", "key"), [("cells", "k1"), ("files", "k1"), ("training_epochs", "r1")])
def test_a_flipped_bit_in_what_has_no_sum_is_found_by_its_page(lake, table, key):
    path = file_of(lake, table, key)
    with pq.ParquetFile(path) as parquet:
        first = parquet.metadata.row_group(0).column(0)
    flip_a_bit(path, first.data_page_offset + first.total_compressed_size - 2)
    assert found(lake) == [(key, str(path.relative_to(lake.root)))]


@pytest.mark.parametrize("table", ["angles", "frames", "cells", "files"])
def test_a_truncated_file_is_found(lake, table):
    path = file_of(lake, table)
    path.write_bytes(path.read_bytes()[:-20])
    assert found(lake) == [("k1", str(path.relative_to(lake.root)))]


def test_a_missing_file_is_found(lake):
    path = file_of(lake, "angles")
    path.unlink()
    (damage,) = verify(lake)
    assert (damage.name, damage.reason) == (str(path.relative_to(lake.root)), "it is missing")


def test_a_cell_without_checksums_is_found(lake):
    file_of(lake, "files").unlink()
    (damage,) = verify(lake)
    assert (damage.key, damage.reason) == ("k1", "its cell is committed without checksums")


def test_being_asked_for_again_does_not_bless_damage(lake):
    newer = CellId("k3", "digits", "net", "original")
    lake.commit(newer, {"status": "done"})
    flip_a_bit(file_of(lake, "frames"), 300)
    lake.select(CELL)
    assert [key for key, _ in found(lake)] == ["k1"]


def test_what_is_damaged_is_taken_out_whole_and_the_rest_left(lake):
    lake.save_state(CELL, "part", b"x")
    assert drop(lake, ["k1"]) == 4
    assert set(lake.cells()) == {"k2"}
    assert not list(lake.root.rglob("k1*"))
    assert verify(lake) == []


def test_nothing_is_taken_out_under_a_sweep(lake):
    with lake.alone(), pytest.raises(TakenError):
        drop(lake, ["k1"])
    assert set(lake.cells()) == {"k1", "k2"}


def test_a_page_that_another_program_wrote_without_checksums_is_read(lake):
    path = file_of(lake, "training_epochs", "r1")
    pq.write_table(pa.table({"epoch": [1]}), path)
    assert verify(lake) == []


class TestOrphans:
    @pytest.fixture
    def cluttered(self, lake):
        """The lake after a crash: a file in the making, an unfinished cell, a superseded and a failed one."""
        import os
        import time

        lake.commit(CellId("k3", "digits", "net", "original"), {"status": "done"})
        lake.write("angles", CellId("k4", "digits", "net", "rot90"), {"image_id": IMAGES}, layer="conv")
        lake.mark_failed(CellId("k5", "digits", "net", "rot180"), {"status": "failed", "error": "why"})
        for name, age_s in (("old.tmp", 7200), ("new.tmp", 0)):
            path = lake.root / ".work" / name
            path.write_bytes(b"half")
            os.utime(path, (time.time() - age_s,) * 2)
        return lake

    def test_they_are_told_apart(self, cluttered):
        assert {(o.kind, o.name, o.files) for o in find_orphans(cluttered)} == {
            ("temporary", ".work/old.tmp", 1),
            ("superseded", "net on digits", 4),
            ("unfinished", "net (rot90) on digits", 1),
        }

    @pytest.mark.parametrize(
        ("kind", "gone"), [("temporary", "old.tmp"), ("superseded", "k1-*"), ("unfinished", "k4-*")]
    )
    def test_one_kind_is_removed(self, cluttered, kind, gone):
        before = {path for path in cluttered.root.rglob("*") if path.is_file()}
        expected = set(cluttered.root.rglob(gone))
        assert [orphan.kind for orphan in remove_orphans(cluttered, [kind])] == [kind]
        after = {path for path in cluttered.root.rglob("*") if path.is_file()}
        assert before - after == expected
        assert verify(cluttered) == []

    def test_a_failed_cell_keeps_its_reason(self, cluttered):
        remove_orphans(cluttered, ["temporary", "superseded", "unfinished"])
        assert cluttered.cells()["k5"]["error"] == "why"
        assert find_orphans(cluttered) == []
