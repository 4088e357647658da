"""What every row of docs/benchmarks.md shares: timing side by side, peak memory, the machine, the last line.

A row is a script here with a `main()` and the option `--quick`. It prints a table for people and ends with
one line of JSON, which `benchmarks/report.py` collects:

    {"benchmark": "knn", "ratios": {"over faiss": 1.1}, "targets": {"over faiss": ">= 1.0"}, "figures": {...}}

Only the standard library is imported here, so that a script can watch a process without being large itself.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

ROUNDS = 5
"""Medians are taken over at least so many rounds."""

PACKAGES = (
    "torch", "torchvision", "timm", "numpy", "pillow", "pyarrow", "duckdb", "prefect", "dask", "polars",
    "faiss-cpu", "u1sweep",
)  # fmt: skip


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with the option that every row has."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it runs, not how fast")
    return parser


# -- time ---------------------------------------------------------------------------------------------


def seconds_of(run: Callable[[], object]) -> float:
    """Return the wall time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def alternate(runs: Mapping[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Run things side by side: each once per round, every other round in the opposite order.

    What else the machine does meanwhile, and how warm it is, then meets all of them alike.

    Args:
        runs: By name; each returns its figure, such as images per second or seconds.
        rounds: How often each runs.

    Returns:
        The figures of each, in order of the rounds.
    """
    found: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        for name in list(runs)[:: -1 if number % 2 else 1]:
            found[name].append(runs[name]())
    return found


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Return the median over rounds of one figure over the other of the same round."""
    return median(a / b for a, b in zip(above, below, strict=True))


# -- memory -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Watched:
    """A command that has ended.

    Attributes:
        seconds: Wall time.
        peak_bytes: Largest resident set of its process.
        peak_anonymous_bytes: Largest part of it that is not a file's, looked at every 20 ms.
        output: Standard output.
    """

    seconds: float
    peak_bytes: int
    peak_anonymous_bytes: int
    output: str


def watch(command: Sequence[str | Path], cwd: Path, environment: Mapping[str, str] | None = None) -> Watched:
    """Run a command to its end and watch the memory of its process.

    The kernel's high-water mark is read while the process lives: what wait() reports afterwards begins at the
    size of the process that started it.

    Raises:
        RuntimeError: It failed; with the end of what it said.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    peaks = {"VmHWM": 0, "RssAnon": 0}
    watcher = threading.Thread(target=_follow, args=(process, peaks), daemon=True)
    watcher.start()
    output, _ = process.communicate()
    watcher.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {process.returncode}: {output[-2000:]}")
    return Watched(time.perf_counter() - start, peaks["VmHWM"], peaks["RssAnon"], output)


def _follow(process: subprocess.Popen[str], peaks: dict[str, int]) -> None:
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        try:
            lines = status.read_text().splitlines()
        except OSError:  # it has just ended
            return
        for line in lines:
            name, _, rest = line.partition(":")
            if name in peaks:
                peaks[name] = max(peaks[name], 1024 * int(rest.split()[0]))
        time.sleep(0.02)


# -- the machine --------------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """Describe the machine: processor, cores, memory, system."""
    model, flags = "", ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        model = model or (value.strip() if name.strip() == "model name" else "")
        flags = flags or (value if name.strip() == "flags" else "")
    kinds = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags.split()]
    kilobytes = next(
        int(line.split()[1])
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemTotal")
    )
    return {
        "processor": model or platform.machine(),
        "instructions": ", ".join(kinds),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(kilobytes / 1e6, 1),
        "system": platform.platform(terse=True),
    }


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Return the versions of Python and of the packages that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


# -- the end of a row ---------------------------------------------------------------------------------


def is_met(value: float, target: str) -> bool:
    """Tell whether a ratio meets its target: '>= 0.95', '<= 1.1' or '0.8 to 1.2'."""
    low, between, high = target.partition(" to ")
    if between:
        return float(low) <= value <= float(high)
    sign, _, bound = target.partition(" ")
    return value >= float(bound) if sign == ">=" else value <= float(bound)


def finish(
    name: str, ratios: Mapping[str, float], targets: Mapping[str, str], figures: Mapping[str, Any]
) -> None:
    """Print the ratios beside their targets, then the line of JSON; a row's last act."""
    for key, value in ratios.items():
        target = targets.get(key, "")
        verdict = ("met" if is_met(value, target) else "short") if target else ""
        print(f"{key:<58} {value:8.3f}  {target:<10} {verdict}")
    line = {
        "benchmark": name,
        "ratios": _rounded(ratios),
        "targets": dict(targets),
        "figures": _rounded(figures),
    }
    print(json.dumps(line), flush=True)


def skip(name: str, reason: str) -> None:
    """Print the line of JSON of a row that can't run here."""
    print(reason)
    print(json.dumps({"benchmark": name, "skipped": reason}), flush=True)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, Mapping):
        return {str(k): _rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(v) for v in value]
    return value
