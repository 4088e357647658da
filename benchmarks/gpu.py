"""Extraction on a GPU: its rate, its share of the bare forward pass, the floor, what precision does to theta.

    PYTHONPATH=. python benchmarks/gpu.py                       # CUDA; five networks at 224 px
    PYTHONPATH=. python benchmarks/gpu.py --device cpu --quick  # shows that it runs

Needs torch, torchvision, timm (for the fourth) and this repository, which need not be installed; no lake, no
Prefect, no DuckDB. `--networks` cuts it in pieces. Weights are random; pictures are noise with the spectrum
of natural ones.

Extraction: from uint8 pixels in memory over pinned copies, the folded network and all reductions to rows on
the host; Parquet is another thread's. Bare: the same network on an input on the device. Floor: the chip's
measured rate of matrix products in that precision over the network's operations per image: what nothing can
beat. Theta: every image's angle against float32 (TF32 off), each precision with the frame fitted to its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from measure import ROUNDS, alternate, arguments, finish, ratio, skip
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from u1core.catalog.entries import DatasetEntry, ModelEntry
from u1core.cells.batches import Batches
from u1core.cells.cell import Cell
from u1core.cells.forward import Extractor
from u1core.common.clock import Clock
from u1core.common.errors import U1Error
from u1core.common.runtime import Runtime, arithmetic
from u1core.measures import medial
from u1core.measures.frames import CoMoments, feature_plane, fit_frame, image_plane
from u1core.measures.reduce import PartReducer, PartRows
from u1core.networks.build import build_shapes
from u1core.networks.resolve import resolve
from u1core.networks.taps import Taps

NETWORKS = (
    "torchvision:resnet50",
    "torchvision:vgg16",
    "torchvision:densenet201",
    "timm:tf_efficientnet_lite0",
    "torchvision:convnext_tiny",
)
SIDE = 224
MODES = (("float32", False), ("bfloat16", False), ("float32", True), ("bfloat16", True))
MATRIX = {"cuda": 8192, "cpu": 512}
TARGET = ">= 0.9"


def pictures(images: int) -> np.ndarray:
    """Return noise whose amplitude falls as 1/f, strongest about a place of each picture's own.

    Args:
        images: How many.

    Returns:
        (n, 224, 224, 3) uint8.
    """
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None])
    amplitude = 1 / np.maximum(frequency, 1 / SIDE)
    found = np.empty((images, SIDE, SIDE, 3), dtype=np.uint8)
    for picture in found:
        white = rng.normal(size=(3, *amplitude.shape)) + 1j * rng.normal(size=(3, *amplitude.shape))
        pink = np.fft.irfft2(white * amplitude, s=(SIDE, SIDE))
        cx, cy = rng.uniform(-0.6, 0.6, 2)
        spot = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 0.5)
        scaled = 128 + 70 * spot * pink / pink.std(axis=(1, 2), keepdims=True)
        picture[:] = np.clip(scaled, 0, 255).transpose(1, 2, 0)
    return found


def cell_of(architecture: str, precision: str) -> Cell:
    """Return a cell of a network with random weights and of no data set."""
    name = architecture.rpartition(":")[2]
    entry = ModelEntry(name, architecture, "none", "", None, (), "", None, "none")
    nothing = DatasetEntry("noise", "noise", (), (), "none", None, None, None)
    return Cell(resolve(entry), nothing, "none", precision=precision)


def matrix_rate(device: str, precision: str) -> float:
    """Return operations per second of a large matrix product, median of a few."""
    n = MATRIX[torch.device(device).type]
    dtype = getattr(torch, precision)
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    with arithmetic(device, "float32"):  # no autocast, no TF32
        times = [timed(lambda: a @ b, device) for _ in range(ROUNDS + 2)]
    return 2 * n**3 / median(times[2:])


def timed(run: Callable[[], object], device: str) -> float:
    """Return the seconds of a call, the device's work included."""
    wait(device)
    start = time.perf_counter()
    run()
    wait(device)
    return time.perf_counter() - start


def wait(device: str) -> None:
    """Wait for the device."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def flops(model: ModelEntry) -> float:
    """Return the operations of one image's truncated forward pass."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        Taps(build_shapes(model), model.layers)(torch.zeros(1, 3, SIDE, SIDE, device="meta"))
    return float(counter.get_total_flops())


