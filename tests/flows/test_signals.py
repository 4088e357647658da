"""Ctrl-C, `kill` and a closed terminal: one line, no process left behind, and the same command goes on."""

import os
import signal
import subprocess

import pytest
from command import MAIN, wait_until

from u1core.cells import extract

pytestmark = pytest.mark.slow

SWEEP = [
    "sweep",
    "--models",
    "resnet20_onehot",
    "--datasets",
    "digits",
    "--limit",
    100,
    "--location-limit",
    0,
    "--batch-size",
    1,
]
TRAIN = ["train", "--tasks", "digits", "--network", "small_cnn:16", "--arms", "onehot", "--seeds", 1]
LONG = [*TRAIN, "--epochs", 24, "--batch-size", 32, "--sweep-limit", 0]
RECORDS = "count(*), count(distinct (layer, image_id)) from records"
EPOCHS = "count(*), count(distinct epoch) from training_epochs"
PART_IMAGES = 20
U1 = f"""
from flows.cli import main
from u1core.cells import extract
extract.PART_IMAGES = {PART_IMAGES}
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
    u1, ask, warm, environment, served, tmp_path, monkeypatch, arguments, begun, sent, counted
):
    where = {"cwd": tmp_path, "env": environment}
    pipe = {"stderr": subprocess.PIPE, "text": True}
    process = warm.start(U1, arguments, start_new_session=True, **where, **pipe)
    wait_until(lambda: any((tmp_path / "lake" / begun).rglob("*.parquet")) or process.poll() is not None)
    # A terminal signals the whole process group, as systemd and `timeout` do; `kill` one process.
    (os.kill if sent == signal.SIGTERM else os.killpg)(process.pid, sent)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert said.strip() == "u1: interrupted; what is written is kept, the same command goes on from here"
    wait_until(lambda: not is_alive(process.pid))
    monkeypatch.setattr(extract, "PART_IMAGES", PART_IMAGES)
    resumed = warm.run(MAIN, arguments, cwd=tmp_path, env=served) if "dask" in arguments else u1(*arguments)
    assert resumed.returncode == 0, resumed.stderr
    assert "1 cells computed" in resumed.stdout or "1 runs and cells computed" in resumed.stdout
    ((rows, different),) = ask(f"select {counted}")
    assert rows == different == {"records": str(200 * 4), "training_epochs": "24"}[begun]


@pytest.mark.parametrize("place", [[], ["--runner", "dask"]])
def test_sigkill_takes_servers_and_workers_along(warm, environment, tmp_path, place):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    where = {"cwd": tmp_path, "env": environment}
    process = warm.start(U1, [*SWEEP, *place], start_new_session=True, **where, **quiet)
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
