"""Training: learning curves with bands, and paired effects with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.ticker import FixedLocator

from u1core.report.figures.canvas import (
    FAINT,
    Drawing,
    Mark,
    canvas,
    drawing,
    horizontal_rows,
    missing_as_nan,
)

LINEAR_POINTS = 5
"""Beyond so many points the axis of effects is logarithmic outside +-1, so that small ones stay readable."""
TICKS = (-50, -10, -2, -1, -0.5, 0, 0.5, 1, 2, 10, 50)


@dataclass(frozen=True)
class Curve:
    """One arm's measure, epoch by epoch.

    Attributes:
        mark: The arm.
        values: One per epoch, from the first; None where there is none.
        half_widths: Of the band about each value.
    """

    mark: Mark
    values: Sequence[float | None]
    half_widths: Sequence[float | None] = ()


@dataclass(frozen=True)
class Effect:
    """A paired difference with its interval, in points; filled where the interval leaves out 0."""

    row: str
    mark: Mark
    mean: float
    low: float | None
    high: float | None

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def curves(data: Sequence[Curve], ylabel: str, *, skip: int = 0) -> Drawing:
    """Draw one line per arm over the epochs, with its band.

    Args:
        data: The lines.
        ylabel: Label of the value axis.
        skip: Epochs at the start that do not decide the axis's range.
    """
    with canvas() as figure:
        axes = figure.add_axes((0.14, 0.12, 0.83, 0.85))
        shown: list[float] = []
        for curve in data:
            x = range(1, len(curve.values) + 1)
            y, spread = missing_as_nan(curve.values), missing_as_nan(curve.half_widths)
            axes.plot(x, y, color=curve.mark.colour, lw=1.5, label=curve.mark.label)
            if spread:
                low = [a - b for a, b in zip(y, spread, strict=True)]
                high = [a + b for a, b in zip(y, spread, strict=True)]
                axes.fill_between(x, low, high, color=curve.mark.colour, alpha=0.15, lw=0)
            shown += [v for v in curve.values[skip:] if v is not None]
        if shown:
            margin = 0.08 * (max(shown) - min(shown)) or 0.01
            axes.set_ylim(min(shown) - margin, max(shown) + margin)
        axes.set(xlabel="epoch", ylabel=ylabel)
        return drawing(figure, f"{ylabel} over the epochs, one line per arm")


def effects(data: Sequence[Effect], rows: Mapping[str, str], xlabel: str) -> Drawing:
    """Draw one row per arm: its paired gain with the 95 % interval; filled where that leaves out 0.

    Args:
        data: The gains.
        rows: Labels of the rows by their names, from the top.
        xlabel: Label of the value axis.
    """
    with canvas() as figure:
        axes = figure.add_axes((0.27, 0.13, 0.7, 0.83))
        horizontal_rows(axes, list(rows.values()))
        names = list(rows)
        for effect in data:
            y = names.index(effect.row)
            if effect.low is not None and effect.high is not None:
                axes.plot((effect.low, effect.high), (y, y), color=effect.mark.colour, lw=1.6)
            face = effect.mark.colour if effect.is_clear else "white"
            axes.plot(
                [effect.mean], [y], marker="o", ms=7, mec=effect.mark.colour, mfc=face, mew=1.3, zorder=3
            )
        axes.axvline(0, color=FAINT, lw=0.8)
        axes.margins(x=0.1)
        ends = [abs(x) for effect in data for x in (effect.mean, effect.low, effect.high) if x is not None]
        if max(ends, default=0) > LINEAR_POINTS:
            axes.set_xscale("symlog", linthresh=1, linscale=2)
            axes.xaxis.set_major_locator(FixedLocator(TICKS))
            axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}".replace("-", "−"))
        axes.set_xlabel(xlabel)
        return drawing(figure, xlabel)
