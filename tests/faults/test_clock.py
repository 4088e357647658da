"""The wall clock jumps back: what was asked for last is current, and nothing is computed twice."""

from pathlib import Path

import pytest
from command import wait_until
from struck import SWEEP, TABLES, Holding, rows_written, tell

from u1core.lake.store import Lake

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]

FEWER = ("sweep", "--models", "cifar10_resnet20", *SWEEP[3:7], "--limit", "10", *SWEEP[9:])


@pytest.fixture
def clock(tmp_path):
    """The environment of a process whose wall clock is set by a file, and what sets it."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        pytest.skip("no libfaketime: install the package faketime")
    file = tmp_path / "clock"

    def turn(offset):
        file.with_suffix(".new").write_text(f"{offset}\n")
        file.with_suffix(".new").replace(file)

    turn("+0")
    return turn, {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        # The kernel's monotonic clock does not jump, nor do times of files that are written.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


def current(lake):
    """Return image limits of the current cells by model, and how many cells there are."""
    rows = Lake.open(lake).cells().values()
    return len(rows), {r["model"]: r["image_limit"] for r in sorted(rows, key=lambda r: r["selected_at"])}


def test_a_clock_that_jumps_back_changes_nothing(start, finish, clock, undisturbed, tmp_path):
    turn, variables = clock
    lake = tmp_path / "lake"
    sweep = start(*SWEEP, **variables)
    wait_until(lambda: rows_written(lake) or sweep.poll() is not None)
    turn("-3600")
    before = rows_written(lake)
    said, errors = sweep.communicate(timeout=550)
    assert sweep.returncode == 0, errors
    assert "2 cells computed" in said
    held = Holding.of(lake)
    tell("the clock an hour back during a sweep", 1, before, held.rows, held.differing(undisturbed))

    turn("-7200")
    status, said, errors = finish(*FEWER, **variables)
    assert (status, "1 cells computed" in said) == (0, True), errors
    assert current(lake) == (3, {"cifar10_resnet20": 10, "resnet20_onehot": 20})
    fewer = rows_written(lake)
    turn("-10800")
    status, said, errors = finish(*SWEEP, **variables)
    assert (status, "0 cells computed, 2 found done" in said) == (0, True), errors
    assert current(lake) == (3, {"cifar10_resnet20": 20, "resnet20_onehot": 20})
    held = Holding.of(lake)
    differing = [line for line in held.differing(undisturbed) if not line.startswith(("cells:", *TABLES))]
    tell("the clock an hour back between sweeps", 2, fewer, held.rows, differing)
