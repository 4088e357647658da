"""What tests of several folders use: the command line, a Prefect server, and an object store."""

import importlib
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import pytest
from command import ROOT, Warm, free_port, run_apart, run_here, shared_server
from pyarrow import fs

SERVED = {"sweep", "retry", "train"}
"""Commands that start a Prefect server of their own where none is given."""
LONGEST = (
    "test_sweep",
    "test_signals",
    "test_report",
    "test_train",
    "test_optical_path",
    "test_object_store",
    "test_validate_command",
    "test_sweep_models",
    "test_phantom",
    "test_disk",
    "test_catalog_command",
    "test_cli",
    "test_build",
    "test_clusters",
    "test_sql_parity",
    "test_sigkill",
    "test_loop",
    "test_sql_connection",
    "test_sql_training",
    "test_sql_checks",
    "test_extract",
    "test_sql_queries",
    "test_weights",
    "test_sql_directions",
    "test_validate",
    "test_network",
    "test_storage",
    "test_benchmarks",
    "test_sql_claims",
    "test_loopback",
    "test_cache",
    "test_sql_shell",
    "test_models_page",
    "test_readers",
)
"""Modules that take more than twenty seconds, longest first."""


def pytest_configure(config):
    """Settings that libraries read at their import; whoever is started from here inherits them."""
    home = tempfile.TemporaryDirectory(prefix="u1-prefect-")
    config.add_cleanup(home.cleanup)
    os.environ["PREFECT_HOME"] = home.name
    # As many processes as cores: threads would only wait for each other, five times as long on two.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # Wide tables, whatever terminal this runs in: the commands' console is made when they are imported.
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("COLUMNS", "200")
        importlib.import_module("flows.cli")


def pytest_collection_modifyitems(items):
    """Put the longest modules first; `--dist loadfile` keeps each together: tests share what is costly."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


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


@pytest.fixture(scope="session")
def server(environment, tmp_path_factory):
    """The address of one Prefect server for the workers of a test run: a start takes ten seconds."""
    own = tmp_path_factory.getbasetemp()
    with shared_server(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own, environment) as url:
        yield url


@pytest.fixture(scope="session")
def served(environment, server):
    """Return the environment of a process that finds the server."""
    return environment | {"PREFECT_API_URL": server}


@pytest.fixture
def u1(environment, tmp_path, request):
    """Run `u1` in a temporary folder, in this process; return what a finished process would be."""

    def run(*arguments, **variables):
        given = request.getfixturevalue("served") if SERVED.intersection(arguments[:1]) else environment
        return run_here(arguments, tmp_path, given | variables)

    return run


@pytest.fixture
def u1_apart(served, tmp_path):
    """Run `u1` in a temporary folder, in a process of its own that finds the server; return it finished."""

    def run(*arguments, **variables):
        return run_apart(arguments, tmp_path, served | variables)

    return run


@pytest.fixture(scope="session")
def warm(environment):
    """Start processes that have the imports of `u1` behind them, half of a small sweep."""
    one = Warm(environment)
    yield one
    one.close()


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
    address = f"127.0.0.1:{free_port()}"
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
