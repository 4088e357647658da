"""SIGKILL at random moments, again and again: nothing lost, nothing doubled, the same answers.

U1_FAULT_KILLS sets how many; every ten of them strike one sweep, which then runs to its end.
"""

import os
import random
import signal
import subprocess

import pytest
from struck import CODE, SWEEP, Holding, rows_written, tell

KILLS = int(os.environ.get("U1_FAULT_KILLS", 3))
PER_SWEEP = 10


@pytest.fixture
def run(warm, served):
    """Run the sweep in a folder and kill it, its children too, if it takes too long; give its status."""

    def run_for(folder, limit_s=None):
        folder.mkdir(exist_ok=True)
        with (folder / "said").open("w") as said:
            where = {"cwd": folder, "env": served, "stdout": said, "stderr": said, "start_new_session": True}
            process = warm.start(CODE, SWEEP, **where)
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait()

    return run_for


@pytest.mark.timeout(120 + 30 * KILLS)
def test_killed_sweeps_end_as_if_nothing_had_happened(run, undisturbed_run, undisturbed, tmp_path):
    rng = random.Random(0)
    _, whole_s = undisturbed_run
    kills, sweeps, before, differing, rows = 0, 0, [], [], set()
    while kills < KILLS:
        folder = tmp_path / f"after {kills}"
        # Early moments first, so that later ones find cells to compute, and more often: two thirds of so
        # small a sweep are checks and report.
        for moment in sorted(rng.random() ** 2 for _ in range(min(PER_SWEEP, KILLS - kills))):
            status = run(folder, whole_s * moment)
            assert status in (-9, 0), (folder / "said").read_text()
            if status == 0:  # it had ended by itself: nothing is left to lose
                break
            kills += 1
            before.append(rows_written(folder / "lake"))
        status = run(folder)
        assert status == 0, (folder / "said").read_text()
        held = Holding.of(folder / "lake")
        rows.add(held.rows)
        sweeps += 1
        differing += held.differing(undisturbed)
    assert rows == {undisturbed.rows}
    unfinished = sum(found < undisturbed.rows for found in before)
    fault = f"SIGKILL of the flow, at random within {whole_s:.0f} s, in {sweeps} sweeps"
    found = f"{min(before)} to {max(before)}, less than all {unfinished} times"
    tell(fault, kills, found, f"{undisturbed.rows} in each", differing)
