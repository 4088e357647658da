"""Along the optical axis: one measure against the layers, one line per cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from u1core.report.figures.canvas import FAINT, INK, SMALL, Drawing, Mark, canvas, drawing, missing_as_nan


@dataclass(frozen=True)
class Track:
    """One measure of one cell along its layers, in order of execution.

    Attributes:
        mark: The cell.
        sides: sqrt(H W) of each layer, pixels.
        values: The measure; None where undefined.
        bottleneck: Which of the layers is the bottleneck; None where none of them is.
        is_secondary: A second measure of the same cell in the same panel, drawn fainter.
    """

    mark: Mark
    sides: Sequence[float]
    values: Sequence[float | None]
    bottleneck: int | None
    is_secondary: bool = False


def panel(
    tracks: Sequence[Track], what: str, *, reference: float | None = None, log: bool = False
) -> Drawing:
    """Draw one measure while the resolution falls from left to right, on a logarithmic scale.

    A 1x1 layer stands one step to the right of the smallest map. Rings mark the bottlenecks.

    Args:
        tracks: The lines.
        what: What is measured.
        reference: A value to compare with, drawn dotted.
        log: Whether the measure's own axis is logarithmic; else it starts at 0.
    """
    with canvas(SMALL) as figure:
        axes = figure.add_axes((0.15, 0.13, 0.83, 0.83))
        sides = sorted({s for track in tracks for s in track.sides}, reverse=True)
        place = _places(sides)
        if reference is not None:
            axes.axhline(reference, ls=":", lw=1.2, color=INK)
        for track in tracks:
            _track(axes, track, [place[s] for s in track.sides])
        shown = _apart(place)
        labels = [f"{s:g}" if s > 1 else "1×1" for s in (round(s, 1) for s in shown)]
        axes.set_xticks([place[s] for s in shown], labels)
        axes.margins(x=0.07)
        _value_axis(axes, log=log)
        return drawing(figure, f"{what} along the layers")


def _apart(place: dict[float, float]) -> list[float]:
    """Return the resolutions whose labels have room: half an octave after the last one labelled."""
    shown: list[float] = []
    for side in sorted(place, key=lambda s: place[s]):
        if not shown or place[side] - place[shown[-1]] >= 0.5:
            shown.append(side)
    return shown


def _places(sides: Sequence[float]) -> dict[float, float]:
    """Return where each resolution stands: -log2 of it, and 1x1 one step after the smallest map."""
    maps = [s for s in sides if s > 1]
    last = 1.0 - math.log2(min(maps)) if maps else 0.0
    return {s: -math.log2(s) if s > 1 else last for s in sides}


def _track(axes: Axes, track: Track, x: Sequence[float]) -> None:
    y = missing_as_nan(track.values)
    dash = "--" if track.mark.is_control else "-"
    faint = 0.45 if track.is_secondary else 1.0
    axes.plot(x, y, ls=dash, lw=1.4, ms=5 * math.sqrt(faint), alpha=faint, **track.mark.style)
    if track.bottleneck is not None:
        at = ([x[track.bottleneck]], [y[track.bottleneck]])
        axes.plot(*at, ls="", marker="o", ms=10, mfc="none", mec=FAINT, mew=1.0)


def _value_axis(axes: Axes, *, log: bool) -> None:
    if log:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))
        axes.margins(y=0.15)
    else:
        axes.set_ylim(0, max(1.1 * axes.get_ylim()[1], 0.01))
