"""Extraction: one forward pass per batch, everything per image reduced on the device.

Three things happen at once: a thread makes the next batches of pixels ready (on a CPU in turn with its
network), this one keeps the device busy, another writes the part before. Memory is bounded by a few batches,
one group of energy maps and two parts of reduced rows, whatever the size of the dataset.
Shape legend: B images of a batch, N channels, H x W pixels.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Self

import numpy as np
import torch

from u1core.catalog.entries import Preprocessing
from u1core.cells.batches import Batches
from u1core.cells.canary import canary
from u1core.cells.forward import Extractor
from u1core.cells.location_maps import LocationMaps, by_place
from u1core.cells.open_cell import OpenCell
from u1core.cells.parts import finished_part, write_part
from u1core.common.ahead import read_ahead, read_in_turn
from u1core.common.clock import PHASES, Clock
from u1core.common.errors import U1Error
from u1core.common.heap import kept_heap
from u1core.common.runtime import Runtime
from u1core.images.cache import select_images
from u1core.images.pixel_source import PixelBatch, PixelSource
from u1core.images.sources.listing import ImageFailure, Pixels
from u1core.measures.reduce import PartReducer
from u1core.measures.sums import PartSums, Timing
from u1core.networks.optical_path import check_path
from u1core.networks.outputs import class_of
from u1core.networks.preprocess import preprocessing_of

PART_IMAGES = 2048
"""Images per part, the unit that a crash can cost."""

MEMORY_BATCH = 64
"""Pictures at a time where a variant estimates, whatever --batch-size: a cell resumed estimates the same."""

CellProgress = Callable[[int, int, Mapping[str, float]], None]
"""Called with images done, images in all, and seconds so far by phase (`clock.PHASES`)."""


def extract(
    opened: OpenCell,
    runtime: Runtime,
    progress: CellProgress | None = None,
    also: Sequence[Preprocessing] = (),
) -> None:
    """Extract the parts of a cell that are not in the lake yet.

    Args:
        opened: What to extract, from which images, into which lake.
        runtime: Device and batch size.
        progress: Told how far it is after every batch.
        also: Preprocessings of cells to come: a picture is decoded once for all of them.

    Raises:
        U1Error: The network cannot be built, or not one image gave finite activations.
    """
    total = len(opened.positions)
    missing = {n: part for n, part in enumerate(_parts(opened)) if finished_part(opened, n) is None}
    done = total - sum(map(len, missing.values()))
    tell = progress or (lambda done, total, phases: None)
    tell(done, total, {})
    if missing:
        with kept_heap(), opened.images.open_pixels(preprocessing_of(opened.model), also) as source:
            loop = _Loop(opened, runtime, source)
            loop.run(missing, lambda more: tell(done + more, total, loop.clock.phases))
    if not (sums := load_sums(opened)).rows:
        raise U1Error(
            "at least one image with finite activations",
            f"none of {sums.failures} for {opened}",
            "check the model's weights and preprocessing with `u1 catalog show`",
        )


def load_sums(opened: OpenCell) -> PartSums:
    """Return the merged sums of a cell whose parts are all in the lake.

    Raises:
        U1Error: A part is missing: the cell was not extracted, or its state was deleted.
    """
    count = len(_parts(opened))
    found = [sums for number in range(count) if (sums := finished_part(opened, number))]
    if not found or len(found) != count:
        raise U1Error(f"{count} extracted parts of {opened}", f"{len(found)}", "run `u1 sweep` again")
    return functools.reduce(PartSums.merge, found)


def _parts(opened: OpenCell) -> list[np.ndarray]:
    """Divide the cell's images into parts, positions in the data set."""
    positions = opened.positions
    return [positions[start : start + PART_IMAGES] for start in range(0, len(positions), PART_IMAGES)]


