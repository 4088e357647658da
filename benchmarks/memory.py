"""Peak memory of a sweep: at n images, at 10 n images, and what `u1 plan` said before.

    .venv/bin/python benchmarks/memory.py

The peak is the kernel's high-water mark of the resident set of `u1 sweep`'s process, libraries and all; n is
more than one part (2,048 images), so that every buffer is as full as it gets.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measure import Watched, arguments, finish, watch

U1 = [sys.executable, "-c", "from flows.cli import main; main()"]
SMALL_PICTURES = ("--models", "cifar10_resnet20", "--variants", "random-init", "--datasets", "cifar10")
LARGE_PICTURES = ("--models", "efficientnet_lite0", "--datasets", "cifar10", "--precision", "bfloat16")
TARGETS = {
    "10 n over n images, ResNet-20 at 32 px": "<= 1.10",
    "peak over plan, ResNet-20 at 32 px": "0.8 to 1.2",
    "peak over plan, EfficientNet-Lite0 at 224 px": "0.8 to 1.2",
}


def planned_and_swept(cell: Sequence[str], limit: int) -> tuple[float, Watched]:
    """Run a cell of `limit` images per split; return the bytes that `u1 plan` promised, and the process."""
    with tempfile.TemporaryDirectory() as folder:
        options = [*cell, "--limit", str(limit), "--device", "cpu"]
        plan = watch([*U1, "plan", *options], Path(folder), {"COLUMNS": "200", "NO_COLOR": "1"})
        return planned_bytes(plan.output), watch([*U1, "sweep", *options], Path(folder))


def planned_bytes(table: str) -> float:
    """Return the memory in the one row of a plan's table, bytes.

    Raises:
        ValueError: There is no such column or row.
    """
    rows = [[field.strip() for field in re.split("[│┃|]", line)[1:-1]] for line in table.splitlines()]
    header = next((row for row in rows if "memory MB" in row), None)
    cell = next((row for row in rows if header and len(row) == len(header) and row[1] == "to do"), None)
    if header is None or cell is None:
        raise ValueError(f"no memory in this plan:\n{table}")
    return 1e6 * float(cell[header.index("memory MB")])


def figures(limit: int, planned: float, swept: Watched) -> dict[str, Any]:
    return {
        "images per split": limit,
        "peak, MB": swept.peak_bytes / 1e6,
        "peak without files, MB": swept.peak_anonymous_bytes / 1e6,
        "planned, MB": planned / 1e6,
        "seconds": swept.seconds,
    }


def main() -> None:
    quick = arguments(__doc__).parse_args().quick
    cases = {
        "n": (SMALL_PICTURES, 20 if quick else 1250),
        "10 n": (SMALL_PICTURES, 200 if quick else 12500),
        "224 px": (LARGE_PICTURES, 8 if quick else 600),
    }
    found = {name: planned_and_swept(cell, limit) for name, (cell, limit) in cases.items()}
    peak = {name: swept.peak_bytes for name, (_, swept) in found.items()}
    values = (
        peak["10 n"] / peak["n"],
        peak["10 n"] / found["10 n"][0],
        peak["224 px"] / found["224 px"][0],
    )
    behind = {name: figures(cases[name][1], *found[name]) for name in cases}
    finish("memory", dict(zip(TARGETS, values, strict=True)), TARGETS, behind)


if __name__ == "__main__":
    main()
