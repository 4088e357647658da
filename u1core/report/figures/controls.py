"""Controls: how well theta does what each variant should do to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from u1core.report.figures.canvas import CARD, FAINT, Drawing, Mark, canvas, drawing, horizontal_rows


@dataclass(frozen=True)
class Score:
    """The complex correlation of one variant of one cell in one plane with what is expected of it."""

    mark: Mark
    variant: str
    plane: str
    correlation: float


def correlations(scores: Sequence[Score], rows: Mapping[str, str], planes: Mapping[str, str]) -> Drawing:
    """Draw one row per variant, one column per plane, one marker per model.

    Args:
        scores: The correlations.
        rows: Label of each variant, in order.
        planes: Title of each plane.
    """
    with canvas(CARD) as figure:
        panels = figure.subplots(1, len(planes), sharey=True, squeeze=False)[0]
        figure.subplots_adjust(left=0.31, right=0.98, top=0.93, bottom=0.12, wspace=0.08)
        low = min([0.0, *(s.correlation for s in scores)])
        for axes, (plane, title) in zip(panels, planes.items(), strict=True):
            horizontal_rows(axes, list(rows.values()))
            _dots(axes, [s for s in scores if s.plane == plane], list(rows))
            axes.set(xlim=(low - 0.06, 1.06), title=title)
            axes.set_xticks((0, 0.5, 1), ("0", "0.5", "1"))
            axes.axvline(0, color=FAINT, lw=0.8)
            axes.axvline(1, color=FAINT, lw=0.8, ls=":")
        figure.supxlabel("complex correlation with the expected angle", fontsize=9, y=0.01)
        return drawing(figure, "Complex correlation of every variant's angle with the expected one")


def _dots(axes: Axes, scores: Sequence[Score], variants: Sequence[str]) -> None:
    marks = list(dict.fromkeys(s.mark for s in scores))
    for mark in marks:  # one path of the picture for all of a model's dots
        shift = 0.6 * ((marks.index(mark) + 0.5) / len(marks) - 0.5)
        mine = [(s.correlation, variants.index(s.variant) + shift) for s in scores if s.mark == mark]
        axes.plot(*zip(*mine, strict=True), ls="", ms=6, zorder=3, **mark.style)
