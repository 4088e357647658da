"""What the claims are judged against: the 2 x 2 of padding and placement, refitted nulls, random weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from u1core.report.figures.canvas import (
    ENERGY,
    FAINT,
    GRID,
    INK,
    PALETTE,
    Drawing,
    canvas,
    drawing,
    horizontal_rows,
    missing_as_nan,
    shorten,
)
from u1core.report.figures.energy import named_circle
from u1core.report.words import number

PADDINGS = {"": (PALETTE[0], "padding as built"), "circular": (PALETTE[1], "circular padding")}
"""Colour and name of each padding under which random weights were drawn."""
Z_95 = 1.96
SPREAD, GOLDEN = 0.22, 0.6180339887498949
"""Height over which a strip's dots lie, in rows, and what turns their numbers into places there."""


@dataclass(frozen=True)
class Corner:
    """The mean energy map of one padding and placement, (H, W), at mean 1; its EE50 and density ratio."""

    energy: np.ndarray
    ee50_radius: float | None
    density_ratio: float | None


@dataclass(frozen=True)
class Part:
    """A share of ln(centre density ratio) with its standard error; its colour by PALETTE, grey without."""

    name: str
    value: float | None
    error: float | None
    index: int | None = None


def attribution(corners: Sequence[Corner | None], parts: Sequence[Part]) -> Drawing:
    """Draw the four corners as maps of one scale, and what they come to as bars.

    Args:
        corners: As built and photographed, as built and rolled, circular and photographed, circular and
            rolled; None where there is no such cell.
        parts: The bars, from the top.
    """
    brightest = max((float(np.max(c.energy)) for c in corners if c), default=1.0)
    with canvas() as figure:
        for i, corner in enumerate(corners):
            axes = figure.add_axes((0.065 + 0.285 * (i % 2), 0.575 - 0.475 * (i // 2), 0.27, 0.34))
            _corner(axes, corner, brightest)
            if i < 2:
                axes.set_title(("as photographed", "rolled on the torus")[i], pad=6)
            if i % 2 == 0:
                axes.set_ylabel(("padding as built", "circular padding")[i // 2])
        _bars(figure.add_axes((0.665, 0.13, 0.32, 0.82)), parts)
        return drawing(figure, "Mean energy maps by padding and placement, and what each adds to the focus")


def _corner(axes: Axes, corner: Corner | None, brightest: float) -> None:
    axes.set(xlim=(-1, 1), ylim=(-1, 1), xticks=(), yticks=())
    axes.set_aspect("equal")
    if corner is None:
        axes.annotate("no such cell", (0, 0), ha="center", va="center", fontsize=8, color=FAINT)
        return
    axes.imshow(corner.energy, cmap=ENERGY, extent=(-1, 1, -1, 1), vmin=0, vmax=brightest)
    named_circle(axes, corner.ee50_radius, "-", f"EE50 {number(corner.ee50_radius, 2)}", at_rad=math.pi / 2)
    axes.set_xlabel(f"density {number(corner.density_ratio)}", labelpad=3)


def _bars(axes: Axes, parts: Sequence[Part]) -> None:
    """One bar per part, its name and value above it."""
    axes.axvline(0, color=FAINT, lw=0.8)
    ground = {"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none"}
    for row, part in enumerate(parts):
        known = part.value is not None and part.error is not None
        told = f"{part.value:.2f} ± {part.error:.2f}".replace("-", "−") if known else "—"
        axes.annotate(
            f"{part.name}  {told}", (0, row - 0.3), xycoords=axes.get_yaxis_transform(), fontsize=7.5,
            va="bottom", bbox=ground,
        )  # fmt: skip
        if known:
            colour = FAINT if part.index is None else PALETTE[part.index]
            axes.barh([row], [part.value or 0.0], height=0.36, color=colour)
            reach = Z_95 * (part.error or 0.0)
            axes.errorbar(
                [part.value or 0.0], [row], xerr=[reach], fmt="none", ecolor=INK, elinewidth=1.1, capsize=3
            )
    axes.set_ylim(len(parts) - 0.6, -0.65)
    axes.margins(x=0.06)
    axes.set_yticks(())
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("ln(density ratio)")


@dataclass(frozen=True)
class Null:
    """What was seen beside its refitted null: 5, 50 and 95 % of it, p, and the same of random weights."""

    row: str
    value: float
    low: float
    median: float
    high: float
    p: float | None
    random_weights: Sequence[float] = ()


def against_nulls(panels: Sequence[tuple[str, Sequence[Null]]], significant: float) -> Drawing:
    """Draw one row per cell, one panel per figure: the null's band and median, and what was seen, with its p.

    Args:
        panels: The label of each figure, and its rows; all panels have the same rows, or fewer.
        significant: Markers are filled where p is below it.
    """
    rows = list(dict.fromkeys(null.row for _, nulls in panels for null in nulls))
    with canvas() as figure:
        many = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        figure.subplots_adjust(left=0.3, right=0.97, top=0.97, bottom=0.13, wspace=0.12)
        for axes, (label, nulls) in zip(many, panels, strict=True):
            _rows_of_cells(axes, rows)
            _nulls(axes, [(rows.index(null.row), null) for null in nulls], significant)
            axes.axvline(0, color=FAINT, lw=0.8)
            axes.set_xlabel(label)
        return drawing(figure, "What was seen in every cell against its null")


def _nulls(axes: Axes, nulls: Sequence[tuple[int, Null]], significant: float) -> None:
    """Draw bands and medians of nulls in their rows, each kind as one path, and what was seen with its p."""
    height = 0.5
    rows = [row for row, _ in nulls]
    lows, highs = [null.low for _, null in nulls], [null.high for _, null in nulls]
    axes.hlines(rows, lows, highs, color=GRID, lw=9, zorder=1)
    medians = [null.median for _, null in nulls]
    axes.vlines(medians, [r - height / 2 for r in rows], [r + height / 2 for r in rows], color=FAINT, lw=1.4)
    for row, null in nulls:
        _seeds(axes, null.random_weights, row, PALETTE[1], size=3.2)
    for is_filled in (False, True):
        seen = [(n.value, row) for row, n in nulls if (n.p is not None and n.p < significant) is is_filled]
        face = PALETTE[0] if is_filled else "white"
        axes.plot(
            [x for x, _ in seen], [y for _, y in seen], ls="", marker="D", ms=6, mec=PALETTE[0], mew=1.2,
            mfc=face, zorder=4, clip_on=False,
        )  # fmt: skip
    for row, null in nulls:
        text = "" if null.p is None else "p < 0.001" if null.p < 0.001 else f"p {null.p:.3f}"
        axes.annotate(text, (null.value, row - 0.22), ha="center", va="bottom", fontsize=7, zorder=5)


@dataclass(frozen=True)
class Strip:
    """One figure of a trained network before the population of random weights under the same padding."""

    row: str
    padding: str
    value: float | None
    error: float | None
    random_weights: Sequence[float]
    mean: float | None
    bound: float | None


def populations(data: Sequence[Strip], xlabel: str) -> Drawing:
    """Draw one row per network and data set: dots for seeds, a line at the bound, the trained network above.

    Args:
        data: Strips, in the order of rows; each row has up to one per padding.
        xlabel: What is measured.
    """
    rows = list(dict.fromkeys(strip.row for strip in data))
    used = [padding for padding in PADDINGS if any(s.padding == padding for s in data)]
    with canvas() as figure:
        axes = figure.add_axes((0.3, 0.13, 0.67, 0.76))
        _rows_of_cells(axes, rows)
        for strip in data:
            shift = 0.4 * (used.index(strip.padding) - (len(used) - 1) / 2)
            _strip(axes, rows.index(strip.row) + shift, strip)
        axes.axvline(0, color=FAINT, lw=0.8)
        axes.set_xlabel(xlabel)
        _key(figure, used)
        return drawing(figure, f"{xlabel}: trained networks before random weights")


def _strip(axes: Axes, y: float, strip: Strip) -> None:
    colour, _ = PADDINGS[strip.padding]
    _seeds(axes, strip.random_weights, y, colour, size=4.5)
    low, high = y - 0.17, y + 0.17
    mean, bound = missing_as_nan((strip.mean, strip.bound))
    axes.plot([mean] * 2, [low, high], color=colour, lw=1.0, ls=":", zorder=2)
    axes.plot([bound] * 2, [low, high], color=colour, lw=2.2, zorder=3)
    if strip.value is not None:
        axes.errorbar(
            [strip.value], [y], xerr=[Z_95 * (strip.error or 0)], fmt="D", ms=6, color=colour, mec="white",
            mew=0.6, capsize=3, elinewidth=1.2, zorder=4,
        )  # fmt: skip


def _key(figure: Figure, used: Sequence[str]) -> None:
    """Say what the marks are, above the picture."""
    axes = figure.axes[0]
    for padding in used:
        colour, name = PADDINGS[padding]
        axes.plot([], [], color=colour, lw=4, label=name)
    axes.plot([], [], ls="", marker="D", color=INK, label="trained")
    axes.plot([], [], ls="", marker="o", color=INK, alpha=0.75, ms=4, label="random")
    axes.plot([], [], ls="", marker="|", color=INK, mew=2.2, ms=10, label="B")
    figure.legend(
        loc="upper center", ncols=len(used) + 3, columnspacing=1.2, handletextpad=0.4, handlelength=1
    )


def _seeds(axes: Axes, values: Sequence[float], y: float, colour: str, size: float) -> None:
    """Draw a dot per seed, spread upright so that none hides another; one path weighs less than markers."""
    ends = (-1e-4, 1e-4, math.nan)
    x = [value for value in values for _ in ends]
    upright = [y + SPREAD * (GOLDEN * i % 1 - 0.5) + end for i in range(len(values)) for end in ends]
    axes.plot(x, upright, color=colour, lw=size, solid_capstyle="round", alpha=0.75, zorder=2)


def _rows_of_cells(axes: Axes, rows: Sequence[str]) -> None:
    """Lay out one row per cell, its name on as many lines as fit."""
    horizontal_rows(axes, [_lines(row) for row in rows])
    axes.tick_params(axis="y", labelsize=8 if len(rows) <= 12 else 6)
    if len(rows) == 1:
        axes.set_ylim(1, -1)


def _lines(row: str) -> str:
    return "\n".join(shorten(line, 22) for line in row.split("\n"))
