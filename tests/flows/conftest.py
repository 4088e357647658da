"""The real command line, in a process of its own, with a Prefect home and a cache of the test run's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

U1 = [sys.executable, "-c", "from flows.cli import main; main()"]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """Environment of the processes: nothing of the user's is read or written."""
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
