"""A lake on a disk and on an object store: the same behaviour, on a real server."""

import json
import os
import threading
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from u1core.common.errors import U1Error
from u1core.lake import index, lease, remote
from u1core.lake.connect import connect
from u1core.lake.guard import run_query
from u1core.lake.orphans import find_orphans
from u1core.lake.storage import open_storage, resolve_address
from u1core.lake.store import CellId, Lake
from u1core.lake.verify import drop, verify

CELL = CellId("k1", "digits", "net", "original")


@pytest.fixture(params=["disk", "s3"])
def address(request, tmp_path, monkeypatch):
    """Return where a new lake may lie."""
    if request.param == "disk":
        return tmp_path / "lake"
    for name, value in request.getfixturevalue("s3").items():
        monkeypatch.setenv(name, value)
    return f"s3://bucket/{tmp_path.name}/lake"


@pytest.fixture
def lake(address):
    return Lake.open(address, create=True)


def write_angles(lake, part, n):
    columns = {"image_id": np.arange(n), "theta_image_rad": np.linspace(-1, 1, n)}
    lake.write("angles", CELL, columns, layer="a", part=part)


def test_addresses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve_address("lake") == resolve_address(f"file://{tmp_path}/lake") == tmp_path / "lake"
    assert resolve_address("s3://bucket/lake/") == "s3://bucket/lake"
    for wrong in ("ftp://host/lake", "s3://"):
        with pytest.raises(U1Error, match="a folder or s3://bucket/prefix"):
            open_storage(wrong)
    with pytest.raises(U1Error, match="without keys") as e:
        open_storage("s3://key:secret@bucket/lake")
    assert "secret" not in str(e.value)


def test_parts_are_listed_read_and_streamed(lake):
    assert lake.parts("angles", CELL, layer="a") == []
    for part, n in ((0, 5), (1, 3), (10, 4)):
        write_angles(lake, part, n)
    lake.write("angles", CellId("k10", *("digits", "net", "original")), {"image_id": [1]}, layer="a", part=7)
    assert lake.parts("angles", CELL, layer="a") == [0, 1, 10]
    table = lake.read("angles", CELL, layer="a", part=1, columns=["image_id", "layer"])
    assert table.to_pydict() == {"image_id": [0, 1, 2], "layer": ["a", "a", "a"]}
    streamed = list(lake.batches("angles", CELL, 2, ["image_id"], layer="a"))
    assert max(map(len, streamed)) == 2
    ids = [i for rows in streamed for i in rows["image_id"].to_pylist()]
    assert ids == [*range(5), *range(3), *range(4)]
    with pytest.raises(FileNotFoundError):
        lake.read("angles", CELL, layer="a", part=2)


def test_state_lies_with_the_lake_until_the_commit(lake, address):
    assert lake.load_state(CELL, "part-0") is None
    lake.save_state(CELL, "part-0", b"sums")
    new = lake.new_state(CELL, "large")
    new.path.write_bytes(b"0123456789")
    assert Lake.open(address).states(CELL) == [
        name for name in lake.states(CELL) if name == "part-0" or name.endswith(".tmp")
    ]
    new.keep()
    new.discard()
    other_machine = Lake.open(address)
    assert other_machine.states(CELL) == ["large", "part-0"]
    assert other_machine.load_state(CELL, "part-0") == b"sums"
    with other_machine.open_state(CELL, "large") as file:
        file.seek(4)
        assert file.read(3) == b"456"
    lake.commit(CELL, {"status": "done"})
    assert lake.states(CELL) == []
    assert lake.cells()["k1"]["status"] == "done"


def test_a_file_that_fails_half_way_is_not_there(lake):
    with pytest.raises(RuntimeError), lake.storage.writing("angles/half.parquet") as path:
        path.write_bytes(b"half")
        raise RuntimeError
    assert lake.storage.names("angles") == []
    lake.storage.write("empty", b"")
    assert lake.storage.read("empty") == b""


def test_what_is_no_lake(lake, address):
    assert Lake.find(address).root == lake.root
    nothing = f"{address}-missing"
    assert Lake.find(nothing) is None
    with pytest.raises(U1Error, match="where none is"):
        Lake.open(nothing)
    open_storage(nothing).write("thesis.tex", b"text")
    for create in (True, False):
        with pytest.raises(U1Error, match="holds something else"):
            Lake.open(nothing, create=create)


