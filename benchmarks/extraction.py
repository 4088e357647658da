"""Extraction from the pixel cache over the bare forward pass of the same network, precision and batch.

    .venv/bin/python benchmarks/extraction.py

Bare: the product's own truncated network (folded, channels last) on a preprocessed input in memory, nothing
else. Extraction: the sweep's, from decoded photographs to Parquet on disk. Both alternate.
"""

from __future__ import annotations

from statistics import median
from typing import Any

import workload
from measure import ROUNDS, alternate, arguments, finish, ratio

from u1core.cells.forward import Extractor
from u1core.common.runtime import Runtime

IMAGES = 2000
SECONDS = 5.0
"""Roughly what one extraction lasts."""
CASES = (
    (workload.LITE0, "float32"),
    (workload.LITE0, "bfloat16"),
    ("torchvision:resnet18", "float32"),
    ("torchvision:resnet50", "float32"),
)
MORE = (("torchvision:resnet18", "bfloat16"), ("torchvision:resnet50", "bfloat16"))


def measure(name: str, precision: str, images: int, rounds: int) -> tuple[float, dict[str, Any]]:
    """Return extraction over bare, and the figures behind it."""
    entry = workload.photographs(images)
    opened = workload.open_images(entry)
    cell = workload.cell_of(workload.network(name), entry, opened, precision)
    batch = workload.BATCH if rounds > 1 else 4
    runtime = Runtime(batch_size=batch)
    bare = workload.bare(Extractor(cell, runtime, is_prepared=True), batch)
    # About SECONDS, over both splits in whole batches: of one that is filled up some is wasted.
    limit = max(batch, min(images, int(bare() * SECONDS)) // (2 * batch) * batch)
    cell = workload.limited(cell, limit)
    workload.extraction(cell, opened, runtime)  # fills the pixel cache
    passes: list[workload.Pass] = []

    def extraction() -> float:
        passes.append(workload.extraction(cell, opened, runtime))
        return passes[-1].rate

    rates = alternate({"extraction": extraction, "bare": bare}, rounds)
    phases = {name: sum(p.phases[name] for p in passes) for name in passes[0].phases}
    return ratio(rates["extraction"], rates["bare"]), {
        "batch": batch,
        "images": 2 * limit,
        "images per second": {name: median(values) for name, values in rates.items()},
        "share of the time": {name: s / sum(phases.values()) for name, s in phases.items()},
        "without what is written at the end": ratio([p.images / p.loop_s for p in passes], rates["bare"]),
        "set up, s": median(p.seconds - p.loop_s - p.tail_s for p in passes),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--all", action="store_true", help="the ResNets in bfloat16 too")
    options = parser.parse_args()
    images, rounds = (48, 1) if options.quick else (IMAGES, ROUNDS)
    cases = CASES[:1] if options.quick else CASES + (MORE if options.all else ())
    ratios, figures = {}, {}
    for name, precision in cases:
        label = f"{name.rpartition(':')[2]} {precision}"
        ratios[label], figures[label] = measure(name, precision, images, rounds)
        print(label, figures[label], flush=True)
    finish("extraction", ratios, dict.fromkeys(ratios, ">= 0.95"), figures)


if __name__ == "__main__":
    main()
