"""SIGKILL at random moments, again and again: nothing lost, nothing doubled, the same answers.

U1_FAULT_KILLS sets how many; every ten of them strike one sweep, which then runs to its end.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from struck import SWEEP, Holding, rows_written, tell

KILLS = int(os.environ.get("U1_FAULT_KILLS", 3))
PER_SWEEP = 10


@pytest.mark.timeout(120 + 30 * KILLS)
def test_killed_sweeps_end_as_if_nothing_had_happened(served, undisturbed, tmp_path):
    rng = random.Random(0)
    command = [sys.executable, str(Path(__file__).with_name("forked.py")), *SWEEP]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=served, **pipes) as forks:

        def run(folder, delay_s=1e6):
            folder.mkdir(exist_ok=True)
            forks.stdin.write(f"{folder}\t{delay_s}\n")
            forks.stdin.flush()
            status, seconds = forks.stdout.readline().split()
            return int(status), float(seconds)

        status, whole_s = run(tmp_path / "first")
        assert status == 0, (tmp_path / "first" / "said").read_text()
        kills, sweeps, before, differing, rows = 0, 0, [], [], set()
        while kills < KILLS:
            folder = tmp_path / f"after {kills}"
            # Early moments first, so that later ones find cells to compute, and more often: two thirds of so
            # small a sweep are checks and report.
            for moment in sorted(rng.random() ** 2 for _ in range(min(PER_SWEEP, KILLS - kills))):
                status, _ = run(folder, whole_s * moment)
                assert status in (-9, 0), (folder / "said").read_text()
                if status == 0:  # it had ended by itself: nothing is left to lose
                    break
                kills += 1
                before.append(rows_written(folder / "lake"))
            status, _ = run(folder)
            assert status == 0, (folder / "said").read_text()
            held = Holding.of(folder / "lake")
            rows.add(held.rows)
            sweeps += 1
            differing += held.differing(undisturbed)
        forks.stdin.close()
    assert rows == {undisturbed.rows}
    unfinished = sum(found < undisturbed.rows for found in before)
    fault = f"SIGKILL of the flow, at random within {whole_s:.0f} s, in {sweeps} sweeps"
    found = f"{min(before)} to {max(before)}, less than all {unfinished} times"
    tell(fault, kills, found, f"{undisturbed.rows} in each", differing)
