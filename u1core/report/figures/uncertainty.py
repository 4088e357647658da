"""Uncertainty of theta: how far an image's angle moves when nothing that matters changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from u1core.report.figures.canvas import Drawing, Mark, canvas, drawing


@dataclass(frozen=True)
class Spread:
    """One cell's images by the standard deviation of their angle: one count per bin, between its edges."""

    mark: Mark
    counts: Sequence[int]
    edges_deg: Sequence[float]
    median_deg: float


def sd_histogram(data: Sequence[Spread]) -> Drawing:
    """Draw the share of images per bin, one line per cell, and the medians."""
    with canvas() as figure:
        axes = figure.add_axes((0.11, 0.13, 0.86, 0.72))
        for i, one in enumerate(data):
            share = 100 * np.array(one.counts) / max(sum(one.counts), 1)
            axes.stairs(share, one.edges_deg, color=one.mark.colour, lw=1.6)
            at = ([one.median_deg], [1.02 + 0.035 * i])
            axes.plot(*at, ms=7, clip_on=False, transform=axes.get_xaxis_transform(), **one.mark.style)
        axes.set_xscale("log")
        axes.set_xticks((0.1, 1, 10, 100), ("0.1°", "1°", "10°", "100°"))
        axes.set(
            xlim=(data[0].edges_deg[0], data[0].edges_deg[-1]),
            xlabel="circular standard deviation of θ (degrees)",
        )
        axes.set(ylabel="images (%)")
        axes.set_ylim(bottom=0)
        return drawing(figure, "Histogram of the standard deviation of the angle")
