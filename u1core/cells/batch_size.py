"""How many images go into one forward pass: found once by trying, remembered, halved where memory ends."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from u1core.cells.cell import Cell
from u1core.common import atomic
from u1core.common.runtime import Runtime, is_out_of_memory
from u1core.networks.identity import identity_of

PROBED_IMAGES = 5000
"""Below this many images the default is taken: trying takes as long as about 250 images, five per cent."""

WORTH = 1.02
"""A larger batch must be faster by this much: smaller ones need less memory."""

_CANDIDATES = {"cpu": (2, 4, 8, 16, 32, 64, 128), "cuda": (32, 64, 128, 256, 512, 1024)}
_TRIES = 3


def default_batch_size(pixels: int, device: str = "cpu") -> int:
    """Return a batch that suits most networks on inputs of so many pixels: 16 at 224 px on a CPU."""
    smallest, images_224, most = (8, 16, 64) if device.startswith("cpu") else (16, 64, 1024)
    return min(max(images_224 * 224**2 // max(pixels, 1), smallest), most)


def fastest_batch_size(run: Callable[[int], object], start: int, device: str) -> int:
    """Try batches around `start` and return the fastest; where two are close, the smaller.

    Args:
        run: Runs one batch of the size it is given, to its end.
        start: Tried first; larger and smaller ones while they are faster.
        device: 'cpu', 'cuda', ...: which sizes are tried.
    """
    sizes = sorted({*_CANDIDATES.get(device, _CANDIDATES["cuda"]), start})
    rates = {start: _rate(run, start)}
    for candidates in (
        [size for size in reversed(sizes) if size < start],
        [size for size in sizes if size > start],
    ):
        for size in candidates:
            rates[size] = _rate(run, size)
            if rates[size] < max(rates.values()):
                break
    best = max(rates.values())
    return min(size for size, rate in rates.items() if rate * WORTH >= best)


def _rate(run: Callable[[int], object], size: int) -> float:
    """Return images per second of the best of a few tries; 0 where memory does not suffice."""
    try:
        run(size)
        return size / min(_seconds(run, size) for _ in range(_TRIES))
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return 0.0


def _seconds(run: Callable[[int], object], size: int) -> float:
    start = time.perf_counter()
    run(size)
    return time.perf_counter() - start


class Remembered:
    """Batch sizes of this machine, in one small file; without a file that can be written, of this process.

    Args:
        folder: Where the file lies.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "batch_sizes.json"

    def get(self, cell: Cell, runtime: Runtime) -> int | None:
        """Return the size remembered for a network, its input, precision and device."""
        size = self._read().get(_key(cell, runtime))
        return size if isinstance(size, int) and size > 0 else None

    def put(self, cell: Cell, runtime: Runtime, size: int) -> None:
        """Remember a size; a second process that writes meanwhile costs one of the two a new try."""
        sizes = self._read() | {_key(cell, runtime): size}
        with suppress(OSError):  # a cache that is read-only is no reason to stop
            self._path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_text(self._path, json.dumps(sizes, indent=1, sort_keys=True), is_lasting=False)

    def _read(self) -> dict[str, object]:
        try:
            sizes = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return sizes if isinstance(sizes, dict) else {}


def _key(cell: Cell, runtime: Runtime) -> str:
    device = platform.machine() if runtime.kind == "cpu" else torch.cuda.get_device_name(runtime.device)
    cores = os.environ.get("OMP_NUM_THREADS") or str(os.cpu_count())
    processor = f"{device}, {cores} cores" if runtime.kind == "cpu" else device
    identity = identity_of(cell.model)
    return " | ".join((processor, identity["architecture"], identity["preprocessing"], cell.precision))
