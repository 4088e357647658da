"""What the rows about extraction run: networks, photographs, the product's extraction, bare forward passes.

Shape legend: B images, H x W pixels, C colours.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import jpegs
import torch
from torch import Tensor

from u1core.catalog.catalog import load_catalog
from u1core.catalog.entries import DatasetEntry, ModelEntry
from u1core.cells.cell import Cell
from u1core.cells.extract import extract, load_sums
from u1core.cells.forward import Extractor
from u1core.cells.open_cell import OpenCell
from u1core.common.clock import PHASES
from u1core.common.heap import kept_heap
from u1core.common.runtime import Runtime, arithmetic
from u1core.images import cache as decoded
from u1core.images.cache import Images, default_cache
from u1core.lake.store import Lake
from u1core.networks.build import build_network
from u1core.networks.preprocess import preprocessing_of
from u1core.networks.resolve import resolve
from u1core.networks.taps import Taps
from u1core.networks.weights import pin

LITE0 = "efficientnet_lite0"
BATCH = 32
"""Images per forward pass on both sides: near the fastest for every network here, what others recommend."""
BARE_S = 1.5
"""Seconds of forward passes that one reading of a bare rate lasts at least."""


def workspace() -> Path:
    """Return the folder for what benchmarks keep: pictures, weights, other programs' environments."""
    folder = default_cache() / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# -- networks and images ------------------------------------------------------------------------------


def write_catalog(models: Mapping[str, Mapping[str, object]], datasets: Mapping[str, Path], to: Path) -> Path:
    """Write a catalog of models (fields by id) and folders of pictures (by id)."""
    lines = []
    for name, fields in models.items():
        lines += [f"[models.{name}]", *(f"{key} = {_toml(value)}" for key, value in fields.items())]
    for name, folder in datasets.items():
        lines += [f"[datasets.{name}]", 'kind = "folder"', f'options = {{ path = "{folder}" }}']
    to.write_text("\n".join(lines) + "\n")
    return to


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(entry)}" for key, entry in value.items()) + " }"
    return repr(value).replace("'", '"') if not isinstance(value, tuple) else _toml(list(value))


def network(name: str, **fields: object) -> ModelEntry:
    """Return a resolved entry: one of the catalog, or an architecture such as 'torchvision:resnet18'.

    Args:
        name: Id or architecture; an architecture gets random weights unless `fields` say otherwise.
        fields: Of the entry, as in catalog.toml.
    """
    if ":" not in name:
        return pin(resolve(load_catalog().models[name]))
    with tempfile.TemporaryDirectory() as folder:
        entry = {"architecture": name, "weights": "none", "label_space": "none", **fields}
        path = write_catalog({"it": entry}, {}, Path(folder, "catalog.toml"))
        model = resolve(load_catalog(path).models["it"])
        return pin(model) if model.has_weights else model


def photographs(images: int) -> DatasetEntry:
    """Return a folder of JPEG photographs as a data set; the first call makes it."""
    folder = jpegs.make(workspace() / f"jpegs-{images}", images)
    (entry,) = load_catalog().select_datasets(f"folder:{folder}")
    return entry


# -- the product --------------------------------------------------------------------------------------


@dataclass
class Pass:
    """One extraction of a cell.

    Attributes:
        images: How many.
        loop_s: Seconds from the first batch asked for to the last one reduced; networks are built before.
        tail_s: Seconds from there until everything is written.
        seconds: Wall time in all.
        phases: Seconds by phase.
    """

    images: int
    loop_s: float
    tail_s: float
    seconds: float
    phases: dict[str, float]

    @property
    def rate(self) -> float:
        """Images per second; building the network does not count, which a real cell does once in minutes."""
        return self.images / (self.loop_s + self.tail_s)


def extraction(cell: Cell, images: Images, runtime: Runtime, keep: Path | None = None) -> Pass:
    """Extract a cell as a sweep does, into a lake that is deleted afterwards unless it is to be kept."""
    last = start = time.perf_counter()

    def progress(done: int, total: int, phases: Mapping[str, float]) -> None:
        nonlocal last
        last = time.perf_counter()

    with tempfile.TemporaryDirectory() as folder:
        opened = OpenCell(cell, images, Lake.open(keep or Path(folder, "lake"), create=True))
        extract(opened, runtime, progress)
        end = time.perf_counter()
        sums = load_sums(opened)
    phases = dict(zip(PHASES, sums.timing.phases, strict=True))
    return Pass(sums.rows, sums.timing.seconds, end - last, end - start, phases)


def first_pass(entry: DatasetEntry, cell: Cell, batch: int) -> float:
    """Return images per second with nothing cached, from listing the folder to Parquet."""
    with empty_folder() as cache:
        start = time.perf_counter()
        opened = open_images(entry, cache)
        listed_s = time.perf_counter() - start
        found = extraction(cell, opened, Runtime(batch_size=batch))
    return found.images / (listed_s + found.images / found.rate)


@contextmanager
def empty_folder() -> Iterator[Path]:
    """Give an empty folder on the disk where the caches are, and delete it."""
    folder = Path(tempfile.mkdtemp(prefix="empty-", dir=workspace()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def open_images(entry: DatasetEntry, cache: Path | None = None) -> Images:
    """Open a data set; its pixels are cached in `cache`."""
    return decoded.open_images(entry, cache or default_cache())


def cell_of(model: ModelEntry, entry: DatasetEntry, images: Images, precision: str = "float32") -> Cell:
    """Return the cell of a model and a data set."""
    return Cell(model, entry, images.fingerprint, precision=precision)


def limited(cell: Cell, limit: int) -> Cell:
    """Return the cell of at most so many images per split."""
    return replace(cell, limit=limit)


# -- bare forward passes ------------------------------------------------------------------------------


def bare(extractor: Extractor, batch: int, *, kept: bool = True) -> Callable[[], float]:
    """Return what reads the rate of the product's truncated network alone, on an input in memory."""
    precision = extractor.cell.precision
    return forward_rate(extractor.network, _inputs(extractor, batch), precision, kept=kept)


def plain(cell: Cell, batch: int) -> Callable[[], float]:
    """Return what reads the rate of the network as published: NCHW, nothing folded, the heap not kept."""
    extractor = Extractor(cell, Runtime(), is_prepared=True)
    taps = Taps(build_network(cell.model), cell.model.layers)
    return forward_rate(taps, _inputs(extractor, batch).contiguous(), cell.precision, kept=False)


def forward_rate(
    run: Callable[[Tensor], object], inputs: Tensor, precision: str, *, kept: bool = True
) -> Callable[[], float]:
    """Return a function that gives images per second of forward passes on one input, warmed up.

    The heap is kept as in an extraction, so that a ratio tells of everything else; row `heap` tells of it.
    """

    def read() -> float:
        with kept_heap() if kept else nullcontext(), arithmetic("cpu", precision):
            run(inputs)
            count, start = 0, time.perf_counter()
            while (seconds := time.perf_counter() - start) < BARE_S:
                run(inputs)
                count += len(inputs)
        return count / seconds

    return read


def _inputs(extractor: Extractor, batch: int) -> Tensor:
    """Return preprocessed noise (B, 3, H, W), the channels last."""
    side = preprocessing_of(extractor.cell.model).size
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (batch, side, side, 3), dtype=torch.uint8, generator=generator)
    return extractor.preprocess(pixels).contiguous(memory_format=torch.channels_last)


def threads() -> str:
    """Say how many threads torch uses, and whether the environment asked for it."""
    return f"{torch.get_num_threads()} (OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'unset')})"