def test_a_store_that_cannot_be_reached_is_one_line(s3, monkeypatch):
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(U1Error, match="a lake at s3://missing/lake") as e:
        Lake.open("s3://missing/lake", create=True)
    assert "\n" not in str(e.value)


def test_the_index_of_cells_follows_every_change(lake, monkeypatch):
    monkeypatch.setattr(index, "_NEW_FILES", 2)
    monkeypatch.setattr(index, "_CLOCK_TICK", -index._CLOCK_TICK)  # trust files of the same second
    cells = [CellId(f"k{i}", "digits", f"net{i}", "original") for i in range(4)]
    for cell in cells[:3]:
        lake.commit(cell, {"status": "done"})
    assert set(lake.cells()) == {"k0", "k1", "k2"}
    read = []
    monkeypatch.setattr(index, "read_files", lambda *a, f=index.read_files: read.extend(a[1]) or f(*a))
    assert set(lake.cells()) == {"k0", "k1", "k2"}
    assert read == []
    time.sleep(1.1)  # the store's clock tells seconds
    lake.commit(cells[3], {"status": "done"})
    lake.mark_failed(cells[0], {"status": "failed", "error": "why"})
    found = lake.cells()
    assert (found["k0"]["status"], found["k1"]["status"], len(found)) == ("failed", "done", 4)
    assert cells_in_sql(lake) == [("k0", "failed"), ("k1", "done"), ("k2", "done"), ("k3", "done")]
    lake.storage.delete("cells/dataset=digits/model=net1/variant=original/k1-00000.parquet")
    assert set(lake.cells()) == {"k0", "k2", "k3"}
    assert cells_in_sql(lake) == [("k0", "failed"), ("k2", "done"), ("k3", "done")]
    lake.storage.write(index.INDEX, b"damaged")
    assert set(lake.cells()) == {"k0", "k2", "k3"}
    assert cells_in_sql(lake) == [("k0", "failed"), ("k2", "done"), ("k3", "done")]


def cells_in_sql(lake):
    with connect(lake.root, ["cells"]) as connection:
        return connection.execute("select cell_key, status from cells order by all").fetchall()


def test_sql_reads_new_cells_beside_the_index(lake, monkeypatch):
    for i in range(3):
        lake.commit(CellId(f"k{i}", "digits", f"net{i}", "original"), {"status": "done"})
    monkeypatch.setattr(index, "_NEW_FILES", 2)
    monkeypatch.setattr(index, "_CLOCK_TICK", -index._CLOCK_TICK)
    lake.cells()
    time.sleep(1.1)
    lake.commit(CellId("k3", "digits", "net3", "original"), {"status": "done"})
    lake.mark_failed(CellId("k1", "digits", "net1", "original"), {"status": "failed", "error": "why"})
    monkeypatch.setattr(index, "_NEW_FILES", 3)
    new, void = index.outside_index(lake.storage)
    assert [name.rpartition("/")[2] for name in new] == ["k1-00000.parquet", "k3-00000.parquet"]
    assert void == [new[0]]
    assert [status for _, status in cells_in_sql(lake)] == ["done", "failed", "done", "done"]


def test_files_of_the_same_second_are_read_again(lake, monkeypatch):
    monkeypatch.setattr(index, "_NEW_FILES", 1)
    lake.commit(CELL, {"status": "done", "rows": 1})
    assert lake.cells()["k1"]["rows"] == 1
    lake.commit(CELL, {"status": "done", "rows": 2})
    assert lake.cells()["k1"]["rows"] == 2


def test_a_damaged_file_is_named(lake):
    lake.commit(CELL, {"status": "done"})
    lake.storage.write("cells/dataset=digits/model=net/variant=original/k2-00000.parquet", b"PAR1")
    with pytest.raises(U1Error, match=r"a damaged .*k2-00000\.parquet"):
        lake.cells()


def test_one_sweep_at_a_time(lake, address, monkeypatch):
    monkeypatch.setattr(lease.Lease.__init__, "__defaults__", (4.0, 0.5))
    with lake.alone(), pytest.raises(U1Error, match="one that is writing now"), Lake.open(address).alone():
        pass
    with lake.alone():
        pass


