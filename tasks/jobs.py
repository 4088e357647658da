"""What crosses a task's border: small records that name what to load and where."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from u1core.catalog.entries import Preprocessing
from u1core.cells.cell import Cell
from u1core.cells.open_cell import OpenCell
from u1core.common.runtime import Runtime
from u1core.images.cache import hold_out, open_images
from u1core.lake.store import Lake


@dataclass(frozen=True)
class Places:
    """Where things lie.

    Attributes:
        lake: Folder or URI of the lake.
        cache: Decoded pixels, shared by all lakes.
        data_dir: Folder of datasets already on this machine; None for the catalog's other sources.
    """

    lake: Path | str
    cache: Path
    data_dir: Path | None = None


@dataclass(frozen=True)
class Job:
    """One cell to run, somewhere, somehow."""

    cell: Cell
    places: Places
    runtime: Runtime
    also: tuple[Preprocessing, ...] = ()  # of other cells over the same pictures: decoded once for all

    @property
    def name(self) -> str:
        """Name of the cell in run names and bars."""
        return str(self.cell)

    def on(self, device: str) -> Job:
        """Return the same job on another device."""
        return replace(self, runtime=replace(self.runtime, device=device))

    def open_lake(self) -> Lake:
        """Open the job's lake."""
        return Lake.open(self.places.lake)

    def open(self) -> OpenCell:
        """Open the cell: its decoded images and the lake."""
        images = open_images(self.cell.dataset, self.places.cache, self.places.data_dir)
        if self.cell.memory == "held-out":
            images = hold_out(images)
        return OpenCell(self.cell, images, self.open_lake())
