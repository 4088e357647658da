"""Ctrl-C, `kill` and a closed terminal: one line, no process left behind, and the same command goes on."""

import os
import signal
import subprocess
import sys

import pytest
from command import wait_until

from u1core.cells import extract

pytestmark = pytest.mark.slow

SWEEP = [
    "sweep",
    "--models",
    "efficientnet_lite0",
    "--datasets",
    "digits",
    "--limit",
    100,
    "--location-limit",
    0,
]
TRAIN = ["train", "--tasks", "digits", "--network", "small_cnn:16", "--arms", "onehot", "--seeds", 1]
LONG = [*TRAIN, "--epochs", 60, "--batch-size", 32, "--sweep-limit", 0]
RECORDS = "count(*), count(distinct (layer, image_id)) from records"
EPOCHS = "count(*), count(distinct epoch) from training_epochs"
PART_IMAGES = 50
# A test runner in the background, or under nohup, has its children ignore what is sent here.
U1 = f"""
import signal
from flows.cli import main
from u1core.cells import extract
extract.PART_IMAGES = {PART_IMAGES}
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
main()
"""


@pytest.mark.parametrize(
    ("arguments", "begun", "sent", "counted"),
    [
        (SWEEP, "records", signal.SIGINT, RECORDS),
        (SWEEP, "records", signal.SIGHUP, RECORDS),
        ([*SWEEP, "--runner", "dask"], "records", signal.SIGTERM, RECORDS),
        (LONG, "training_epochs", signal.SIGTERM, EPOCHS),
    ],
)
def test_a_signal_ends_it_cleanly(
    u1, u1_apart, ask, environment, tmp_path, monkeypatch, arguments, begun, sent, counted
):
    command = [sys.executable, "-c", U1, *map(str, arguments)]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, start_new_session=True, text=True
    )
    wait_until(lambda: any((tmp_path / "lake" / begun).rglob("*.parquet")) or process.poll() is not None)
    # A terminal signals the whole process group, as systemd and `timeout` do; `kill` one process.
    (os.kill if sent == signal.SIGTERM else os.killpg)(process.pid, sent)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert said.strip() == "u1: interrupted; what is written is kept, the same command goes on from here"
    wait_until(lambda: not is_alive(process.pid))
    monkeypatch.setattr(extract, "PART_IMAGES", PART_IMAGES)
    resumed = (u1_apart if "dask" in arguments else u1)(*arguments)
    assert resumed.returncode == 0, resumed.stderr
    assert "1 cells computed" in resumed.stdout or "1 runs and cells computed" in resumed.stdout
    ((rows, different),) = ask(f"select {counted}")
    assert rows == different == {"records": str(200 * 6), "training_epochs": "60"}[begun]


@pytest.mark.parametrize("place", [[], ["--runner", "dask"]])
def test_sigkill_takes_servers_and_workers_along(environment, tmp_path, place):
    command = [sys.executable, "-c", U1, *map(str, [*SWEEP, *place])]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True, **quiet)
    wait_until(lambda: any((tmp_path / "lake" / "records").rglob("*.parquet")) or process.poll() is not None)
    assert process.poll() is None
    process.kill()
    process.wait()
    wait_until(lambda: not is_alive(process.pid))


def is_alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
