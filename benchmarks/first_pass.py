"""The first pass over JPEG files, CPU: images per second over the slower of decoding alone and forward alone.

    .venv/bin/python benchmarks/first_pass.py

First pass: nothing is cached; the folder is listed, files decoded, resized, run through the network, reduced
and written. Decoding alone: the same without the network. Forward alone: the product's truncated network on
an input in memory. Both want every core, so 1.0 is out of reach; with decoding that takes a share d of the
forward pass's time a machine without idle cores can give 1 / (1 + d), printed beside each ratio.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import workload
from measure import ROUNDS, alternate, arguments, finish, ratio

from u1core.catalog.entries import DatasetEntry, ModelEntry
from u1core.cells.forward import Extractor
from u1core.common.runtime import Runtime
from u1core.networks.preprocess import preprocessing_of

CASES = (workload.LITE0, "torchvision:resnet18")
IMAGES = {workload.LITE0: 384, "torchvision:resnet18": 160}


def decoding(entry: DatasetEntry, model: ModelEntry, batch: int) -> float:
    """Return images per second from files to pixels, without a cache."""
    with workload.empty_folder() as cache:
        start = time.perf_counter()
        opened = workload.open_images(entry, cache)
        positions = np.arange(len(opened))
        wanted = [positions[i : i + batch] for i in range(0, len(opened), batch)]
        with opened.open_pixels(preprocessing_of(model)) as source:
            done = sum(len(found.positions) for found in source.batches(wanted))
        return done / (time.perf_counter() - start)


def measure(name: str, images: int, rounds: int) -> tuple[float, dict[str, Any]]:
    """Return the ratio of one network, and the figures behind it."""
    entry, model = workload.photographs(images), workload.network(name)
    opened = workload.open_images(entry)
    cell = workload.cell_of(model, entry, opened)
    batch = workload.BATCH if rounds > 1 else 4
    workload.extraction(cell, opened, Runtime(batch_size=batch))  # what is imported late is imported
    runs: dict[str, Callable[[], float]] = {
        "first pass": lambda: workload.first_pass(entry, cell, batch),
        "decode": lambda: decoding(entry, model, batch),
        "forward": workload.bare(Extractor(cell, Runtime(), is_prepared=True), batch),
    }
    rates = alternate(runs, rounds)
    slower = np.minimum(rates["decode"], rates["forward"])
    rate = {name: median(values) for name, values in rates.items()}
    possible = rate["decode"] / (rate["decode"] + rate["forward"])
    slowest = min(rate["decode"], rate["forward"])
    return ratio(rates["first pass"], list(slower)), {
        "batch": batch,
        "images": images,
        "images per second": rate,
        "possible without idle cores": possible * rate["forward"] / slowest,
    }


def main() -> None:
    options = arguments(__doc__).parse_args()
    ratios, figures = {}, {}
    for name in CASES[:1] if options.quick else CASES:
        label = name.rpartition(":")[2]
        images, rounds = (40, 1) if options.quick else (IMAGES[name], ROUNDS)
        ratios[label], figures[label] = measure(name, images, rounds)
        print(label, figures[label], flush=True)
    finish("first_pass", ratios, dict.fromkeys(ratios, ">= 0.9"), figures)


if __name__ == "__main__":
    main()
