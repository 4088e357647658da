"""The angles: roses per class, class directions over models, directions before and after a turn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Circle, PathPatch
from matplotlib.path import Path as Outline

from u1core.report.figures.canvas import (
    FAINT,
    GRID,
    INK,
    PALETTE,
    SMALL,
    Drawing,
    Mark,
    canvas,
    degrees,
    drawing,
    plain,
    shorten,
)

HOLE = 0.26
"""Inner radius of the bands of class directions; the outer one is 1."""
# Opposite angles differ in hue (amber and blue) or in lightness (plum and pale teal), so that the cycle
# reads without red-green vision.
CYCLIC = LinearSegmentedColormap.from_list(
    "u1_cyclic", ("#E69F00", "#8A3B63", "#2F6DB5", "#86C5BB", "#E69F00")
)


@dataclass(frozen=True)
class Direction:
    """The mean direction of one class, radians; None where the resultant vanishes.

    Attributes:
        name: Class.
        mean: Mean direction.
        low: Start of its confidence arc, which runs counter-clockwise to `high`.
        high: End of the arc.
    """

    name: str
    mean: float | None
    low: float | None
    high: float | None

    @property
    def arc(self) -> tuple[float, float] | None:
        """The arc as (start, span >= 0), or None where there is none."""
        if self.low is None or self.high is None:
            return None
        return self.low, (self.high - self.low) % (2 * math.pi)


@dataclass(frozen=True)
class Series:
    """One cell's class directions."""

    mark: Mark
    directions: Sequence[Direction]


@dataclass(frozen=True)
class Rose:
    """One class's angles: how many fell into each of `len(counts)` equal sectors from -pi on."""

    direction: Direction
    counts: Sequence[int]
    n: int
    resultant_length: float | None


@dataclass(frozen=True)
class Turned:
    """A class's direction, where a variant is expected to carry it, and where the variant has it, radians."""

    name: str
    expected: float
    observed: float


# -- roses ----------------------------------------------------------------------------------------


