"""How long the commands take that run nothing: wall time of processes of their own, files warm.

    .venv/bin/python benchmarks/startup.py           # a minute on an idle machine
    .venv/bin/python benchmarks/startup.py --quick

The CPU time beside it tells a slow start from a busy machine. tests/flows/test_imports.py keeps the starts
fast by what they import; this measures them.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from u1core.lake.store import Lake

U1 = [sys.executable, "-c", "from flows.cli import main; main()"]

TARGETS_S = {"u1 --help": 0.5, "u1 sql": 1.0}

COMMANDS: dict[str, tuple[str, ...]] = {
    "u1 --help": ("--help",),
    "u1 sql": ("sql", "select 1"),
    "u1 catalog list": ("catalog", "list"),
    "u1 sweep, a name mistaken": ("sweep", "--models", "resnet51"),
    "u1 plan, two models": ("plan", "--models", "cifar10_resnet20,pixels", "--datasets", "digits"),
}


def run(arguments: tuple[str, ...], folder: Path) -> tuple[float, float]:
    """Return wall and CPU seconds of one process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([*U1, *arguments], cwd=folder, capture_output=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="5 at least give a median")
    parser.add_argument("--quick", action="store_true", help="five repeats, without the plan")
    args = parser.parse_args()
    repeats = 5 if args.quick else args.repeats
    commands = {name: a for name, a in COMMANDS.items() if not args.quick or "plan" not in name}
    figures, medians = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        Lake.open(Path(folder) / "lake", create=True)
        for name, arguments in commands.items():
            run(arguments, Path(folder))  # warms the file cache
            wall, cpu = zip(*(run(arguments, Path(folder)) for _ in range(repeats)), strict=True)
            medians[name] = statistics.median(wall)
            figures[f"{name}: wall_s"], figures[f"{name}: cpu_s"] = medians[name], statistics.median(cpu)
            print(f"{name}: {medians[name]:.2f} s, CPU {statistics.median(cpu):.2f} s", file=sys.stderr)
    ratios = {f"{name}, target over time": target / medians[name] for name, target in TARGETS_S.items()}
    print(json.dumps({"benchmark": "startup", "ratios": ratios, "figures": figures}))


if __name__ == "__main__":
    main()
