"""Kill a sweep with SIGKILL at random moments and show that resuming loses and doubles nothing.

    .venv/bin/python benchmarks/sigkill.py --kills 20

Runs one undisturbed sweep, then the same sweep killed again and again, then to its end, and compares row
counts and every answer of class_bias, class_directions and memory_report. About ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

U1 = [sys.executable, "-c", "from flows.cli import main; main()"]
CELLS = ["--models", "cifar10_resnet20", "--variants", "random-init", "--datasets", "digits,phantom"]
SIZES = ["--limit", "60", "--batch-size", "8"]
COUNTS = """
select 'records' as t, count(*), count(distinct (cell_key, layer, image_id)) from records
union all
select 'angles', count(*), count(distinct (cell_key, layer, image_id)) from angles
union all
select 'neighbours', count(*), count(distinct (cell_key, scheme, image_id, rank)) from neighbours
order by 1
"""
ANSWERS = (
    "select dataset, layer, plane, split, n, mww_w from class_bias order by all",
    "select dataset, layer, plane, split, label, n, mean_direction_rad from class_directions order by all",
    "select dataset, scheme, k, accuracy from memory_report order by all",
)


def u1(folder: Path, *arguments: str) -> str:
    return subprocess.run([*U1, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def ask(folder: Path, query: str) -> str:
    return u1(folder, "sql", query, "--format", "csv")


def killed_sweep(folder: Path, delay_s: float) -> bool:
    """Start a sweep, kill it and its children after `delay_s`; return whether it was still running."""
    sweep = subprocess.Popen(
        [*U1, "sweep", *CELLS, *SIZES],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        sweep.wait(delay_s)
    except subprocess.TimeoutExpired:
        os.killpg(sweep.pid, signal.SIGKILL)
        sweep.wait()
        return True
    return False


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as root:
        calm, rough = Path(root, "calm"), Path(root, "rough")
        calm.mkdir(), rough.mkdir()
        start = time.monotonic()
        u1(calm, "sweep", *CELLS, *SIZES)
        whole_s = time.monotonic() - start
        print(f"undisturbed: {whole_s:.1f} s", flush=True)
        kills = 0
        while kills < options.kills:
            delay_s = rng.uniform(1, whole_s)
            was_running = killed_sweep(rough, delay_s)
            kills += was_running
            print(
                f"kill {kills}: after {delay_s:.1f} s" if was_running else "it ended before the kill",
                flush=True,
            )
            if not was_running:
                # A finished lake has nothing left to lose: begin again.
                (rough / "lake").rename(rough / f"lake-{time.monotonic_ns()}")
        u1(rough, "sweep", *CELLS, *SIZES)
        lakes = sorted(rough.glob("lake*"))
        failed = False
        for lake in lakes:
            for query in (COUNTS, *ANSWERS):
                same = u1(rough, "sql", query, "--format", "csv", "--lake", str(lake)) == ask(calm, query)
                failed |= not same
                print(f"{lake.name}: {query.strip()[:50]}...: {'same' if same else 'DIFFERENT'}")
    verdict = "FAILED" if failed else "no row lost or doubled, same answers"
    print(f"{kills} kills, {len(lakes)} lakes compared: {verdict}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
