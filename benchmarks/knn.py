"""Exact k-NN by cosine: u1core.measures.nearest beside faiss IndexFlatIP, in one process, alternating.

    .venv/bin/python -m pip install 'u1sweep[bench]'
    .venv/bin/python benchmarks/knn.py            # 50,000 x 10,000 x 1,280, under two minutes on two cores
    .venv/bin/python benchmarks/knn.py --quick    # seconds; too small to compare the two

faiss is given vectors of length 1 and its index, untimed; ours normalises and reads the memory block by block
within its time. Both find the same neighbours, or the run ends with 1. The peak of the memory used is that of
processes of their own, which make the memory block by block; it must not grow with the memory split.

Seen on one core of an AMD EPYC of Zen 4, GFLOP/s of CPU time: 114 are its peak (fused multiply-adds in
registers), 108 oneDNN's products, 101 faiss whole, 88 the products of MKL alone (what `@` calls). Ours is 107
for the products and 4 to 6 % below that for choosing among them, so 99 to 101 whole.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import faiss
import numpy as np
import torch

from u1core.measures.nearest import Neighbours, nearest

BLOCK = 8192
"""Rows per block of the memory, as u1core/cells/search.py reads them."""

ROUNDING = 2e-6
"""Float32 products of unit vectors, summed in another order, differ by less."""


def unit_vectors(n: int, dimensions: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((n, dimensions), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def gemm_seconds(queries: np.ndarray, memory: np.ndarray, rows: int = 2048) -> float:
    """Return what torch's own products alone would take, from the best of 5 blocks: the floor of `@`."""
    q, m = torch.from_numpy(queries[:rows]), torch.from_numpy(memory[:rows])
    best = min(seconds(lambda: q @ m.T) for _ in range(5))
    return best * (len(queries) / len(q)) * (len(memory) / len(m))


def same_neighbours(ours: Neighbours, similarity: np.ndarray, position: np.ndarray) -> float:
    """Return the share of equal neighbours; ranks may differ only where similarities tie within rounding."""
    worst = float(np.abs(ours.similarity - similarity).max())
    if worst > ROUNDING:
        sys.exit(f"similarities differ by {worst:.1e}, expected at most {ROUNDING:.0e}")
    return float((ours.position == position).mean())


def peak_mib(which: str, memory: int, queries: int, args: argparse.Namespace) -> float:
    """Measure in a process of its own how much a search adds to its peak, in MiB."""
    sizes = [str(n) for n in (memory, queries, args.dimensions, args.k)]
    command = [sys.executable, __file__, "--peak", which, *sizes]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_peak(which: str, memory: int, queries: int, dimensions: int, k: int) -> None:
    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, memory, BLOCK):
            yield unit_vectors(min(BLOCK, memory - start), dimensions, 1 + start)

    asked = unit_vectors(queries, dimensions, 0)
    nearest(asked[:100], [next(blocks())], k)  # libraries loaded, threads started
    before = high_water_kib()
    if which == "ours":
        nearest(asked, blocks(), k)
    else:
        index = faiss.IndexFlatIP(dimensions)
        for block in blocks():
            index.add(block)
        index.search(asked, k)
    print((high_water_kib() - before) / 1024)


def high_water_kib() -> int:
    """Return this process's peak; getrusage's begins at the size of the process that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def compare(args: argparse.Namespace) -> tuple[dict[str, float], dict[str, float]]:
    memory, queries = (unit_vectors(n, args.dimensions, n) for n in (args.memory, args.queries))
    index = faiss.IndexFlatIP(args.dimensions)
    index.add(memory)
    blocks = [memory[start : start + BLOCK] for start in range(0, len(memory), BLOCK)]
    equal = same_neighbours(nearest(queries, blocks, args.k), *index.search(queries, args.k))
    times: dict[str, list[float]] = {"faiss": [], "ours": [], "gemm": []}
    times["gemm"].append(gemm_seconds(queries, memory))
    for _ in range(args.repeats):
        times["faiss"].append(seconds(lambda: index.search(queries, args.k)))
        times["ours"].append(seconds(lambda: nearest(queries, blocks, args.k)))
        print("  ".join(f"{name} {values[-1]:.2f} s" for name, values in times.items()), file=sys.stderr)
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratio = statistics.median(f / o for f, o in zip(times["faiss"], times["ours"], strict=True))
    flop = 2.0 * args.memory * args.queries * args.dimensions
    rates = {f"{name}_gflops": flop / value / 1e9 for name, value in medians.items()}
    figures = {f"{name}_seconds": value for name, value in medians.items()} | rates
    return {"faiss_over_ours": ratio}, {**figures, "equal_neighbours": equal}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--memory", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--dimensions", type=int, default=1280)
    parser.add_argument("-k", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--quick", action="store_true", help="a tenth of the images, three repeats")
    parser.add_argument("--peak", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peak:
        print_peak(args.peak[0], *map(int, args.peak[1:]))
        return
    if args.quick:
        args.memory, args.queries, args.repeats = args.memory // 10, args.queries // 10, 3
    torch.set_num_threads(args.threads)
    faiss.omp_set_num_threads(args.threads)
    ratios, figures = compare(args)
    asked = min(args.queries, 2000)
    for which, memory in (("ours", args.memory), ("ours", 4 * args.memory), ("faiss", args.memory)):
        figures[f"peak_mib_{which}_{memory}"] = peak_mib(which, memory, asked, args)
    print(json.dumps({"benchmark": "knn", "ratios": ratios, "figures": figures | {"threads": args.threads}}))


if __name__ == "__main__":
    main()
