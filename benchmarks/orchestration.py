"""What a sweep costs beyond its work: plan, Prefect, tasks, marks in the lake.

    .venv/bin/python benchmarks/orchestration.py            # 100 small cells and 4 larger ones
    .venv/bin/python benchmarks/orchestration.py --quick    # 10 and 1

Each sweep runs in this process on a lake of its own, with an embedded Prefect server whose database is there.
Work is the time inside the cells' steps and inside the SQL and the report that end a sweep; what is left of
the wall time is orchestration: the server's start, the plan, Prefect's tasks. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_START_SERVER = "import tasks; from flows.server import prefect_server\nwith prefect_server(): pass"

TARGET_S = 15.0
"""Orchestration of 100 small cells."""

TARGET_SHARE = 0.03
"""Orchestration's share of the wall time of a sweep of cells that take minutes, as real ones do."""


def write_catalog(path: Path, cells: int, depth: int) -> None:
    """Write a catalog of as many models as cells: one network under other names."""
    entry = (
        '[models.net{0:03d}]\narchitecture = "cifar_resnet:{1}"\nweights = "none"\nlabel_space = "digits"\n'
    )
    path.write_text("\n".join(entry.format(number, depth) for number in range(cells)))


class Timer:
    """Sums the time inside functions that it wraps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - start

        return timed


def measure(folder: Path, cells: int, depth: int, limit: int) -> dict[str, float]:
    """Run a sweep of equal cells, then again with nothing to do; return seconds by what took them."""
    from flows import sweep

    folder.mkdir()
    write_catalog(folder / "catalog.toml", cells, depth)
    options = sweep.Options(
        models="net*", datasets="digits", lake=str(folder / "lake"), report=folder / "report", limit=limit,
        location_limit=0, device="cpu", catalog=folder / "catalog.toml",
    )  # fmt: skip
    first, again = (_timed_sweep(options, cells, found) for found in (False, True))
    return {"cells": cells, **first, "nothing_to_do_s": again["orchestration_s"]}


def _timed_sweep(options: Any, cells: int, found: bool) -> dict[str, float]:
    """Run one sweep; return its wall time and what took it."""
    from flows import server, sweep
    from tasks import workplace

    timed = {
        "work_s": (workplace.Here, "compute"),
        "conclude_s": (sweep, "conclude"),
        "server_start_s": (server, "_start"),
    }
    timers = {name: Timer() for name in timed}
    before = {name: getattr(*place) for name, place in timed.items()}
    for name, (owner, attribute) in timed.items():
        setattr(owner, attribute, timers[name].around(before[name]))
    try:
        wall_s = _seconds(sweep, options, cells, found)
    finally:
        for name, (owner, attribute) in timed.items():
            setattr(owner, attribute, before[name])
    figures = {name: timer.seconds for name, timer in timers.items()}
    rest_s = wall_s - sum(figures.values())
    return {"wall_s": wall_s, **figures, "orchestration_s": rest_s}


def _seconds(sweep: Any, options: Any, cells: int, found: bool) -> float:
    start = time.perf_counter()
    result = sweep.sweep(options)
    seconds = time.perf_counter() - start
    if not result.complete or result.count("found" if found else "computed") != cells:
        raise SystemExit(f"the sweep is not what it should be: {result.summary}")
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="10 small cells and 1 larger one")
    parser.add_argument("--cells", type=int, default=100, help="small cells; 100 are reckoned from fewer")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        os.environ.setdefault("U1_CACHE", f"{root}/cache")
        os.environ.setdefault("PREFECT_HOME", f"{root}/prefect")
        # The first start of all migrates the database: not a sweep's affair.
        subprocess.run([sys.executable, "-c", _START_SERVER], check=True)
        # The server starts with the first sweep and ends with this process; the first also imports much.
        warm = measure(Path(root, "warm"), 1, 8, 10)
        small = measure(Path(root, "small"), 10 if options.quick else options.cells, 8, 10)
        large = measure(Path(root, "large"), 1 if options.quick else 4, 20, 800)
    for name, figures in (("warm", warm), ("small", small), ("large", large)):
        print(f"{name}: " + ", ".join(f"{k} {v:.2f}" for k, v in figures.items()))
    per_cell_s = (small["orchestration_s"] - warm["nothing_to_do_s"]) / small["cells"]
    fixed_s = warm["server_start_s"] + warm["orchestration_s"]
    hundred_s = fixed_s + 100 * per_cell_s
    # A sweep whose cells take a minute each: 50,000 images at 800 per second, say.
    share = hundred_s / (hundred_s + 100 * 60.0)
    print(f"fixed {fixed_s:.2f} s, per cell {1000 * per_cell_s:.1f} ms")
    print(f"100 small cells {hundred_s:.1f} s (target {TARGET_S:.0f})")
    print(f"share of 100 cells of a minute {100 * share:.2f} % (target {100 * TARGET_SHARE:.0f})")
    figures = {
        f"{name}_{k}": v for name, found in (("small", small), ("large", large)) for k, v in found.items()
    }
    figures |= {"fixed_s": fixed_s, "per_cell_ms": 1000 * per_cell_s, "hundred_cells_s": hundred_s}
    ratios = {"hundred_cells_of_target": hundred_s / TARGET_S, "share_of_100_minutes": share}
    print(json.dumps({"benchmark": "orchestration", "ratios": ratios, "figures": figures}))
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    sys.exit(main())
