"""A sweep whose lake is on an object store: a real S3 server process, the real command line."""

import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from tasks import steps
from tasks.jobs import Job, Places
from u1core.catalog.catalog import load_catalog
from u1core.cells.cell import Cell
from u1core.common.runtime import Runtime
from u1core.images.cache import open_images
from u1core.lake.connect import connect
from u1core.lake.store import Lake

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

CELLS = ["--models", "cifar10_resnet20", "--datasets", "digits"]
SIZES = ["--limit", 40, "--location-limit", 20]
SMALL = """
from flows.cli import main
from u1core.cells import extract
from u1core.lake import lease
extract.PART_IMAGES = 30
lease.Lease.__init__.__defaults__ = (8.0, 2.0)
main()
"""
TABLES = ("records", "vectors", "angles", "frames", "energy_maps", "neighbours", "location_neighbours")


@pytest.fixture
def address(tmp_path):
    return f"s3://bucket/{tmp_path.name}/lake"


@pytest.fixture
def store(s3):
    host = s3["AWS_ENDPOINT_URL"].removeprefix("http://")
    return fs.S3FileSystem(
        access_key="any", secret_key="any", region="us-east-1", endpoint_override=host, scheme="http"
    )


def written(store, address):
    """Return when each object of the lake was written, but for the diary that every sweep goes on with."""
    selector = fs.FileSelector(address.removeprefix("s3://"), recursive=True, allow_not_found=True)
    files = (i for i in store.get_file_info(selector) if i.type == fs.FileType.File)
    return {i.path: i.mtime for i in files if "/sweeps/" not in i.path}


def test_a_lake_on_an_object_store_is_a_lake(u1, s3, store, address, environment, tmp_path, monkeypatch):
    sweep = ["sweep", *CELLS, "--variants", "random-init", *SIZES]
    first = u1(*sweep, "--lake", address, **s3)
    assert first.returncode == 0, first.stderr
    assert "1 cells computed" in first.stdout
    before = written(store, address)
    assert not [name for name in before if "/.work/" in name]

    again = u1(*sweep, "--lake", address, "--report", "again", **s3)
    assert again.returncode == 0, again.stderr
    assert "1 found done, 0 failed: nothing to compute" in again.stdout
    assert written(store, address) == before

    local = compute_locally(tmp_path, environment)
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    with connect(address, ()) as there, connect(local, ()) as here:
        for table in TABLES:
            query = f"select * exclude (cell_key) from lake.{table} order by all"
            assert_equal(there.sql(query).to_arrow_table(), here.sql(query).to_arrow_table())
    counted = u1("sql", "select count(*) from records", "--lake", address, "--format", "csv", **s3)
    assert counted.stdout.split() == ["count_star()", "320"]

    report = u1("report", "--lake", address, "--report", "apart", **s3)
    assert report.returncode == 0, report.stderr
    assert (tmp_path / "apart" / "index.html").stat().st_size > 10_000
    assert u1("plan", *sweep[1:], "--lake", address, **s3).stdout.count(" done ") == 1
    late = u1("preregister", *sweep[1:], "--lake", address, **s3)
    assert "1 of the cells are done already" in late.stdout, late.stderr
    asked = u1(
        "sql", "select is_registered from registered_cells", "--format", "csv", "--lake", address, **s3
    )
    assert asked.stdout.split() == ["is_registered", "false"]


def test_a_killed_sweep_resumes_on_an_object_store(warm, s3, store, address, served, tmp_path):
    """Killed after its first part: another process goes on from the state in the store."""
    sweep = ["sweep", "--models", "cifar10_resnet20", "--datasets", "digits", "--variants", "random-init"]
    sweep += ["--limit", 60, "--batch-size", 1, "--location-limit", 20, "--lake", address]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    where = {"cwd": tmp_path, "env": served | s3}
    killed = warm.start(SMALL, sweep, **where, **quiet)
    try:
        first_part = wait_for_state(store, address, killed)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    assert not [name for name in written(store, address) if "/cells/" in name]

    resumed = warm.run(SMALL, sweep, **where)
    assert resumed.returncode == 0, resumed.stderr
    after = written(store, address)
    assert {name: after[name] for name in first_part} == first_part
    records = [name for name in after if "/records/" in name]
    assert len(records) == 4 * 4  # layers x parts of 30 of 2 x 60 images
    rows = [pq.ParquetFile(store.open_input_file(name)).metadata.num_rows for name in records]
    assert set(rows) == {30}


def compute_locally(tmp_path, environment):
    """Compute the same cell into a lake on the disk, step by step; return the lake."""
    catalog, cache = load_catalog(), Path(environment["U1_CACHE"])
    model, dataset = catalog.models["cifar10_resnet20"], catalog.datasets["digits"]
    fingerprint = open_images(dataset, cache).fingerprint
    cell = Cell(model, dataset, fingerprint, "random-init", limit=40, location_limit=20)
    job = Job(cell, Places(tmp_path / "local", cache), Runtime())
    Lake.open(job.places.lake, create=True)
    steps.extract_images(job)
    steps.finish(job)
    return job.places.lake


def assert_equal(one, other):
    """Same rows: texts and counts exactly, figures to float32's last digits."""
    assert one.schema == other.schema
    assert len(one) == len(other) > 0
    for name in one.column_names:
        a, b = (table[name].combine_chunks() for table in (one, other))
        assert a.is_null().equals(b.is_null())
        if pa.types.is_list(a.type):
            assert pc.list_value_length(a).equals(pc.list_value_length(b))
            a, b = a.flatten(), b.flatten()
        if pa.types.is_floating(a.type):
            np.testing.assert_allclose(
                a.to_numpy(False), b.to_numpy(False), rtol=1e-4, atol=1e-5, err_msg=name
            )
        else:
            assert a.equals(b), name


def wait_for_state(store, address, process):
    """Wait until the first part is marked; return the objects of its rows with their times."""
    while process.poll() is None:
        found = written(store, address)
        if any("/.work/" in name and "part-00000" in name for name in found):
            return {name: t for name, t in found.items() if name.endswith("-00000.parquet")}
        time.sleep(0.1)
    raise AssertionError("the sweep ended before it could be killed")
