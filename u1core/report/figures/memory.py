"""Memory-based classification: accuracy by scheme, and what is mistaken for what."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from u1core.report.figures.canvas import INK, MAX_CLASSES, PALETTE, SHARE, Drawing, canvas, drawing, shorten


@dataclass(frozen=True)
class Bar:
    """One accuracy with its confidence interval, shares of one."""

    scheme: str
    k: int
    accuracy: float
    low: float | None
    high: float | None


def memory_accuracy(bars: Sequence[Bar], chance: float | None, head_accuracy: float | None) -> Drawing:
    """Draw the accuracy of every scheme side by side, one bar per k, with its confidence interval."""
    with canvas() as figure:
        axes = figure.add_axes((0.12, 0.13, 0.85, 0.75))
        schemes = list(dict.fromkeys(b.scheme for b in bars))
        ks = sorted({b.k for b in bars})
        width = 0.8 / max(len(ks), 1)
        for j, k in enumerate(ks):
            for b in (b for b in bars if b.k == k):
                at = schemes.index(b.scheme) - 0.4 + (j + 0.5) * width
                label = f"{k}-NN" if b.scheme == schemes[0] else None
                _accuracy_bar(axes, b, at, width, PALETTE[(0, 5, 2, 3, 4)[j % 5]], label)
        for value, dash, name in ((chance, "--", "chance"), (head_accuracy, "-", "own head")):
            if value is not None:
                axes.axhline(100 * value, ls=dash, lw=1.3, color=INK, label=f"{name} {100 * value:.1f} %")
        axes.set_xticks(range(len(schemes)), schemes)
        axes.set(
            xlim=(-0.55, max(len(schemes), 1) - 0.45),
            ylim=(0, 105),
            ylabel="accuracy on query images (%)",
            xlabel="scheme",
        )
        axes.set_yticks(range(0, 101, 20))
        _legend(figure, axes)
        return drawing(
            figure, "Accuracy of the memory schemes with confidence intervals, chance and own head"
        )


def _legend(figure: Figure, axes: Axes) -> None:
    """Name the bars first, then the lines."""
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: not labels[i].endswith("NN"))
    named = [handles[i] for i in order], [labels[i] for i in order]
    figure.legend(*named, loc="upper center", ncols=3, columnspacing=1.2)


def _accuracy_bar(axes: Axes, bar: Bar, at: float, width: float, colour: str, label: str | None) -> None:
    axes.bar(at, 100 * bar.accuracy, 0.92 * width, color=colour, label=label)
    high = bar.accuracy
    if bar.low is not None and bar.high is not None:
        high = bar.high
        reach = [[100 * max(bar.accuracy - bar.low, 0)], [100 * max(bar.high - bar.accuracy, 0)]]
        axes.errorbar(at, 100 * bar.accuracy, reach, color=INK, lw=1.1, capsize=2.5)
    axes.annotate(
        f"{100 * bar.accuracy:.1f}", (at, 100 * high), xytext=(0, 2), textcoords="offset points", ha="center",
        fontsize=7, bbox={"boxstyle": "square,pad=0.05", "fc": "white", "ec": "none", "alpha": 0.75},
    )  # fmt: skip


def confusion(counts: np.ndarray, names: Sequence[str]) -> Drawing:
    """Draw a confusion matrix: colour and figures are shares of the true class, in per cent.

    Args:
        counts: Query images by true (row) and predicted (column) class, (C, C).
        names: Class names by row.
    """
    with canvas() as figure:
        axes = figure.add_axes((0.2, 0.22, 0.64, 0.76))
        totals = counts.sum(axis=1, keepdims=True)
        share = np.divide(100.0 * counts, totals, out=np.zeros(counts.shape), where=totals > 0)
        shown = axes.imshow(share, cmap=SHARE, vmin=0, vmax=100, aspect="auto")
        bar = figure.colorbar(shown, cax=figure.add_axes((0.87, 0.22, 0.03, 0.76)))
        bar.set_label("share of the true class (%)")
        if len(names) <= MAX_CLASSES:
            for (i, j), value in np.ndenumerate(share):
                if value >= 1:
                    colour = "white" if value > 55 else INK
                    axes.annotate(f"{value:.0f}", (j, i), ha="center", va="center", fontsize=7, color=colour)
        _class_ticks(axes, names)
        axes.set(xlabel="predicted class", ylabel="true class")
        return drawing(figure, "Confusion of the memory classifier, pooled scheme, nearest neighbour")


def _class_ticks(axes: Axes, names: Sequence[str]) -> None:
    """Name every class up to 12; number some of them beyond."""
    if len(names) <= MAX_CLASSES:
        short = [shorten(n, 12) for n in names]
        axes.set_xticks(range(len(names)), short, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), short)
    else:
        step = math.ceil(len(names) / 10)
        axes.set_xticks(range(0, len(names), step))
        axes.set_yticks(range(0, len(names), step))
