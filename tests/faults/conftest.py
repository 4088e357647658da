"""Processes that are struck, and the sweep that nothing strikes."""

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from struck import CODE, HEAD, LINES, SWEEP, U1, Holding


def pytest_terminal_summary(terminalreporter):
    """Print the table; write it to the page that U1_FAULT_TABLE names, between its two marks."""
    if LINES:
        table = HEAD + "\n".join(LINES) + "\n"
        terminalreporter.write_line(table)
        if page := os.environ.get("U1_FAULT_TABLE"):
            marks = r"(?s)(?<=<!-- table -->\n).*(?=<!-- end -->)"
            Path(page).write_text(re.sub(marks, table.replace("\\", r"\\"), Path(page).read_text()))


@pytest.fixture
def start(warm, served, tmp_path):
    """Return what starts `u1` and does not wait for it; what it leaves running is killed."""
    begun = []

    def run(*arguments, **variables):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        where = {"cwd": tmp_path, "env": served | variables, "start_new_session": True}
        if "LD_PRELOAD" in variables:  # which is for the start of a program, not for a fork
            process = subprocess.Popen([*U1, *map(str, arguments)], **where, **pipes)
        else:
            process = warm.start(CODE, arguments, **where, **pipes)
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
def undisturbed_run(warm, served, tmp_path_factory):
    """The sweep that nothing strikes: its lake, and the seconds it takes."""
    folder, begin = tmp_path_factory.mktemp("undisturbed"), time.monotonic()
    done = warm.run(CODE, SWEEP, cwd=folder, env=served)
    assert done.returncode == 0, done.stderr
    return folder / "lake", time.monotonic() - begin


@pytest.fixture(scope="session")
def undisturbed_lake(undisturbed_run):
    """Its lake."""
    return undisturbed_run[0]


@pytest.fixture(scope="session")
def undisturbed(undisturbed_lake):
    """What that lake holds."""
    return Holding.of(undisturbed_lake)
