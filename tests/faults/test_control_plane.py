"""Many small cells: the embedded server and one on PostgreSQL keep every run, and no database is locked."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
import urllib.request
from json import dumps, loads
from pathlib import Path

import pytest
from command import Server, free_port
from struck import U1

pytestmark = pytest.mark.faults

CELLS = int(os.environ.get("U1_MANY_CELLS") or 60)
ENTRY = """
[models.tiny{number}]
architecture = "cifar_resnet:8"
weights = "file:none.safetensors"
preprocessing = {{ size = 32, crop_pct = 1, interpolation = "bilinear", mean = {three}, std = {three} }}
label_space = "cifar10"
"""
SWEEP = ["sweep", "--models", "tiny*", "--variants", "random-init", "--datasets", "digits,phantom"]
SMALL = ["--limit", "10", "--location-limit", "0", "--catalog", "many.toml"]


@pytest.fixture
def many(tmp_path):
    """A catalog of so many small networks that two data sets make CELLS cells."""
    entries = (ENTRY.format(number=number, three=[0.5] * 3) for number in range(CELLS // 2))
    (tmp_path / "many.toml").write_text("".join(entries))


@pytest.fixture
def postgres():
    """Debian's PostgreSQL in a folder and on a port of its own; return the address that Prefect takes."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    is_root = os.geteuid() == 0
    user = ["runuser", "-u", "postgres", "--"] if is_root else []
    folder, port = Path(tempfile.mkdtemp(prefix="u1-postgres-")), free_port()
    if is_root:
        shutil.chown(folder, "postgres")

    def run(name, *arguments):
        command = [*user, found[-1] / name, "-D", folder / "data", *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, timeout=120)

    run("initdb", "-A", "trust", "-U", "u1")
    log = ["-l", folder / "log"]
    run("pg_ctl", *log, "-o", f"-p {port} -c listen_addresses=127.0.0.1 -k {folder}", "-w", "start")
    yield f"postgresql+asyncpg://u1@127.0.0.1:{port}/postgres"
    run("pg_ctl", "-m", "immediate", "stop")
    shutil.rmtree(folder)


def sweep(environment, folder):
    done = subprocess.run(
        [*U1, *SWEEP, *SMALL], cwd=folder, env=environment, capture_output=True, text=True, timeout=3600
    )
    assert done.returncode == 0, done.stderr
    assert f"{CELLS} cells computed, 0 found done, 0 failed" in done.stdout
    assert "locked" not in done.stdout + done.stderr


@pytest.mark.timeout(4000)
def test_the_embedded_server_keeps_every_run(many, environment, tmp_path):
    home = tmp_path / "prefect"
    sweep(environment | {"PREFECT_HOME": str(home), "OMP_NUM_THREADS": "1"}, tmp_path)
    with sqlite3.connect(home / "prefect.db") as database:
        query = "select count(*) from task_run where name like 'tiny%' and state_type = 'COMPLETED'"
        assert database.execute(query).fetchone() == (CELLS,)
    database.close()


@pytest.mark.timeout(4000)
def test_a_server_on_postgresql_keeps_every_run(many, postgres, environment, tmp_path):
    server = Server(environment | {"PREFECT_API_DATABASE_CONNECTION_URL": postgres})
    server.start()
    try:
        sweep(environment | {"PREFECT_API_URL": server.url, "OMP_NUM_THREADS": "1"}, tmp_path)
        asked = {"task_runs": {"name": {"like_": "tiny"}, "state": {"type": {"any_": ["COMPLETED"]}}}}
        request = urllib.request.Request(
            f"{server.url}/task_runs/count", dumps(asked).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert loads(answer.read()) == CELLS
    finally:
        server.kill()
