"""What crosses a task's border: small records that name what to load and where."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from u1core.catalog import Preprocessing
from u1core.cells import Cell
from u1core.datasets import Images, materialise, select_images
from u1core.lake.store import Lake
from u1core.runtime import Runtime

DECODING = "decoding-"
"""How the names of the progress files of decodings begin."""


@dataclass(frozen=True)
class Places:
    """Where things lie.

    Attributes:
        lake: Root of the lake.
        cache: Decoded pixels, shared by all lakes.
        data_dir: Folder of datasets already on this machine; None for the catalog's other sources.
    """

    lake: Path
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

    def open_lake(self) -> Lake:
        """Open the job's lake."""
        return Lake.open(self.places.lake)

    def open_images(self) -> Images:
        """Open the decoded pixels."""
        return materialise(self.cell.dataset, self.places.cache, self.places.data_dir)

    def images(self) -> int:
        """Return how many images the cell has."""
        return len(select_images(self.open_images(), self.cell.limit))

    @property
    def progress_file(self) -> Path:
        """Where the running task says how far it is: readable from any process that sees the lake."""
        return self.places.lake / ".work" / self.cell.key / "progress.json"

    @property
    def mark(self) -> Path:
        """The file whose change ends the job."""
        return Lake(self.places.lake).path("cells", self.cell.id)


class ProgressFile:
    """Writes how far a job is, at most twice a second and at its end."""

    def __init__(self, path: Path, interval_s: float = 0.5) -> None:
        self.path, self.interval_s, self._last = path, interval_s, 0.0

    def __call__(self, done: int, total: int) -> None:
        """Note that `done` of `total` images are extracted."""
        now = time.monotonic()
        if done < total and now - self._last < self.interval_s:
            return
        self._last = now
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"done": done, "total": total}))
        temporary.replace(self.path)


def decoding_file(lake: Path, dataset: str) -> Path:
    """Name the file in which the decoding of a dataset says how far it is."""
    return lake / ".work" / f"{DECODING}{dataset}.json"


def read_progress(path: Path) -> tuple[int, int]:
    """Return (done, total) of a progress file; (0, 0) before it is there."""
    try:
        state = json.loads(path.read_text())
    except (OSError, ValueError):
        return 0, 0
    return state["done"], state["total"]
