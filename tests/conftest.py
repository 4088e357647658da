"""What tests of several folders use: the command line in a process of its own, and an object store."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from pyarrow import fs

U1 = [sys.executable, "-c", "from flows.cli import main; main()"]
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """Environment of the processes: Prefect's home and the cache are the test run's own."""
    home = tmp_path_factory.mktemp("home")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("U1_", "PREFECT_"))}
    return kept | {
        "PREFECT_HOME": str(home / "prefect"),
        "U1_CACHE": str(home / "cache"),
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "200",
    }


@pytest.fixture
def u1(environment, tmp_path):
    """Run `u1` in a temporary folder; return the finished process."""

    def run(*arguments, **variables):
        return subprocess.run(
            [*U1, *map(str, arguments)],
            cwd=tmp_path,
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=550,
            check=False,
        )

    return run


@pytest.fixture
def ask(u1):
    """Ask the lake in the temporary folder; return the rows as lists of text."""

    def run(query):
        done = u1("sql", query, "--format", "csv")
        assert done.returncode == 0, done.stderr
        return [line.split(",") for line in done.stdout.splitlines()[1:]]

    return run


@pytest.fixture
def marks(tmp_path):
    """Say when each Parquet file of the lake was written, but for the diary that every sweep goes on with."""

    def run():
        files = (path for path in (tmp_path / "lake").rglob("*.parquet") if "sweeps" not in path.parts)
        return {path: path.stat().st_mtime_ns for path in files}

    return run


@pytest.fixture(scope="session")
def s3():
    """Start an S3 server, moto's; return the environment that leads to it. It has one bucket, `bucket`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "moto.server",
        "-H",
        "127.0.0.1",
        "-p",
        address.split(":")[1],
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_up(f"http://{address}/moto-api/")
        keys = {"access_key": "any", "secret_key": "any", "region": "us-east-1"}
        store = fs.S3FileSystem(endpoint_override=address, scheme="http", allow_bucket_creation=True, **keys)
        store.create_dir("bucket")
        yield {
            "AWS_ENDPOINT_URL": f"http://{address}",
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        server.kill()
        server.wait()


def _wait_until_up(url, seconds=120):
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError as e:
            e.close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
        else:
            return
