"""What a sweep costs beyond its work: plan, Prefect, tasks, marks in the lake.

    .venv/bin/python benchmarks/orchestration.py            # 100 small cells and 4 larger ones
    .venv/bin/python benchmarks/orchestration.py --quick    # 10 and 1

Each sweep runs in this process on a lake of its own, with an embedded Prefect server that starts cold except
for its database. Work is the time inside the cells' steps and inside the SQL and the report that end a sweep;
what is left of the wall time is orchestration. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    from flows import runners, sweep
    from tasks import workplace

    folder.mkdir()
    write_catalog(folder / "catalog.toml", cells, depth)
    options = sweep.Options(
        models="net*", datasets="digits", lake=folder / "lake", report=folder / "report", limit=limit,
        location_limit=0, device="cpu", catalog=folder / "catalog.toml",
    )  # fmt: skip
    work, end, server = Timer(), Timer(), Timer()
    compute, conclude, start = workplace.Here.compute, sweep.conclude, runners.SubprocessASGIServer.start
    workplace.Here.compute = work.around(compute)
    sweep.conclude = end.around(conclude)
    runners.SubprocessASGIServer.start = server.around(start)
    try:
        whole_s = [_seconds(sweep, options, cells, found) for found in (False, True)]
    finally:
        workplace.Here.compute, sweep.conclude, runners.SubprocessASGIServer.start = compute, conclude, start
    return {
        "cells": cells,
        "wall_s": whole_s[0],
        "work_s": work.seconds,
        "conclude_s": end.seconds / 2,
        "server_start_s": server.seconds,
        "orchestration_s": whole_s[0] - work.seconds - end.seconds / 2,
        "nothing_to_do_s": whole_s[1] - end.seconds / 2,
    }


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
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        os.environ.setdefault("U1_CACHE", f"{root}/cache")
        os.environ.setdefault("PREFECT_HOME", f"{root}/prefect")
        # The first start of all compiles and migrates: not a sweep's affair.
        measure(Path(root, "warm"), 1, 8, 10)
        small = measure(Path(root, "small"), 10 if options.quick else 100, 8, 10)
        large = measure(Path(root, "large"), 1 if options.quick else 4, 20, 800)
    for name, figures in (("small", small), ("large", large)):
        print(f"{name} cells: " + ", ".join(f"{k} {v:.2f}" for k, v in figures.items()))
    per_cell_s = (small["orchestration_s"] - large["orchestration_s"]) / (small["cells"] - large["cells"])
    fixed_s = small["orchestration_s"] - per_cell_s * small["cells"]
    hundred_s = fixed_s + 100 * per_cell_s
    # A sweep whose cells take a minute each, the shortest that GPUs meet (ImageNet's 50,000 images).
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
