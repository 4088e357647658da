"""The rose card: the angles of one cell's query images in one plane, class by class."""

from __future__ import annotations

from u1core.report.blocks import Card
from u1core.report.data import Answers, CellName
from u1core.report.figures.angles import Rose, roses
from u1core.report.figures.canvas import MAX_CLASSES
from u1core.report.sections.agreement import direction


def rose_card(
    answers: Answers, cell: CellName, plane: str, title: str, caption: str, *tests: str
) -> Card | None:
    """Draw one rose per class; None where no class has an angle.

    Args:
        answers: Of the lake.
        cell: Whose angles.
        plane: 'image' or 'feature'.
        title: Of the card.
        caption: Of the card.
        tests: Views that the caption quotes.
    """
    known = {row["label"]: row for row in answers.of("class_directions", cell, plane=plane)}
    counts: dict[int, list[int]] = {}
    for row in answers.of("theta_sectors", cell, plane=plane):
        counts.setdefault(row["label"], [0] * row["sectors"])[row["sector"] - 1] = row["n"]
    drawn = [
        Rose(direction(row), counts[label], row["n"], row["resultant_length"])
        for label, row in sorted(known.items())
        if label < MAX_CLASSES
    ]
    return (
        Card(title, caption, roses(drawn), ("theta_sectors", "class_directions", *tests)) if drawn else None
    )