class Loop:
    """The product's loop for one network in one mode.

    Attributes:
        extractor: The network.
        batches: Runs it.
    """

    def __init__(self, cell: Cell, runtime: Runtime, pixels: np.ndarray, *, compiled: bool) -> None:
        self.cell, self.runtime, self.pixels = cell, runtime, pixels
        self.extractor = Extractor(cell, runtime, is_prepared=True)
        self.batches = Batches(self.extractor, (SIDE, SIDE, 3), 1_000_000, Clock())
        self._noise = torch.from_numpy(np.resize(pixels, (self.batches.size, SIDE, SIDE, 3))).to(
            runtime.device
        )
        if compiled:
            self.extractor.compile(self._noise)

    def rows(self) -> PartRows:
        """Extract all pictures; the first half is the memory split."""
        n, model = len(self.pixels), self.cell.model
        reducer = PartReducer(model.layers, model.bottleneck)
        for start in range(0, n, self.batches.size):
            chosen = self.pixels[start : start + self.batches.size]
            positions = np.arange(start, start + len(chosen))
            answer = self.batches(chosen, positions.tolist())
            reducer.add(answer.layers, None, positions, positions >= n // 2)
        self.batches.wait()
        return reducer.finish()

    def rate(self, repeats: int) -> float:
        """Return images per second of the whole loop."""
        return repeats * len(self.pixels) / timed(lambda: [self.rows() for _ in range(repeats)], self.device)

    def bare_rate(self, repeats: int) -> float:
        """Return images per second of forward passes alone, on an input on the device."""
        with arithmetic(self.device, self.cell.precision):
            inputs = self.extractor.preprocess(self._noise).contiguous(memory_format=torch.channels_last)
            network = self.extractor._run  # eager or compiled, without what prepares its input
            count = max(1, repeats * len(self.pixels) // len(inputs))
            network(inputs)
            return count * len(inputs) / timed(lambda: _repeat(network, inputs, count), self.device)

    @property
    def device(self) -> str:
        """Where it runs."""
        return self.runtime.device


def _repeat(network: Callable[[Tensor], object], inputs: Tensor, count: int) -> None:
    for _ in range(count):
        network(inputs)


def theta(rows: PartRows, layer: str) -> dict[str, np.ndarray]:
    """Return every picture's angle at a layer in both planes, radians; the frame is of the first half."""
    reduced = rows.layers[layer]
    chroma = medial.decompose(reduced.pooled).chroma
    dipole = np.stack([reduced.focus["dipole_x"], reduced.focus["dipole_y"]], axis=1)
    half = len(chroma) // 2
    frame = fit_frame(CoMoments.of(chroma[:half], dipole[:half]))
    return {"image": image_plane(frame, dipole)[0], "feature": feature_plane(frame, chroma)[0]}


def deviation_deg(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """Return median and largest turn of theta by plane, degrees."""
    turns = {p: np.degrees(np.abs(np.angle(np.exp(1j * (found[p] - expected[p]))))) for p in expected}
    return {plane: [float(np.nanmedian(t)), float(np.nanmax(t))] for plane, t in turns.items()}


@dataclass(frozen=True)
class Plan:
    """How to measure: where, on what, how long a reading, how many rounds, precisions and compilation."""

    runtime: Runtime
    pixels: np.ndarray
    seconds: float
    rounds: int
    modes: tuple[tuple[str, bool], ...]


def measure(architecture: str, plan: Plan) -> dict[str, Any]:
    """Return the figures of one network by mode."""
    found: dict[str, Any] = {}
    expected: dict[str, np.ndarray] = {}
    for precision, compiled in plan.modes:
        loop = Loop(cell_of(architecture, precision), plan.runtime, plan.pixels, compiled=compiled)
        angles = theta(loop.rows(), loop.cell.model.bottleneck)
        expected = expected or angles
        mode = f"{precision}{', compiled' if compiled else ''}"
        turns = deviation_deg(angles, expected)
        found[mode] = speed(loop, plan) | {"theta against float32, median and max, deg": turns}
        print(json.dumps({architecture: {mode: found[mode]}}), flush=True)
    return found


def speed(loop: Loop, plan: Plan) -> dict[str, Any]:
    """Return rates of the loop, of bare forward passes beside it, and the floor."""
    repeats = max(1, round(plan.seconds * loop.rate(1) / len(plan.pixels)))
    rates = alternate(
        {"extraction": lambda: loop.rate(repeats), "bare": lambda: loop.bare_rate(repeats)}, plan.rounds
    )
    floor = matrix_rate(loop.device, loop.cell.precision) / flops(loop.cell.model)
    rate = {name: median(values) for name, values in rates.items()}
    return {
        "batch": loop.batches.size,
        "images per second": rate | {"floor": floor},
        "share of bare": ratio(rates["extraction"], rates["bare"]),
        "share of the floor": rate["extraction"] / floor,
        "note": loop.extractor.note or ("compiled" if loop.extractor.is_compiled else "eager"),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--networks", default=",".join(NETWORKS), help="architectures, separated by commas")
    options = parser.parse_args()
    kind = torch.device(options.device).type
    if kind == "cuda" and not torch.cuda.is_available():
        return skip("gpu", "no GPU here: run it where there is one")
    networks = options.networks.split(",")
    if options.quick:
        plan = Plan(Runtime(options.device, 4, compile=False), pictures(16), 0.1, 1, MODES[:2])
    else:
        plan = Plan(Runtime(options.device, compile=False), pictures(2048), 2.0, ROUNDS, MODES)
    name = torch.cuda.get_device_name(options.device) if kind == "cuda" else "cpu"
    figures: dict[str, Any] = {"device": name, "images": len(plan.pixels)}
    ratios: dict[str, float] = {}
    for architecture in networks[:1] if options.quick else networks:
        try:
            found = measure(architecture, plan)
        except U1Error as error:  # timm may not be there
            figures[architecture] = str(error)
            continue
        figures[architecture] = found
        short = architecture.rpartition(":")[2]
        ratios |= {f"{short} {mode}": row["share of bare"] for mode, row in found.items()}
    finish("gpu", ratios, dict.fromkeys(ratios, TARGET) if kind == "cuda" else {}, figures)


if __name__ == "__main__":
    main()