@pytest.fixture
def objects(s3, tmp_path, monkeypatch):
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    return open_storage(f"s3://bucket/{tmp_path.name}")


def test_a_dead_claim_is_taken_over(objects):
    objects.write("leases/dead.json", json.dumps({"host": "gone", "pid": 1}).encode())
    start = time.monotonic()
    with lease.Lease(objects, "leases", lease_s=3.0, renew_s=0.5):
        assert len(objects.names("leases")) == 1
        assert time.monotonic() - start >= 2
    assert objects.names("leases") == []


def test_of_many_that_come_together_never_two_hold_the_lease(objects):
    holders, most, refused = [], [], []
    lock = threading.Lock()

    def work(number):
        try:
            with lease.Lease(objects, "leases", lease_s=6.0, renew_s=0.5):
                with lock:
                    holders.append(number)
                    most.append(len(holders))
                time.sleep(1.5)
                with lock:
                    holders.remove(number)
        except U1Error:
            refused.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) + len(refused) == 4
    assert set(most) <= {1}
    assert objects.names("leases") == []


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    lake = Lake.open(tmp_path / "lake", create=True)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(U1Error, match="room on the lake's disk"):
        lake.save_state(CELL, "part-0", b"x")
    assert lake.states(CELL) == []


def test_parquet_on_the_store_is_readable_by_any_tool(objects):
    lake = Lake.open(f"{objects.address}/lake", create=True)
    write_angles(lake, 0, 3)
    with objects.files.open_input_file(
        "lake/angles/dataset=digits/model=net/variant=original/layer=a/k1-00000.parquet"
    ) as file:
        assert pq.ParquetFile(file).read()["image_id"].to_pylist() == [0, 1, 2]


def test_duckdb_reads_the_store_like_a_disk(objects, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "_LIST_S", 0.0)
    answers = []
    for address in (f"{objects.address}/lake", tmp_path / "lake"):
        lake = Lake.open(address, create=True)
        with connect(address, ()) as connection:
            assert connection.sql("select count(*) from lake.angles").fetchall() == [(0,)]
        write_angles(lake, 0, 3)
        with connect(address, ()) as connection:
            before = connection.sql("select count(*) from lake.angles").fetchall()
            write_angles(lake, 1, 2)
            query = "select image_id, layer, theta_image_rad from lake.angles order by all"
            answers.append((before, connection.sql(query).fetchall()))
    assert answers[0] == answers[1]
    assert (answers[0][0], len(answers[0][1])) == ([(3,)], 5)


def test_large_files_are_read_in_pieces(objects, monkeypatch):
    monkeypatch.setattr(remote, "_WHOLE_BYTES", 100)
    lake = Lake.open(f"{objects.address}/lake", create=True)
    write_angles(lake, 0, 5000)
    with connect(lake.root, ()) as connection:
        assert connection.sql("select sum(image_id) from lake.angles").fetchall() == [(4999 * 2500,)]


def test_a_query_sees_nothing_of_the_store_but_the_lake(objects):
    objects.write("secret/a.parquet", b"")
    lake = Lake.open(f"{objects.address}/lake", create=True)
    write_angles(lake, 0, 1)
    with connect(lake.root, ()) as connection:
        for name in (
            "u1lake://../secret/a.parquet",
            "u1lake://secret/a.parquet",
            f"{objects.address}/secret/a.parquet",
        ):
            with pytest.raises(U1Error):
                run_query(connection, f"from read_parquet('{name}')")


def test_damage_and_orphans_are_found_wherever_the_lake_is(lake):
    lake.write("frames", CELL, {"layer": ["a"], "coupling_1": [0.5]})
    lake.commit(CELL, {"status": "done"})
    newer = CellId("k2", *("digits", "net", "original"))
    lake.commit(newer, {"status": "done"})
    assert verify(lake) == []
    (orphan,) = find_orphans(lake)
    assert (orphan.kind, orphan.key, orphan.files) == ("superseded", "k1", 3)
    (name,) = lake.storage.names("frames")
    content = bytearray(lake.storage.read(name))
    content[9] ^= 1
    lake.storage.write(name, bytes(content))
    assert [(damage.key, damage.name) for damage in verify(lake)] == [("k1", name)]
    assert drop(lake, ["k1"]) == 3
    assert set(lake.cells()) == {"k2"}
    assert find_orphans(lake) == verify(lake) == []
