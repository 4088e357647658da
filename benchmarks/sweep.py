"""A sweep of six models over one data set: its wall time over the sum of the six bare forward passes.

    .venv/bin/python benchmarks/sweep.py

The wall time is that of the command `u1 sweep` from nothing: start of Python and Prefect, decoding of the
JPEG files, Parquet, frames, memory search, SQL, checks, report. Bare: every model's truncated network on an
input in memory, median of the readings before and after the sweep, times the number of images.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median

import workload
from measure import ROUNDS, Watched, arguments, finish, watch

from u1core.cells.cell import Cell
from u1core.cells.forward import Extractor
from u1core.common.runtime import Runtime
from u1core.lake.store import Lake

MODELS = ("resnet18", "resnet50", "mobilenet_v2", "regnet_y_400mf", "densenet121", "efficientnet_lite0")
IMAGES = 1920
U1 = [sys.executable, "-c", "from flows.cli import main; main()"]


def entries(names: tuple[str, ...]) -> dict[str, dict[str, object]]:
    """Return catalog entries of torchvision's networks without weights; the others have entries."""
    return {
        name: {"architecture": f"torchvision:{name}", "weights": "none", "label_space": "none"}
        for name in names
        if name != workload.LITE0
    }


def run_sweep(names: tuple[str, ...], pictures: Path, folder: Path) -> Watched:
    """Run the command in an empty folder with an empty pixel cache."""
    catalog = workload.write_catalog(entries(names), {"photographs": pictures}, folder / "catalog.toml")
    command = [
        *U1, "sweep", "--models", ",".join(names), "--datasets", "photographs", "--catalog", catalog,
        "--device", "cpu", "--batch-size", str(workload.BATCH),
        "--lake", folder / "lake", "--report", folder / "report",
    ]  # fmt: skip
    return watch(command, folder, {"U1_CACHE": str(folder / "cache")})


def bare_seconds(cells: dict[str, Cell], images: int, rounds: int) -> dict[str, list[float]]:
    """Return readings of what the bare forward passes of all images take, by model."""
    found: dict[str, list[float]] = {}
    for name, cell in cells.items():
        rate = workload.bare(Extractor(cell, Runtime(), is_prepared=True), workload.BATCH)
        found[name] = [images / rate() for _ in range(rounds)]
    return found


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--images", type=int, default=IMAGES)
    options = parser.parse_args()
    names, images, rounds = (
        (MODELS[:1], 40, 1) if options.quick else (MODELS, options.images, (ROUNDS + 1) // 2)
    )
    pictures = workload.photographs(images)
    opened = workload.open_images(pictures)
    cells = {
        name: workload.cell_of(
            workload.network(name if name == workload.LITE0 else f"torchvision:{name}"), pictures, opened
        )
        for name in names
    }
    before = bare_seconds(cells, images, rounds)
    with tempfile.TemporaryDirectory(dir=workload.workspace()) as folder:
        swept = run_sweep(names, Path(str(pictures.options["path"])), Path(folder))
        rows = Lake.open(Path(folder, "lake")).cells().values()
        extraction_s = {row["model"]: row["seconds"] for row in rows}
    after = bare_seconds(cells, images, rounds)
    bare_s = {name: median(before[name] + after[name]) for name in names}
    total = sum(bare_s.values())
    figures = {
        "models": len(names),
        "images": images,
        "sweep, s": swept.seconds,
        "bare forward passes, s": bare_s,
        "extraction, s": extraction_s,
        "extraction over bare": sum(extraction_s.values()) / total,
        "everything else, s": swept.seconds - sum(extraction_s.values()),
        "peak memory, MB": swept.peak_bytes / 1e6,
    }
    finish("sweep", {"sweep over bare": swept.seconds / total}, {"sweep over bare": "<= 1.10"}, figures)


if __name__ == "__main__":
    main()
