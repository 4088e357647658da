"""Many cells: how long it takes to plan 5,000, and to list and count 10,000 that the lake holds.

    .venv/bin/python benchmarks/cells.py           # three minutes
    .venv/bin/python benchmarks/cells.py --quick   # 100 and 300 cells

Wall time of processes of their own, files warm. What is planned is new: small networks under so many names,
on two data sets. The cells that are held are one real cell under so many names; only their rows of `cells`
are there, which is all that listing and `u1 plan` read. Counting in the large lake alternates with counting
in one of a hundred cells.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from measure import ROUNDS, alternate, arguments, finish, ratio, seconds_of

from u1core.lake.store import CellId, Lake

U1 = [sys.executable, "-c", "from flows.cli import main; main()"]
ENTRY = '[models.net{0:05d}]\narchitecture = "cifar_resnet:8"\nweights = "none"\nlabel_space = "digits"\n'
NEW = ["--models", "net*", "--datasets", "digits,phantom", "--limit", "10", "--location-limit", "0"]
COUNT = ["sql", "select count(*) from cells", "--format", "csv"]
PLAN_TARGET_S = 10.0


def u1(folder: Path, *arguments: str) -> str:
    """Run a command in a folder; return what it printed."""
    return subprocess.run([*U1, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def fill(root: Path, row: dict[str, Any], cells: int) -> Lake:
    """Make a lake that holds a cell under many names."""
    lake = Lake.open(root, create=True)
    rest = {name: [value] for name, value in row.items() if name not in ("cell_key", "model")}
    for number in range(cells):
        model = f"held{number:05d}"
        key = hashlib.sha256(model.encode()).hexdigest()[:16]
        lake.write("cells", CellId(key, row["dataset"], model, row["variant"]), rest)
    return lake


def count(folder: Path, cells: int) -> float:
    """Return the seconds of counting the cells of the lake in a folder."""
    found = []
    seconds = seconds_of(lambda: found.append(u1(folder, *COUNT).split()[1]))
    if found != [str(cells)]:
        raise SystemExit(f"{folder} holds {found} cells, not {cells}")
    return seconds


def main() -> None:
    """Measure."""
    options = arguments(__doc__).parse_args()
    planned, held, few, rounds = (100, 300, 10, 1) if options.quick else (5_000, 10_000, 100, ROUNDS)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        os.environ.setdefault("U1_CACHE", f"{root}/cache")
        os.environ.setdefault("PREFECT_HOME", f"{root}/prefect")
        one, small, large = root / "one", root / "small", root / "large"
        for folder in (one, small, large):
            folder.mkdir()
        u1(
            one,
            "sweep",
            "--models",
            "pixels",
            "--datasets",
            "digits",
            "--limit",
            "10",
            "--location-limit",
            "0",
        )
        row = next(iter(Lake.open(one / "lake").cells().values()))
        fill(small / "lake", row, few)
        fill(large / "lake", row, held)
        catalog = root / "catalog.toml"
        catalog.write_text("".join(ENTRY.format(number) for number in range(planned // 2)))
        plan = ["plan", *NEW, "--catalog", str(catalog)]
        if f"{planned} of {planned} cells to run" not in u1(large, *plan):
            raise SystemExit("the plan is not what it should be")
        counts = {"few": lambda: count(small, few), "many": lambda: count(large, held)}
        times = alternate({"plan": lambda: seconds_of(lambda: u1(large, *plan)), **counts}, rounds)
    figures = {
        f"{planned} cells planned, {held} held": {"seconds": median(times["plan"])},
        f"{few} cells counted": {"seconds": median(times["few"])},
        f"{held} cells counted": {"seconds": median(times["many"])},
    }
    ratios = {
        "plan, 10 s over its time": PLAN_TARGET_S / median(times["plan"]),
        f"counting {held} cells over counting {few}": ratio(times["many"], times["few"]),
    }
    finish("cells", ratios, {"plan, 10 s over its time": ">= 1"}, figures)


if __name__ == "__main__":
    main()
