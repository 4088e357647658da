"""EfficientNet-Lite0: `--precision bfloat16` over float32 as it is usually run (NCHW, eager), on a CPU.

    .venv/bin/python benchmarks/efficientnet.py

Above: the product's extraction, from cached pixels to Parquet. Below: timm's network, truncated at the same
layer, its batch norms unfolded, on an input in memory, in the batch of 32 that feature extractors recommend
and in the fastest of a few; in a process of its own, whose heap is the C library's (row `heap`). The target
counts where the processor has AVX512-BF16 (or AMX).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from statistics import median

import workload
from measure import ROUNDS, alternate, arguments, finish, machine, ratio

from u1core.common.runtime import Runtime

BATCHES = (1, 4, 8, 16)
USUAL = 32
IMAGES = 2000
TARGET = ">= 6"


@lru_cache
def _plain(images: int, batch: int) -> Callable[[], float]:
    entry = workload.photographs(images)
    cell = workload.cell_of(workload.network(workload.LITE0), entry, workload.open_images(entry))
    return workload.plain(cell, batch)


def eager(images: int, batch: int) -> float:
    """Return images per second of the network as it is usually run, in this process."""
    return _plain(images, batch)()


def main() -> None:
    options = arguments(__doc__).parse_args()
    images, rounds = (40, 1) if options.quick else (IMAGES, ROUNDS)
    entry = workload.photographs(images)
    opened = workload.open_images(entry)
    model = workload.network(workload.LITE0)
    bfloat16 = workload.limited(workload.cell_of(model, entry, opened, "bfloat16"), images // 4)
    runtime = Runtime(batch_size=4 if options.quick else workload.BATCH)
    workload.extraction(bfloat16, opened, runtime)  # fills the pixel cache
    with ProcessPoolExecutor(1, get_context("spawn")) as other:

        def theirs(batch: int) -> float:
            return other.submit(eager, images, batch).result()

        best = max(BATCHES[:1] if options.quick else BATCHES, key=theirs)
        rates = alternate(
            {
                "ours": lambda: workload.extraction(bfloat16, opened, runtime).rate,
                "eager": lambda: theirs(USUAL),
                "eager, its best batch": lambda: theirs(best),
            },
            rounds,
        )
    ratios = {
        "bfloat16 over float32 NCHW eager": ratio(rates["ours"], rates["eager"]),
        "over its best batch": ratio(rates["ours"], rates["eager, its best batch"]),
    }
    fast = any(kind in machine()["instructions"] for kind in ("avx512_bf16", "amx_bf16"))
    figures = {
        "images per second": {name: median(values) for name, values in rates.items()},
        "batches": {"ours": runtime.batch_size, "eager": USUAL, "its best": best},
        "bfloat16 in hardware": fast,
    }
    finish("efficientnet", ratios, {"bfloat16 over float32 NCHW eager": TARGET} if fast else {}, figures)


if __name__ == "__main__":
    main()
