"""Location memory: where in the image plane the memory can name the class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from u1core.measures.pixel_grid import CORNER_RADIUS
from u1core.report.figures.canvas import INK, PALETTE, SHARE, Drawing, canvas, drawing, image_plane_axes
from u1core.report.figures.energy import named_circle, named_radii

PALE = "#9db8cc"


@dataclass(frozen=True)
class Places:
    """Accuracy of the memory at every place of one layer, shares of one; radii in half images.

    Attributes:
        accuracy: 1-NN accuracy, (H, W), first row on top.
        radius: Radius of each place, (H W,), row by row.
        low: Start of each confidence interval, (H W,).
        high: End of each.
        chance: Accuracy of guessing.
        half_radius: Where accuracy has fallen half-way from the centre to chance; None: it does not.
        ee50_radius: Radius of half of the energy.
        wholes: Accuracy by the whole map instead of one place, by scheme.
    """

    accuracy: np.ndarray
    radius: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chance: float
    half_radius: float | None
    ee50_radius: float | None
    wholes: Mapping[str, float]


def accuracy_map(data: Places) -> Drawing:
    """Draw the accuracy over the image plane with the radius of half accuracy and EE50."""
    with canvas() as figure:
        axes = figure.add_axes((0.12, 0.13, 0.66, 0.83))
        top = 100 * max([float(data.accuracy.max()), data.chance, *data.wholes.values()])
        shown = axes.imshow(
            100 * data.accuracy, cmap=SHARE, extent=(-1, 1, -1, 1), origin="upper", vmin=0, vmax=top
        )
        bar = figure.colorbar(shown, cax=figure.add_axes((0.83, 0.13, 0.035, 0.83)))
        bar.set_label("accuracy of the memory at this place (%)")
        bar.ax.axhline(100 * data.chance, color=PALETTE[1], lw=1.6)
        named_circle(axes, data.ee50_radius, "--", "EE50", at_rad=0.9)
        named_circle(axes, data.half_radius, "-", "half-way")
        image_plane_axes(axes)
        return drawing(figure, "Accuracy of the memory over the image plane")


def accuracy_by_radius(data: Places) -> Drawing:
    """Draw every place's accuracy against its radius, between chance and the whole map's accuracy."""
    with canvas() as figure:
        axes = figure.add_axes((0.11, 0.13, 0.86, 0.78))
        accuracy = data.accuracy.ravel()
        reach = np.clip([accuracy - data.low, data.high - accuracy], 0, None)
        axes.errorbar(
            data.radius, 100 * accuracy, 100 * reach, fmt="o", ms=4, lw=0.7, color=PALETTE[0], ecolor=PALE
        )
        _levels(axes, data)
        named_radii(axes, {"half-way": (data.half_radius, "-"), "EE50": (data.ee50_radius, "--")})
        axes.set(xlim=(-0.02, CORNER_RADIUS), xlabel="r (half images)", ylabel="accuracy (%)")
        axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
        return drawing(figure, "Accuracy of the memory against the radius of the place")


def _levels(axes: Axes, data: Places) -> None:
    """Lines at chance and at the accuracy of the whole map; the highest one is named above it."""
    _level(axes, "chance", data.chance, (0.02, "left", "bottom"))
    for i, (name, value) in enumerate(sorted(data.wholes.items(), key=lambda item: -item[1])):
        _level(axes, name, value, (0.995, "right", "top" if i else "bottom"))


def _level(axes: Axes, name: str, value: float, at: tuple[float, str, str]) -> None:
    x, horizontally, vertically = at
    axes.axhline(100 * value, ls=":", lw=1.1, color=INK)
    axes.annotate(
        f"{name} {100 * value:.1f} %", (x, 100 * value), xycoords=axes.get_yaxis_transform(), fontsize=8,
        xytext=(0, 2 if vertically == "bottom" else -2), textcoords="offset points", ha=horizontally,
        va=vertically,
    )  # fmt: skip
