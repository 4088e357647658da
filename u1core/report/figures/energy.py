"""The energy over the image plane: the mean map, its Sombrero fit and its radial profile."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Circle
from mpl_toolkits.mplot3d import Axes3D  # type: ignore[import-untyped]
from mpl_toolkits.mplot3d.art3d import Line3DCollection  # type: ignore[import-untyped]

from u1core.measures.pixel_grid import CORNER_RADIUS, coordinates
from u1core.report.figures.canvas import (
    ENERGY,
    FAINT,
    INK,
    PALETTE,
    SMALL,
    Drawing,
    canvas,
    drawing,
    image_plane_axes,
)


@dataclass(frozen=True)
class EnergyMap:
    """The mean energy map of one layer with its Sombrero fit.

    Attributes:
        energy: Mean E, activation^2, (H, W), first row on top.
        ee50_radius: Radius of half of the energy, half images; None where undefined.
        ee80_radius: Radius of 80 % of it.
        radius: Radii of the rings, half images.
        radial_energy: Mean energy on each ring.
        coefficients: a, b, c of E(r) = a - b r^2 + c r^4; None where nothing could be fitted.
        trough_radius: sqrt(b/2c); None where there is no trough.
        trough_radius_se: Its standard error; None where there is none.
    """

    energy: np.ndarray
    ee50_radius: float | None
    ee80_radius: float | None
    radius: Sequence[float]
    radial_energy: Sequence[float]
    coefficients: tuple[float, float, float] | None
    trough_radius: float | None
    trough_radius_se: float | None = None

    def fit(self, r: np.ndarray) -> np.ndarray:
        """Return the fitted energy at radii r."""
        a, b, c = self.coefficients or (math.nan,) * 3
        return a - b * r**2 + c * r**4


def energy_map(data: EnergyMap) -> Drawing:
    """Draw the mean energy over the image plane with its circles of confusion and the optical axis."""
    with canvas() as figure:
        axes = figure.add_axes((0.12, 0.13, 0.66, 0.83))
        shown = axes.imshow(data.energy, cmap=ENERGY, extent=(-1, 1, -1, 1), origin="upper", vmin=0)
        bar = figure.colorbar(shown, cax=figure.add_axes((0.83, 0.13, 0.035, 0.83)))
        bar.set_label("mean energy E (activation²)")
        named_circle(axes, data.ee50_radius, "-", "EE50")
        named_circle(axes, data.ee80_radius, "--", "EE80")
        axes.plot([0], [0], marker="+", ms=13, mew=4.0, color="black", alpha=0.55)
        axes.plot([0], [0], marker="+", ms=12, mew=1.6, color="white")
        image_plane_axes(axes)
        return drawing(figure, "Mean energy over the image plane with EE50 and EE80 circles")


def named_circle(axes: Axes, radius: float | None, dash: str, name: str, *, at_rad: float = 2.2) -> None:
    """Draw a circle about the optical axis, readable on dark and on light ground; None draws nothing."""
    if radius is None:
        return
    axes.add_patch(Circle((0, 0), radius, fill=False, color="black", lw=3.0, alpha=0.55))
    axes.add_patch(Circle((0, 0), radius, fill=False, color="white", lw=1.5, ls=dash))
    at = (radius * math.cos(at_rad), radius * math.sin(at_rad))
    box = {"boxstyle": "round,pad=0.15", "fc": "#000000", "ec": "none", "alpha": 0.6}
    axes.annotate(name, at, color="white", ha="center", va="center", fontsize=8, bbox=box)


def sombrero_surface(data: EnergyMap) -> Drawing:
    """Draw the fitted Sombrero as a surface, and every pixel of the mean map as a dot on its stem."""
    with canvas() as figure:
        axes = Axes3D(figure, (0.0, 0.0, 0.96, 1.06), computed_zorder=False)
        figure.add_axes(axes)
        top = float(np.max(data.energy))
        if data.coefficients is not None:
            _surface(axes, data, top)
        _pixels(axes, data)
        axes.set(xlabel="x (half images)", ylabel="y (half images)", zlabel="E (activation²)")
        axes.set(xlim=(-1, 1), ylim=(-1, 1))
        axes.set_zlim(0, top * 1.05 or 1.0)
        axes.view_init(elev=32, azim=-58)
        axes.set_box_aspect((1, 1, 0.72), zoom=0.98)
        axes.set_xticks((-1, -0.5, 0, 0.5))
        axes.set_yticks((-0.5, 0, 0.5, 1))
        return drawing(figure, "Sombrero surface of the fitted energy with the mean map's pixels as dots")


def _surface(axes: Axes3D, data: EnergyMap, top: float) -> None:
    grid = np.linspace(-1, 1, 33)
    x, y = np.meshgrid(grid, grid)
    fitted = np.clip(data.fit(np.hypot(x, y)), 0, None)
    colours = ENERGY(Normalize(0, top)(fitted))
    axes.plot_surface(
        x, y, fitted, facecolors=colours, rstride=1, cstride=1, shade=False, ec=(1, 1, 1, 0.25), lw=0.3,
        rasterized=True,
    )  # fmt: skip


def _pixels(axes: Axes3D, data: EnergyMap) -> None:
    """Dots at the measured energies; stems to the fit where there are few enough to be seen."""
    px, py = (c.ravel() for c in coordinates(*data.energy.shape))
    e = data.energy.ravel()
    fitted = np.clip(data.fit(np.hypot(px, py)), 0, None)
    if e.size <= 256 and data.coefficients is not None:
        stems = [((a, b, low), (a, b, high)) for a, b, low, high in zip(px, py, fitted, e, strict=True)]
        axes.add_collection3d(Line3DCollection(stems, colors=INK, linewidths=0.7, rasterized=True))
    size = float(np.clip(28 / math.sqrt(e.size), 1.2, 4.0))
    axes.plot(px, py, e, ls="", marker="o", ms=size, mfc="white", mec=INK, mew=0.6, rasterized=True)


def radial_profile(data: EnergyMap) -> Drawing:
    """Draw the ring means against the radius, the fitted curve, its trough and the EE radii."""
    with canvas(SMALL) as figure:
        axes = figure.add_axes((0.15, 0.19, 0.82, 0.71))
        axes.axvspan(1, CORNER_RADIUS, color=FAINT, alpha=0.12, lw=0)
        axes.plot(data.radius, data.radial_energy, "o", ms=4, color=PALETTE[0])
        if data.coefficients is not None:
            r = np.linspace(0, CORNER_RADIUS, 141)
            axes.plot(r, data.fit(r), color=PALETTE[1], lw=1.6)
        axes.set(xlim=(0, CORNER_RADIUS), xlabel="r (half images)")
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        named_radii(axes, {"EE50": (data.ee50_radius, ":"), "EE80": (data.ee80_radius, "--")})
        _trough(axes, data)
        return drawing(figure, "Radial profile of the energy with the fitted Sombrero curve and its trough")


def named_radii(axes: Axes, radii: Mapping[str, tuple[float | None, str]]) -> None:
    """Draw upright lines at radii (value, dash), the outermost name to its right, the others to the left."""
    drawn = {name: (r, dash) for name, (r, dash) in radii.items() if r is not None and r <= CORNER_RADIUS}
    outermost = max((r for r, _ in drawn.values()), default=0.0)
    for name, (r, dash) in drawn.items():
        axes.axvline(r, ls=dash, lw=1.1, color=FAINT)
        side = "left" if r == outermost else "right"
        axes.annotate(name, (r, 1.02), xycoords=axes.get_xaxis_transform(), ha=side, fontsize=8)


def _trough(axes: Axes, data: EnergyMap) -> None:
    """Mark the fit's minimum with its 95 % interval, or point to where it lies beyond the corners."""
    if data.trough_radius is None:
        return
    if data.trough_radius > CORNER_RADIUS:
        text = f"trough at {data.trough_radius:.2f} →"
        axes.annotate(text, (0.99, 0.07), xycoords="axes fraction", ha="right", fontsize=8, color=PALETTE[1])
        return
    low = float(data.fit(np.array(data.trough_radius)))
    reach = 1.96 * (data.trough_radius_se or 0.0)
    axes.errorbar(
        [data.trough_radius], [low], xerr=[reach], fmt="v", ms=6, mfc="white", color=PALETTE[1], capsize=4,
        zorder=4,
    )  # fmt: skip
