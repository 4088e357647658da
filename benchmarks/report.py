"""`make bench`: run every row of docs/benchmarks.md, one after the other, and write the page.

    .venv/bin/python benchmarks/report.py                     # all rows but the long
    .venv/bin/python benchmarks/report.py --only knn,startup  # these again, the others as they were
    .venv/bin/python benchmarks/report.py --full              # rows at full length, however long that is
    .venv/bin/python benchmarks/report.py --render            # only the page, from docs/benchmarks.json

A row is a script beside this one that ends with a line of JSON (see measure.py). It gets a budget of time;
one that fails, runs over it or is not there is told on the page, never left out; one that can't run here (no
GPU) stays as another machine measured it, whose figures name it. Photographs
and thingsvision's environment are made before the clock starts, on first use.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import page
from measure import machine, versions

from u1core.common.errors import U1Error

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
RESULTS = DOCS / "benchmarks.json"
LIMIT_S = 1190
"""All rows together."""

BUDGETS_S = {
    "heap": 120,
    "extraction": 300,
    "first_pass": 150,
    "sweep": 900,
    "thingsvision": 330,
    "efficientnet": 100,
    "knn": 120,
    "orchestration": 150,
    "cells": 180,
    "sql_scale": 180,
    "startup": 60,
    "memory": 240,
    "gpu": 60,
}
"""Seconds after which a row is given up; in the order of the page."""


SHORTENED: dict[str, list[str]] = {
    # 100 million rows take half an hour; the time is linear in rows, which two sizes show.
    "sql_scale": ["--rows", "1e7", "--shapes", "one", "--sizes", "2"],
    "orchestration": ["--cells", "25"],
}
"""Arguments of rows that would take longer than their budget; left out with --full."""

LONG = ("sweep",)
"""Rows that tell nothing when they are short: run by --full and --only, else as they were."""


def prepare() -> None:
    """Make what rows need and keep: photographs, and the other program's environment."""
    import extraction
    import first_pass
    import sweep
    import thingsvision
    import workload

    sizes = {
        extraction.IMAGES,
        sweep.IMAGES,
        *first_pass.IMAGES.values(),
        *(case.images for case in thingsvision.CASES),
    }
    steps = [functools.partial(workload.photographs, images) for images in sorted(sizes)]
    for step in (*steps, thingsvision.environment):
        try:
            step()
        except (U1Error, OSError, subprocess.CalledProcessError) as error:  # its row will say so
            print(f"not prepared: {error}", file=sys.stderr, flush=True)


def run(name: str, options: list[str], budget_s: float | None) -> dict[str, Any]:
    """Run a row; what went wrong is part of the result."""
    script = HERE / f"{name}.py"
    if not script.is_file():
        return {"benchmark": name, "failed": f"benchmarks/{script.name} is not there"}
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, script, *options],
        cwd=HERE.parent,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=budget_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return {"benchmark": name, "failed": f"over its {budget_s:.0f} s", "seconds": budget_s}
    print(output, flush=True)
    seconds = time.monotonic() - start
    found = last_json(output)
    if process.returncode or found is None:
        reason = (errors.strip().splitlines() or ["no line of JSON"])[-1]
        print(errors[-3000:], file=sys.stderr, flush=True)
        return {"benchmark": name, "failed": reason, "seconds": seconds}
    return {**found, "seconds": seconds}


def last_json(output: str) -> dict[str, Any] | None:
    """Return the last line that is a JSON object; None where there is none."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            found: dict[str, Any] = json.loads(line)
            return found
    return None


def run_all(names: list[str], *, quick: bool, full: bool) -> dict[str, Any]:
    """Run rows within their budgets, and within what is left of the whole; in full without either."""
    rows, start = {}, time.monotonic()
    for name in names:
        left = LIMIT_S - (time.monotonic() - start)
        print(f"== {name}" if full else f"== {name} ({left:.0f} s left)", flush=True)
        options = ["--quick"] if quick else [] if full else SHORTENED.get(name, [])
        rows[name] = run(name, options, None if full else max(1.0, min(left, BUDGETS_S[name] * (1 + quick))))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", help="rows, separated by commas; else all but the long ones: " + ", ".join(LONG)
    )
    parser.add_argument(
        "--render", action="store_true", help="write the page from the figures that are there"
    )
    parser.add_argument("--full", action="store_true", help="rows at full length, however long that is")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it runs, not how fast")
    parser.add_argument("--to", type=Path, default=RESULTS, help="where the figures go; the page beside it")
    options = parser.parse_args()
    everything = [name for name in BUDGETS_S if options.full or name not in LONG]
    names = options.only.split(",") if options.only else everything
    if unknown := sorted(set(names) - set(BUDGETS_S)):
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(BUDGETS_S)}")
    found: dict[str, Any] = json.loads(options.to.read_text()) if options.to.is_file() else {"rows": {}}
    if not options.render:
        if not options.quick:
            prepare()
        new = run_all(names, quick=options.quick, full=options.full)
        # What can't be measured here stays as another machine measured it.
        rows = new | {n: row for n, row in found["rows"].items() if n not in new or "skipped" in new[n]}
        ordered = {name: rows[name] for name in BUDGETS_S if name in rows}
        found = {"machine": machine(), "versions": versions(), "quick": options.quick, "rows": ordered}
        options.to.write_text(json.dumps(found, indent=1) + "\n")
    written = page.write(found, tuple(BUDGETS_S), options.to.with_suffix(".md"))
    print(f"{written}: {page.summary(found)}")
    return int(any("failed" in row for row in found["rows"].values()))


if __name__ == "__main__":
    sys.exit(main())
