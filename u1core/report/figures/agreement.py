"""Agreement: model with model, class by class, and with what the pictures alone show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from u1core.report.figures.canvas import (
    FAINT,
    INK,
    PALETTE,
    PLANE_MARKERS,
    Drawing,
    canvas,
    drawing,
    horizontal_rows,
    two_lines,
)

DIVERGING = LinearSegmentedColormap.from_list("u1_diverging", ("#D55E00", "#ffffff", "#0072B2"))


@dataclass(frozen=True)
class Dot:
    """A number in a row; filled where it is significant."""

    row: str
    kind: str
    value: float
    is_filled: bool


def heat(names: Sequence[str], values: np.ndarray, bold: np.ndarray) -> Drawing:
    """Draw the agreement of every pair of cells as a square.

    Args:
        names: The cells.
        values: Mean cosines, (C, C): above the diagonal in the image plane, below it in activation space;
            NaN where there is none.
        bold: Whether each is significant, (C, C).
    """
    with canvas() as figure:
        axes = figure.add_axes((0.3, 0.28, 0.56, 0.7))
        shown = axes.imshow(values, cmap=DIVERGING, vmin=-1, vmax=1)
        bar = figure.colorbar(shown, cax=figure.add_axes((0.88, 0.28, 0.03, 0.7)))
        bar.set_label("mean cosine over classes")
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value):
                weight = "bold" if bold[i, j] else "normal"
                colour = "white" if abs(value) > 0.6 else INK
                text = f"{value:.2f}".replace("-", "−")
                axes.annotate(text, (j, i), ha="center", va="center", fontsize=8, color=colour, weight=weight)
        short = [two_lines(name) for name in names]
        axes.set_xticks(range(len(names)), short, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), short)
        axes.plot((-0.5, len(names) - 0.5), (-0.5, len(names) - 0.5), color=FAINT, lw=0.8)
        return drawing(figure, "Agreement of the class directions of every pair of cells, in both planes")


def dots(
    data: Sequence[Dot], rows: Sequence[str], kinds: Mapping[str, str], xlabel: str, *, low: float
) -> Drawing:
    """Draw one row per name with one marker per kind; filled markers are significant.

    Args:
        data: The dots.
        rows: Names of the rows, from the top.
        kinds: What each kind is called; 'image' and 'feature' keep their marks everywhere.
        xlabel: Label of the value axis.
        low: Left end of the axis; the right one is 1.
    """
    with canvas() as figure:
        axes = figure.add_axes((0.27, 0.13, 0.7, 0.77))
        horizontal_rows(axes, [two_lines(row) for row in rows])
        for i, (kind, name) in enumerate(kinds.items()):
            marker, colour = PLANE_MARKERS.get(kind, ("D", PALETTE[2]))
            shift = 0.16 * (i - (len(kinds) - 1) / 2)
            for dot in (dot for dot in data if dot.kind == kind):
                face = colour if dot.is_filled else "white"
                axes.plot(
                    [dot.value], [rows.index(dot.row) + shift], ls="", marker=marker, ms=6, mec=colour,
                    mfc=face, mew=1.1, zorder=3, clip_on=False,
                )  # fmt: skip
            axes.plot([], [], ls="", marker=marker, color=colour, label=name)
        axes.axvline(0, color=FAINT, lw=0.8)
        axes.set(xlim=(low, 1.02), xlabel=xlabel)
        figure.legend(loc="upper center", ncols=len(kinds), columnspacing=1.4, handletextpad=0.2)
        return drawing(figure, xlabel)
