"""SIGKILL of the Prefect server in the middle of a sweep: it comes back, or it does not."""

import time

import pytest
from command import Server, wait_until
from struck import SWEEP, Holding, rows_written, tell

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]


@pytest.fixture
def mortal(environment):
    """A server of the test's own."""
    one = Server(environment)
    one.start()
    yield one
    one.kill()


def struck(sweep, server, lake):
    """Kill the server once the first rows are written; return how many there were."""
    wait_until(lambda: rows_written(lake) or sweep.poll() is not None)
    server.kill()
    return rows_written(lake)


def test_a_server_that_comes_back_is_not_missed(start, mortal, undisturbed, tmp_path):
    sweep = start(*SWEEP, PREFECT_API_URL=mortal.url)
    before = struck(sweep, mortal, tmp_path / "lake")
    time.sleep(3)
    mortal.start()
    said, errors = sweep.communicate(timeout=550)
    assert sweep.returncode == 0, errors
    assert "2 cells computed, 0 found done, 0 failed" in said
    assert_quiet(errors)
    held = Holding.of(tmp_path / "lake")
    tell("SIGKILL of the Prefect server, back after 3 s", 1, before, held.rows, held.differing(undisturbed))


def test_a_server_that_stays_away_is_one_line(start, finish, mortal, undisturbed, tmp_path):
    # Five tries take a minute each time; their number changes nothing.
    sweep = start(*SWEEP, PREFECT_API_URL=mortal.url, PREFECT_CLIENT_MAX_RETRIES="2")
    before = struck(sweep, mortal, tmp_path / "lake")
    _, errors = sweep.communicate(timeout=550)
    assert sweep.returncode == 1
    assert_quiet(errors)
    (line,) = [line for line in errors.splitlines() if line.startswith("u1: ")]
    assert line.startswith(f"u1: expected the Prefect server to stay; got no answer from {mortal.url}")
    status, said, errors = finish(*SWEEP)
    assert status == 0, errors
    assert "0 cells computed, 2 found done" in said
    held = Holding.of(tmp_path / "lake")
    tell("SIGKILL of the Prefect server, for good", 1, before, held.rows, held.differing(undisturbed))


def assert_quiet(errors):
    """Insist on nothing but the lines of finished cells and one that says what was wrong."""
    assert [line for line in errors.splitlines() if not line.startswith(("done: ", "u1: "))] == []