class _Loop:
    """The hot loop over the missing parts of a cell.

    Attributes:
        clock: Where the time goes.
        canary: Largest difference between rows alone and in a batch; None before the first batch.
    """

    def __init__(self, opened: OpenCell, runtime: Runtime, source: PixelSource) -> None:
        self.opened, self.source = opened, source
        self.extractor = Extractor(opened.cell, runtime, is_prepared=source.is_prepared, memory=self._memory)
        self.extractor.check_head(opened.head_classes)
        self.canary: float | None = None
        self.maps = LocationMaps(opened)
        self.clock = Clock()

    def run(self, parts: Mapping[int, np.ndarray], report: Callable[[int], None]) -> None:
        """Extract parts (positions by number), writing each while the next one is computed."""
        run = Batches(self.extractor, self.source.shape, sum(map(len, parts.values())), self.clock)
        split = {
            n: [part[i : i + run.size] for i in range(0, len(part), run.size)] for n, part in parts.items()
        }
        batches = [batch for part in split.values() for batch in part]
        done = 0
        self.clock.lap()
        with _Writer(self.clock) as writer, closing(self._pixels(batches)) as loaded:
            for number, wanted in split.items():
                part = _Part(self, number)
                for batch in wanted:
                    part.add(next(loaded), run)
                    done += len(batch)
                    report(done)
                writer.submit(part.finish(run))

    def _memory(self, count: int) -> Iterator[tuple[Pixels, Sequence[int]]]:
        """Yield at most so many pictures of the memory split and their ids, class-balanced, in batches."""
        images, limit = self.opened.images, self.opened.cell.limit
        chosen = select_images(images, min(count, limit or count))
        chosen = chosen[~images.is_query[chosen]]
        parts = [chosen[i : i + MEMORY_BATCH] for i in range(0, len(chosen), MEMORY_BATCH)]
        for batch in self.source.batches(parts):
            if len(batch.positions):
                yield batch.pixels, images.image_ids[batch.positions].tolist()

    def _pixels(self, wanted: list[np.ndarray]) -> Generator[PixelBatch]:
        """Yield one batch for each array of positions; on a CPU in turn with its network."""
        if self.extractor.runtime.kind != "cpu":
            return read_ahead(self.source.batches(wanted), self.clock)
        turn = threading.Event()
        return read_in_turn(self.source.batches(wanted, turn), self.clock, turn)


class _Part:
    """The rows of one part as they come in."""

    def __init__(self, loop: _Loop, number: int) -> None:
        self.loop, self.number = loop, number
        model = loop.opened.model
        self.rows = PartReducer(model.layers, model.bottleneck)
        self.maps = loop.maps.writer(number)
        self.undecoded: list[ImageFailure] = []

    def add(self, batch: PixelBatch, run: Batches) -> None:
        """Run and reduce one batch."""
        self.undecoded.extend(batch.failures)
        if not len(batch.positions):
            return
        opened, clock = self.loop.opened, self.loop.clock
        image_ids = opened.images.image_ids[batch.positions].tolist()
        answer = run(batch.pixels, image_ids)
        if self.loop.canary is None:
            with clock.phase("forward"):
                self.loop.canary = canary(run.extractor, batch.pixels, image_ids, answer.layers)
        with clock.phase("reduce"):
            if self.rows.is_empty:
                sizes = {name: tuple(c.energy.shape[1:]) for name, c in answer.layers.items()}
                check_path(opened.model, sizes)
            head = None if answer.head is None else class_of(answer.head)
            self.rows.add(answer.layers, head, batch.positions, opened.images.is_query[batch.positions])
            wanted = self.loop.maps.wanted(batch.positions)
            if wanted.any():
                chosen = torch.from_numpy(wanted).to(answer.bottleneck.device)
                self.maps.write(batch.positions[wanted], by_place(answer.bottleneck[chosen]))
        if self.rows.is_due:
            run.wait()
            with clock.phase("reduce"):
                self.rows.measure()

    def finish(self, run: Batches) -> Callable[[], None]:
        """Return what writes the part, to be called once."""
        loop = self.loop
        run.wait()
        with loop.clock.phase("reduce"):
            rows = self.rows.finish()
        seconds, phases = loop.clock.lap()
        in_words = run.extractor.execution
        timing = Timing(seconds, tuple(phases[n] for n in PHASES), run.size, in_words, loop.canary)

        def write() -> None:
            self.maps.close()
            write_part(loop.opened, self.number, rows, self.undecoded, timing)

        return write


class _Writer:
    """Writes in a thread, one part at a time: a second one waits, so memory holds two parts at most."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._pool = clock, ThreadPoolExecutor(1, "u1-writer")
        self._last: Future[None] | None = None

    def submit(self, write: Callable[[], None]) -> None:
        """Write when the part before is written; raises what writing that one raised."""
        self._wait()
        self._last = self._pool.submit(self._timed, write)

    def _timed(self, write: Callable[[], None]) -> None:
        with self._clock.phase("write"):
            write()

    def _wait(self) -> None:
        if self._last is not None:
            with self._clock.phase("wait"):
                self._last.result()
            self._last = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._wait()
        finally:
            self._pool.shutdown()  # a part that is complete is written, whatever else went wrong
