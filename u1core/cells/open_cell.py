"""An open cell: a cell beside its images and its lake, the one object that the steps pass on.

Shape legend: n images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from u1core.catalog.entries import ModelEntry
from u1core.cells.cell import Cell
from u1core.cells.own_head import OwnHead
from u1core.images.cache import Images, select_images
from u1core.images.sources.listing import ImageFailure, Labels
from u1core.lake.storage import NewFile
from u1core.lake.store import Lake
from u1core.measures.sums import SPLITS


@dataclass(frozen=True)
class State:
    """The unfinished state of a cell in its lake: what a crash leaves for the next try."""

    cell: Cell
    lake: Lake

    def save(self, name: str, content: bytes) -> None:
        """Save a file atomically."""
        self.lake.save_state(self.cell.id, name, content)

    def load(self, name: str) -> bytes | None:
        """Return a file, None where it is not."""
        return self.lake.load_state(self.cell.id, name)

    def names(self) -> list[str]:
        """Return the names of all files, sorted."""
        return self.lake.states(self.cell.id)

    def new(self, name: str) -> NewFile:
        """Begin a large file."""
        return self.lake.new_state(self.cell.id, name)

    def open(self, name: str) -> BinaryIO:
        """Open a large file, to be read here and there."""
        return self.lake.open_state(self.cell.id, name)


@dataclass(frozen=True)
class OpenCell:
    """A cell, its images, its lake.

    Attributes:
        cell: What is asked.
        images: Its data set.
        lake: Where its rows go.
    """

    cell: Cell
    images: Images
    lake: Lake

    @property
    def model(self) -> ModelEntry:
        """The network's entry."""
        return self.cell.model

    @cached_property
    def state(self) -> State:
        """What a crash leaves for the next try."""
        return State(self.cell, self.lake)

    @cached_property
    def positions(self) -> Labels:
        """The images that the cell is about, positions in the data set (n,), the memory split first."""
        return select_images(self.images, self.cell.limit)

    @cached_property
    def own_head(self) -> OwnHead | None:
        """What the network's own head predicts of the data set's classes; None where that is nothing."""
        return OwnHead.of(self.cell, self.images.class_names)

    @property
    def head_classes(self) -> int | None:
        """How many classes the head is said to predict; None where nobody says."""
        model, dataset = self.cell.model, self.cell.dataset
        if model.class_names:
            return len(model.class_names)
        return len(self.images.class_names) if dataset.id == model.label_space else None

    def write(
        self, table: str, columns: Mapping[str, Any], *, layer: str | None = None, part: int = 0
    ) -> None:
        """Write one file of a table atomically; see `Lake.write`."""
        self.lake.write(table, self.cell.id, columns, layer=layer, part=part)

    def read(
        self, table: str, columns: Sequence[str] | None = None, *, layer: str | None = None, part: int = 0
    ) -> pa.Table:
        """Read one part of a table: all of its columns, or those named."""
        return self.lake.read(table, self.cell.id, layer=layer, part=part, columns=columns)

    def parts(self, table: str, *, layer: str | None = None) -> list[int]:
        """Return the numbers of the parts that are there, ascending."""
        return self.lake.parts(table, self.cell.id, layer=layer)

    def batches(
        self, table: str, rows: int, columns: Sequence[str], *, layer: str | None = None
    ) -> Iterator[pa.Table]:
        """Yield the rows of all parts in their order, in tables of at most `rows` rows."""
        return self.lake.batches(table, self.cell.id, rows, columns, layer=layer)

    def image_columns(self, positions: Labels) -> dict[str, np.ndarray]:
        """Return the columns that say which image a row is about, (n,) each."""
        labels = self.images.labels[positions]
        return {
            "image_id": self.images.image_ids[positions],
            "split": np.array(SPLITS)[self.images.is_query[positions].astype(int)],
            "label": labels,
            "class_name": np.array(self.images.class_names)[labels],
        }

    def write_failures(self, failures: Sequence[ImageFailure], part: int) -> None:
        """Write a row for each image that gave none, where there are any."""
        rows = [
            {**asdict(f), "split": SPLITS[f.is_query], "class_name": self.images.class_names[f.label]}
            for f in failures
        ]
        names = ("image_id", "split", "label", "class_name", "stage", "error")
        if rows:
            self.write("failures", {name: [row[name] for row in rows] for name in names}, part=part)

    def __str__(self) -> str:
        return str(self.cell)
