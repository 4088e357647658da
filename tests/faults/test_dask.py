"""A whole sweep on Dask whose worker is killed, or hangs."""

import os
import signal

import psutil
import pytest
from command import wait_until
from struck import SMALL_PARTS, SWEEP, Holding, rows_written, tell

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]

# Preloaded by workers: the network of one model hangs while the flag is there, or once.
HANG = """
import time
from pathlib import Path
from u1core.cells import extract, forward

extract.PART_IMAGES = 10
flag = Path({flag!r})

# Bound here: Dask may import this file twice.
def call(self, pixels, image_ids=None, whole=forward.Extractor.__call__):
    if self.cell.model.id == "resnet20_onehot" and flag.exists():
        if flag.read_text() == "once":
            flag.unlink()
        time.sleep(3600)
    return whole(self, pixels, image_ids)

forward.Extractor.__call__ = call
"""


def workers(process):
    """Return the processes of Dask's workers below a sweep."""
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "multiprocessing.spawn" in " ".join(child.cmdline())]


def test_a_sweep_outlives_its_workers(start, undisturbed, tmp_path):
    options = ("--runner", "dask", "--cluster-option", f"preload={SMALL_PARTS}")
    sweep = start(*SWEEP, *options)
    before, killed = [], 0
    wait_until(lambda: rows_written(tmp_path / "lake") or sweep.poll() is not None)
    for worker in workers(sweep):
        before.append(rows_written(tmp_path / "lake"))
        os.kill(worker.pid, signal.SIGKILL)
        killed += 1
    said, errors = sweep.communicate(timeout=550)
    assert sweep.returncode == 0, errors
    assert killed
    assert "2 cells computed, 0 found done, 0 failed" in said
    assert "Traceback" not in errors
    held = Holding.of(tmp_path / "lake")
    fault = "SIGKILL of Dask workers in the middle of their cells"
    tell(fault, killed, f"{min(before)} to {max(before)}", held.rows, held.differing(undisturbed))


def test_a_worker_that_hangs_is_killed_and_another_tries(finish, undisturbed, tmp_path):
    flag, preload = tmp_path / "flag", tmp_path / "hang.py"
    preload.write_text(HANG.format(flag=str(flag)))
    options = ("--runner", "dask", "--cell-timeout", "0.5", "--cluster-option", f"preload={preload}")
    flag.write_text("always")
    status, said, errors = finish(*SWEEP, *options)
    assert (status, "1 cells computed, 0 found done, 1 failed" in said) == (1, True), errors
    (line,) = [line for line in errors.splitlines() if line.startswith("u1: ")]
    assert line.startswith("u1: resnet20_onehot (random-init) on digits failed: expected resnet20_onehot")
    assert "to take 0.5 minutes at most; got two workers killed for longer" in line
    assert "Traceback" not in errors
    before = rows_written(tmp_path / "lake")
    flag.write_text("once")
    status, said, errors = finish(*SWEEP, *options)
    assert (status, "1 cells computed, 1 found done, 0 failed" in said) == (0, True), errors
    assert not flag.exists()
    held = Holding.of(tmp_path / "lake")
    tell("a worker that hangs, past --cell-timeout", 3, before, held.rows, held.differing(undisturbed))
