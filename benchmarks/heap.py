"""Bare forward passes with the heap kept (u1core/common/heap.py) over the C library's own ways.

    .venv/bin/python benchmarks/heap.py

The same truncated networks, batch and input in two processes that take turns; nothing but `kept_heap`
differs. Both count the pages that the kernel had to give them per image.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from statistics import median
from typing import Any

import workload
from measure import ROUNDS, alternate, arguments, finish, ratio

from u1core.cells.forward import Extractor
from u1core.common.runtime import Runtime

CASES = (
    (workload.LITE0, "float32"),
    (workload.LITE0, "bfloat16"),
    ("torchvision:resnet18", "float32"),
)
IMAGES = 40
"""Of the data set that the cells are of; none is read."""


@lru_cache
def _reader(kept: bool, name: str, precision: str) -> Callable[[], float]:
    entry = workload.photographs(IMAGES)
    cell = workload.cell_of(workload.network(name), entry, workload.open_images(entry), precision)
    return workload.bare(Extractor(cell, Runtime(), is_prepared=True), workload.BATCH, kept=kept)


def side(kept: bool, name: str, precision: str) -> tuple[float, float]:
    """Return images per second, and page faults per image, of this process."""
    read = _reader(kept, name, precision)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    rate = read()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    return rate, faults / (rate * workload.BARE_S)


def measure(sides: dict[str, Any], name: str, precision: str, rounds: int) -> tuple[float, dict[str, Any]]:
    """Return kept over default, and the figures behind it."""
    faults: dict[str, list[float]] = {which: [] for which in sides}

    def rate(which: str) -> float:
        found, pages = sides[which].submit(side, which == "kept", name, precision).result()
        faults[which].append(pages)
        return found

    for which in sides:
        rate(which)  # libraries loaded, weights read
    rates = alternate({which: lambda w=which: rate(w) for which in sides}, rounds)
    return ratio(rates["kept"], rates["default"]), {
        "images per second": {which: median(values) for which, values in rates.items()},
        "page faults per image": {which: median(values) for which, values in faults.items()},
    }


def main() -> None:
    options = arguments(__doc__).parse_args()
    ratios, figures = {}, {}
    context = get_context("spawn")
    with ProcessPoolExecutor(1, context) as kept, ProcessPoolExecutor(1, context) as default:
        sides = {"kept": kept, "default": default}
        for name, precision in CASES[:1] if options.quick else CASES:
            label = f"{name.rpartition(':')[2]} {precision}"
            ratios[label], figures[label] = measure(sides, name, precision, 1 if options.quick else ROUNDS)
            print(label, figures[label], flush=True)
    finish("heap", ratios, {}, figures)


if __name__ == "__main__":
    main()
