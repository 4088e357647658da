"""Processes that are struck, and the sweep that nothing strikes."""

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from struck import HEAD, LINES, SWEEP, U1, Holding


def pytest_terminal_summary(terminalreporter):
    """Print the table; write it to the page that U1_FAULT_TABLE names, between its two marks."""
    if LINES:
        table = HEAD + "\n".join(LINES) + "\n"
        terminalreporter.write_line(table)
        if page := os.environ.get("U1_FAULT_TABLE"):
            marks = r"(?s)(?<=<!-- table -->\n).*(?=<!-- end -->)"
            Path(page).write_text(re.sub(marks, table.replace("\\", r"\\"), Path(page).read_text()))


@pytest.fixture
def start(served, tmp_path):
    """Return what starts `u1` and does not wait for it; what it leaves running is killed."""
    begun = []

    def run(*arguments, **variables):
        process = subprocess.Popen(
            [*U1, *map(str, arguments)],
            cwd=tmp_path,
            env=served | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        begun.append(process)
        return process

    yield run
    for process in begun:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def finish(start):
    """Return what runs `u1` to its end and gives its status, output and errors."""

    def run(*arguments, **variables):
        process = start(*arguments, **variables)
        said, errors = process.communicate(timeout=550)
        return process.returncode, said, errors

    return run


@pytest.fixture(scope="session")
def undisturbed_lake(served, tmp_path_factory):
    """The lake of the sweep where nothing strikes it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    subprocess.run([*U1, *SWEEP], cwd=folder, env=served, capture_output=True, check=True, timeout=550)
    return folder / "lake"


@pytest.fixture(scope="session")
def undisturbed(undisturbed_lake):
    """What that lake holds."""
    return Holding.of(undisturbed_lake)