def roses(data: Sequence[Rose]) -> Drawing:
    """Draw one rose per class (area in proportion to the share), mean direction and confidence arc."""
    with canvas() as figure:
        axes = plain(figure)
        columns = 4 if len(data) > 6 else min(3, len(data))
        rows = math.ceil(len(data) / columns)
        at = [(2.95 * (i % columns), -3.45 * (i // columns)) for i in range(len(data))]
        for rose, centre in zip(data, at, strict=True):
            _rose_frame(axes, rose, centre)
        _sectors(axes, data, at)
        for rose, centre in zip(data, at, strict=True):
            _mean_direction(axes, rose.direction, centre)
        _rose_ticks(axes)
        axes.set_xlim(-1.85, 2.95 * (columns - 1) + 1.5)
        axes.set_ylim(-3.45 * (rows - 1) - 2.2, 1.75)
        return drawing(figure, "Rose diagrams of the angle, one per class")


def _sectors(axes: Axes, data: Sequence[Rose], at: Sequence[tuple[float, float]]) -> None:
    """Fill the sectors: one compound path for each direction, coloured by it, over all roses."""
    top = max((max(r.counts, default=0) / max(r.n, 1) for r in data), default=0.0) or 1.0
    sectors = max((len(r.counts) for r in data), default=0)
    edges = np.linspace(-math.pi, math.pi, sectors + 1)
    for i, (low, high) in enumerate(pairwise(edges)):
        arc = np.linspace(low, high, 4)
        wedges = []
        for rose, centre in zip(data, at, strict=True):
            r = math.sqrt(rose.counts[i] / max(rose.n, 1) / top)
            if r > 0:
                rim = np.column_stack((centre[0] + r * np.cos(arc), centre[1] + r * np.sin(arc)))
                wedges.append(Outline([centre, *rim, centre], closed=True))
        if wedges:
            colour = CYCLIC(((low + high) / 2 / (2 * math.pi)) % 1.0)
            outline = Outline.make_compound_path(*wedges)
            axes.add_patch(PathPatch(outline, fc=colour, ec="white", lw=0.4, clip_on=False))


def _rose_frame(axes: Axes, rose: Rose, at: tuple[float, float]) -> None:
    x, y = at
    axes.add_patch(Circle(at, 1, fill=False, ec=GRID, lw=0.8))
    cross = [((x - 1, y), (x + 1, y)), ((x, y - 1), (x, y + 1))]
    axes.add_collection(LineCollection(cross, colors=GRID, lw=0.8))
    length = "" if rose.resultant_length is None else f"  R {rose.resultant_length:.2f}"
    axes.annotate(shorten(rose.direction.name, 14), (x, y - 1.5), ha="center", va="center", fontsize=8)
    axes.annotate(f"n {rose.n}{length}", (x, y - 1.87), ha="center", va="center", fontsize=7, color=FAINT)


def _rose_ticks(axes: Axes) -> None:
    """Name three directions at the first rose (its class name is below); the others share them."""
    for angle, ha, va in ((0, "left", "center"), (90, "center", "bottom"), (180, "right", "center")):
        a = math.radians(angle)
        at = (1.26 * math.cos(a), 1.26 * math.sin(a))
        axes.annotate(degrees(a), at, ha=ha, va=va, fontsize=6.5, color=FAINT)


def _mean_direction(axes: Axes, direction: Direction, at: tuple[float, float]) -> None:
    x, y = at
    if direction.mean is not None:
        end = (x + 1.12 * math.cos(direction.mean), y + 1.12 * math.sin(direction.mean))
        axes.plot([x, end[0]], [y, end[1]], color=INK, lw=1.4, solid_capstyle="round")
    if direction.mean is not None and direction.arc is not None:
        start, span = direction.arc
        t = np.linspace(start, start + span, max(3, round(span / 0.1)))
        axes.plot(x + 1.12 * np.cos(t), y + 1.12 * np.sin(t), color=INK, lw=2.6, solid_capstyle="butt")


# -- class directions -----------------------------------------------------------------------------


def class_directions(series: Sequence[Series], classes: Sequence[str]) -> Drawing:
    """Draw one band per class and one marker per cell in it, with its confidence arc.

    Args:
        series: The cells.
        classes: Classes to draw, from the inner band outwards.
    """
    with canvas() as figure:
        axes = plain(figure)
        step = (1 - HOLE) / len(classes)
        bands = _bands(classes)
        _polar_grid(axes, [HOLE + step * i for i in range(len(classes) + 1)])
        for i, one in enumerate(series):
            shift = step * 0.7 * ((i + 0.5) / len(series) - 0.5)
            _band_markers(axes, one, {name: r + shift for name, r in bands.items()})
        shown = [d.mean for one in series for d in one.directions if d.name in bands and d.mean is not None]
        _band_names(axes, bands, shown)
        axes.set(xlim=(-1.2, 1.2), ylim=(-1.22, 1.22))
        return drawing(figure, "Mean direction of every class in every model, with confidence arcs")


def _bands(classes: Sequence[str]) -> dict[str, float]:
    """Return the radius of each class's band."""
    step = (1 - HOLE) / len(classes)
    return {name: HOLE + step * (i + 0.5) for i, name in enumerate(classes)}


def _polar_grid(axes: Axes, radii: Sequence[float], *, every: int = 30, fontsize: float = 8) -> None:
    for r in radii:
        axes.add_patch(Circle((0, 0), r, fill=False, ec=GRID, lw=0.7))
    for angle in range(0, 360, every):
        a = math.radians(angle if angle <= 180 else angle - 360)
        axes.plot((HOLE * math.cos(a), math.cos(a)), (HOLE * math.sin(a), math.sin(a)), color=GRID, lw=0.7)
        at = (1.12 * math.cos(a), 1.12 * math.sin(a))
        axes.annotate(degrees(a), at, ha="center", va="center", fontsize=fontsize)


def _band_markers(axes: Axes, series: Series, radius: Mapping[str, float]) -> None:
    for d in series.directions:
        if d.mean is None or d.name not in radius:
            continue
        r = radius[d.name]
        if d.arc is not None:
            start, span = d.arc
            t = np.linspace(start, start + span, max(3, round(span / 0.08)))
            axes.plot(
                r * np.cos(t), r * np.sin(t), color=series.mark.colour, lw=1.3, alpha=0.6,
                solid_capstyle="butt",
            )  # fmt: skip
        at = ([r * math.cos(d.mean)], [r * math.sin(d.mean)])
        axes.plot(*at, ls="", ms=5, zorder=3, **series.mark.style)


def _band_names(axes: Axes, bands: Mapping[str, float], angles: Sequence[float]) -> None:
    """Write the class names along the half-axis that is emptiest."""

    def crowd(axis: float) -> float:
        return sum(math.exp(8 * (math.cos(a - axis) - 1)) for a in angles)

    axis = min((math.pi / 2, -math.pi / 2, 0.0, math.pi), key=crowd)
    size = min(8.0, 96.0 * (1 - HOLE) / len(bands))  # the bands' width is 123 pt in all
    box = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8}
    for name, r in bands.items():
        at = (r * math.cos(axis), r * math.sin(axis))
        turn = 90 if abs(math.cos(axis)) > 0.5 else 0
        axes.annotate(
            shorten(name, 14), at, ha="center", va="center", rotation=turn, fontsize=size, zorder=4, bbox=box
        )


# -- turned pictures ------------------------------------------------------------------------------


def turned_directions(data: Sequence[Turned], classes: Sequence[str]) -> Drawing:
    """Draw, per class, where a turned picture should point (ring) and where it does (dot)."""
    with canvas(SMALL) as figure:
        axes = plain(figure)
        bands = _bands(classes)
        _polar_grid(axes, (HOLE, 1.0), every=90, fontsize=7)
        for one in (one for one in data if one.name in bands):
            r = bands[one.name]
            off = math.remainder(one.observed - one.expected, 2 * math.pi)
            t = one.expected + np.linspace(0.0, off, max(3, round(abs(off) / 0.08)))
            axes.plot(r * np.cos(t), r * np.sin(t), color=FAINT, lw=1.0)
            axes.plot(*_at(r, one.expected), marker="o", ms=6.5, mfc="none", mec=INK, mew=0.9)
            axes.plot(*_at(r, one.observed), marker="o", ms=3.6, mfc=PALETTE[1], mec="none", zorder=3)
        axes.set(xlim=(-1.35, 1.35), ylim=(-1.23, 1.23))
        return drawing(figure, "Class directions of the turned pictures: expected and observed")


def _at(r: float, angle_rad: float) -> tuple[list[float], list[float]]:
    return [r * math.cos(angle_rad)], [r * math.sin(angle_rad)]
