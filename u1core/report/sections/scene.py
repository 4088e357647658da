"""One dataset of the lake as its sections see it: its cells, which of them are shown, and their marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from u1core.report.data import Answers, CellName, Row, name_of
from u1core.report.figures.canvas import MAX_CLASSES, Mark

PLANES = {"image": "image plane", "feature": "activation space"}
SYMBOLS = {"image": "θ in the image plane", "feature": "θ in activation space"}
MAX_SERIES = 12
"""Cells in one picture, or pictures of one kind."""
MAX_DRAWN_CELLS = 120
"""Beyond this many cells a lake's cells keep their numbers but have no pictures: the file stays readable."""


@dataclass(frozen=True)
class Scene:
    """One dataset."""

    dataset: str
    answers: Answers

    @cached_property
    def cells(self) -> list[Row]:
        """All current cells of the dataset."""
        return [row for row in self.answers.cells if row["dataset"] == self.dataset]

    @cached_property
    def shown(self) -> list[Row]:
        """One cell per model: its original, or whatever there is."""
        of_model: dict[str, Row] = {}
        for row in self.cells:
            if row["variant"] == "original" or row["model"] not in of_model:
                of_model[row["model"]] = row
        return list(of_model.values())

    @cached_property
    def networks(self) -> list[CellName]:
        """Names of the shown cells that show a network."""
        return [name_of(row) for row in self.shown if not is_baseline(row)]

    @cached_property
    def compared(self) -> list[CellName]:
        """Names of the shown cells and of those with random weights, as many as a picture holds."""
        shown = {name_of(row) for row in self.shown}
        names = [name_of(row) for row in self.cells]
        return [n for n in names if n in shown or n.variant == "random-init"][:MAX_SERIES]

    @cached_property
    def marks(self) -> Mapping[CellName, Mark]:
        """The mark of every cell of the dataset."""
        models = list(dict.fromkeys(row["model"] for row in self.cells))
        return {
            name_of(row): Mark(
                label=name_of(row).label,
                index=models.index(row["model"]),
                is_control=row["variant"] != "original" or is_baseline(row),
            )
            for row in self.cells
        }

    def key(self, names: Sequence[CellName]) -> list[Mark]:
        """Return the marks of some cells."""
        return [self.marks[name] for name in names]

    @cached_property
    def classes(self) -> list[str]:
        """Class names by label."""
        return list(dict.fromkeys(name for row in self.cells for name in row["class_names"] or []))

    @property
    def drawn_classes(self) -> list[str]:
        """The classes that pictures draw one by one."""
        return self.classes[:MAX_CLASSES]

    @property
    def classes_note(self) -> str:
        """What is said about the classes that are not drawn."""
        rest = len(self.classes) - MAX_CLASSES
        return f" The first {MAX_CLASSES} classes by label; {rest} more are in the view." if rest > 0 else ""


def is_baseline(row: Row) -> bool:
    """Tell whether a cell shows the pictures themselves, without a network."""
    return bool(row["architecture"].partition(":")[0] == "pixels")
