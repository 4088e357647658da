"""The report's pictures: numbers that SQL computed in, one self-contained SVG data URI out.

Every picture has the same size and type; nothing here computes a statistic. Angles come in radians and
are drawn in degrees, counter-clockwise from the image's x axis (right), y up. The object-oriented
Matplotlib API is used throughout: no pyplot, no figure survives its function, equal input gives equal bytes.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, PathPatch
from matplotlib.path import Path as Outline
from mpl_toolkits.mplot3d import Axes3D  # type: ignore[import-untyped]
from mpl_toolkits.mplot3d.art3d import Line3DCollection  # type: ignore[import-untyped]
from PIL import Image

WIDTH_IN, HEIGHT_IN = 5.4, 4.3
RASTER_DPI, PALETTE_SIZE, PALETTE_FROM_BYTES = 120, 63, 12_000
CORNER_RADIUS = math.sqrt(2.0)
"""The largest radius in the image [-1,1]^2, in half images."""
UNIFORM_EE50_RADIUS = math.sqrt(2.0 / math.pi)
"""EE50 of evenly spread light: pi r^2 is half of the image's area 4."""
MAX_CLASSES = 12
"""Classes drawn one by one; more would be unreadable, and a note says how many there are."""

HOLE = 0.26
"""Inner radius of the bands of class directions; the outer one is 1."""

INK, FAINT, GRID = "#1d2733", "#66727f", "#d5dbe1"
# Okabe and Ito's palette (2008), told apart by every common kind of colour blindness; yellow is left out.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5B4B8A", "#4D4D4D")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
# Opposite angles differ in hue (amber and blue) or in lightness (plum and pale teal), so that the cycle
# reads without red-green vision.
CYCLIC = LinearSegmentedColormap.from_list(
    "u1_cyclic", ("#E69F00", "#8A3B63", "#2F6DB5", "#86C5BB", "#E69F00")
)
ENERGY = matplotlib.colormaps["viridis"]
SHARE = LinearSegmentedColormap.from_list("u1_share", ("#ffffff", "#8fc1e3", "#0b3c6f"))

# Any: the stubs list every key of matplotlib by name.
STYLE: Any = {
    "svg.hashsalt": "u1sweep",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.limits": (-3, 4),
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.facecolor": "white",
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,
    "image.interpolation": "nearest",
}


@dataclass(frozen=True)
class Picture:
    """A picture ready for an `<img>`: data URI, size in CSS pixels, text for those who cannot see it."""

    uri: str
    width: int
    height: int
    alt: str


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
    """

    energy: np.ndarray
    ee50_radius: float | None
    ee80_radius: float | None
    radius: Sequence[float]
    radial_energy: Sequence[float]
    coefficients: tuple[float, float, float] | None
    trough_radius: float | None

    def fit(self, r: np.ndarray) -> np.ndarray:
        """Return the fitted energy at radii r."""
        a, b, c = self.coefficients or (math.nan,) * 3
        return a - b * r**2 + c * r**4


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
    """One model's class directions; a control has the architecture of a model but other weights."""

    name: str
    model: str
    is_control: bool
    directions: Sequence[Direction]


@dataclass(frozen=True)
class Rose:
    """One class's angles: how many fell into each of `len(counts)` equal sectors from -pi on."""

    direction: Direction
    counts: Sequence[int]
    n: int
    resultant_length: float | None


@dataclass(frozen=True)
class Bar:
    """One accuracy with its confidence interval, shares of one."""

    scheme: str
    k: int
    accuracy: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Depth:
    """One layer's place and measures; None where undefined. Angles in radians, radii in half images."""

    height: int | None
    width: int | None
    ee50_radius: float | None
    ee80_radius: float | None
    anisotropy: float | None
    polar_angle_rad: float | None
    effect_image: float | None
    effect_feature: float | None


# -- canvas ---------------------------------------------------------------------------------------


def _canvas() -> Figure:
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), dpi=100)
    FigureCanvasSVG(figure)
    return figure


def _picture(figure: Figure, alt: str) -> Picture:
    """Save as SVG without metadata and pack it as a data URI that needs no escaping between double quotes."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", dpi=RASTER_DPI, transparent=True, metadata=nothing)
    svg = _compact(buffer.getvalue())
    uri = "data:image/svg+xml," + quote(svg, safe=" /=,;()+-.'!*$?@<>")
    return Picture(uri, round(WIDTH_IN * 100), round(HEIGHT_IN * 100), alt)


def _compact(svg: str) -> str:
    """Drop the prologue and white space, round the coordinates to 1/100 pt, reduce pictures to palettes."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<style.*?</style>", "", svg, flags=re.S)
    parts = re.split(r"(data:image/png;base64,[A-Za-z0-9+/=\s]+)", svg)
    parts[1::2] = [_palette_png(part) for part in parts[1::2]]
    parts[::2] = [_NUMBER.sub(_rounded, re.sub(r">\s+<", "><", part)) for part in parts[::2]]
    return "".join(parts).replace("\n", " ").replace('"', "'")


_NUMBER = re.compile(r"(?<![\w#.])-?\d+\.\d{3,}(?!\w)")


def _rounded(number: re.Match[str]) -> str:
    """Round to two decimals, but keep four digits of scale factors below 1."""
    value = float(number[0])
    return f"{value:.4g}" if abs(value) < 1 else f"{value:.2f}".rstrip("0").rstrip(".")


def _palette_png(uri: str) -> str:
    """Re-encode a large picture with a palette, one entry of it transparent; small ones keep every colour."""
    head, _, payload = uri.partition(",")
    content = base64.b64decode(payload)
    if len(content) < PALETTE_FROM_BYTES:
        return f"{head},{base64.b64encode(content).decode()}"
    image = Image.open(io.BytesIO(content)).convert("RGBA")
    small = image.convert("RGB").quantize(PALETTE_SIZE, method=Image.Quantize.MEDIANCUT)
    small.putpalette([*(small.getpalette() or [])[: 3 * PALETTE_SIZE], 255, 255, 255])
    small.paste(PALETTE_SIZE, mask=image.getchannel("A").point([255] * 128 + [0] * 128))
    buffer = io.BytesIO()
    small.save(buffer, format="PNG", compress_level=9, transparency=PALETTE_SIZE)
    return f"{head},{base64.b64encode(buffer.getvalue()).decode()}"


def _plain(figure: Figure, rect: tuple[float, float, float, float] = (0, 0, 1, 1)) -> Axes:
    """Add axes without frame or ticks, one unit as long in x as in y."""
    axes = figure.add_axes(rect)
    axes.set_axis_off()
    axes.set_aspect("equal")
    return axes


def shorten(name: str, length: int) -> str:
    """Cut a long name so that it fits, with an ellipsis."""
    return name if len(name) <= length else name[: length - 1] + "…"


def _degrees(angle: float) -> str:
    return f"{math.degrees(angle):.0f}°".replace("-", "−")


# -- the energy -----------------------------------------------------------------------------------


def energy_map(data: EnergyMap) -> Picture:
    """Draw the mean energy over the image plane with its circles of confusion and the optical axis."""
    with matplotlib.rc_context(STYLE):
        figure = _canvas()
        axes = figure.add_axes((0.12, 0.13, 0.66, 0.83))
        shown = axes.imshow(data.energy, cmap=ENERGY, extent=(-1, 1, -1, 1), origin="upper", vmin=0)
        bar = figure.colorbar(shown, cax=figure.add_axes((0.83, 0.13, 0.035, 0.83)))
        bar.set_label("mean energy E (activation²)")
        for radius, dash, name in ((data.ee50_radius, "-", "EE50"), (data.ee80_radius, "--", "EE80")):
            if radius is not None:
                axes.add_patch(Circle((0, 0), radius, fill=False, color="black", lw=3.0, alpha=0.55))
                axes.add_patch(Circle((0, 0), radius, fill=False, color="white", lw=1.5, ls=dash))
                at = (radius * math.cos(2.2), radius * math.sin(2.2))
                axes.annotate(
                    name, at, color="white", ha="center", va="center", fontsize=8, bbox=_label_box()
                )
        axes.plot([0], [0], marker="+", ms=13, mew=4.0, color="black", alpha=0.55)
        axes.plot([0], [0], marker="+", ms=12, mew=1.6, color="white")
        axes.set(xlim=(-1, 1), ylim=(-1, 1), xlabel="x (half images, right)", ylabel="y (half images, up)")
        axes.set_xticks((-1, -0.5, 0, 0.5, 1))
        axes.set_yticks((-1, -0.5, 0, 0.5, 1))
        return _picture(figure, "Mean energy over the image plane with EE50 and EE80 circles")


def _label_box() -> dict[str, Any]:
    return {"boxstyle": "round,pad=0.15", "fc": "#000000", "ec": "none", "alpha": 0.6}


def sombrero_surface(data: EnergyMap) -> Picture:
    """Draw the fitted Sombrero as a surface, and every pixel of the mean map as a dot on its stem."""
    with matplotlib.rc_context(STYLE):
        figure = _canvas()
        axes = Axes3D(figure, (0.0, 0.0, 0.96, 1.06), computed_zorder=False)
        figure.add_axes(axes)
        height, width = data.energy.shape
        x = (2 * np.arange(width) + 1) / width - 1
        y = 1 - (2 * np.arange(height) + 1) / height
        top = float(np.max(data.energy))
        if data.coefficients is not None:
            _surface(axes, data, top)
        _pixels(axes, data, x, y)
        axes.set(xlabel="x (half images)", ylabel="y (half images)", zlabel="E (activation²)")
        axes.set(xlim=(-1, 1), ylim=(-1, 1))
        axes.set_zlim(0, top * 1.05 or 1.0)
        axes.view_init(elev=32, azim=-58)
        axes.set_box_aspect((1, 1, 0.72), zoom=0.98)
        axes.set_xticks((-1, -0.5, 0, 0.5))
        axes.set_yticks((-0.5, 0, 0.5, 1))
        return _picture(figure, "Sombrero surface of the fitted energy with the mean map's pixels as dots")


def _surface(axes: Axes3D, data: EnergyMap, top: float) -> None:
    grid = np.linspace(-1, 1, 33)
    x, y = np.meshgrid(grid, grid)
    fitted = np.clip(data.fit(np.hypot(x, y)), 0, None)
    colours = ENERGY(Normalize(0, top)(fitted))
    axes.plot_surface(
        x, y, fitted, facecolors=colours, rstride=1, cstride=1, shade=False, ec=(1, 1, 1, 0.25), lw=0.3,
        rasterized=True,
    )  # fmt: skip


def _pixels(axes: Axes3D, data: EnergyMap, x: np.ndarray, y: np.ndarray) -> None:
    """Dots at the measured energies; stems to the fit where there are few enough to be seen."""
    px, py = (c.ravel() for c in np.meshgrid(x, y))
    e = data.energy.ravel()
    fitted = np.clip(data.fit(np.hypot(px, py)), 0, None)
    if e.size <= 256 and data.coefficients is not None:
        stems = [((a, b, low), (a, b, high)) for a, b, low, high in zip(px, py, fitted, e, strict=True)]
        axes.add_collection3d(Line3DCollection(stems, colors=INK, linewidths=0.7, rasterized=True))
    size = float(np.clip(28 / math.sqrt(e.size), 1.2, 4.0))
    axes.plot(px, py, e, ls="", marker="o", ms=size, mfc="white", mec=INK, mew=0.6, rasterized=True)


def radial_profile(data: EnergyMap) -> Picture:
    """Draw the ring means against the radius, the fitted curve, its trough and the EE radii."""
    with matplotlib.rc_context(STYLE):
        figure = _canvas()
        axes = figure.add_axes((0.13, 0.13, 0.83, 0.78))
        axes.plot(
            data.radius, data.radial_energy, "o", ms=5, color=PALETTE[0], label="mean energy on the ring"
        )
        if data.coefficients is not None:
            r = np.linspace(0, CORNER_RADIUS, 141)
            axes.plot(r, data.fit(r), color=PALETTE[1], lw=1.8, label="fit a − b r² + c r⁴ over all pixels")
        axes.set(xlim=(0, CORNER_RADIUS), xlabel="r (half images)", ylabel="E (activation²)")
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        for value, dash, name in (
            (data.trough_radius, "-", "trough"),
            (data.ee50_radius, ":", "EE50"),
            (data.ee80_radius, "--", "EE80"),
        ):
            if value is not None and value <= CORNER_RADIUS:
                axes.axvline(value, ls=dash, lw=1.1, color=FAINT)
                axes.annotate(
                    name, (value, 1.02), xycoords=axes.get_xaxis_transform(), ha="center", fontsize=8
                )
        axes.legend(loc="best")
        return _picture(figure, "Radial profile of the energy with the fitted Sombrero curve")


# -- the angles -----------------------------------------------------------------------------------


def roses(data: Sequence[Rose]) -> Picture:
    """Draw one rose per class (area in proportion to the share), mean direction and confidence arc."""
    with matplotlib.rc_context(STYLE):
        figure = _canvas()
        axes = _plain(figure)
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
        return _picture(figure, "Rose diagrams of the angle, one per class")


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
    for degrees, ha, va in ((0, "left", "center"), (90, "center", "bottom"), (180, "right", "center")):
        a = math.radians(degrees)
        at = (1.26 * math.cos(a), 1.26 * math.sin(a))
        axes.annotate(_degrees(a), at, ha=ha, va=va, fontsize=6.5, color=FAINT)


def _mean_direction(axes: Axes, direction: Direction, at: tuple[float, float]) -> None:
    x, y = at
    if direction.mean is not None:
        end = (x + 1.12 * math.cos(direction.mean), y + 1.12 * math.sin(direction.mean))
        axes.plot([x, end[0]], [y, end[1]], color=INK, lw=1.4, solid_capstyle="round")
    if direction.mean is not None and direction.arc is not None:
        start, span = direction.arc
        t = np.linspace(start, start + span, max(3, round(span / 0.1)))
        axes.plot(x + 1.12 * np.cos(t), y + 1.12 * np.sin(t), color=INK, lw=2.6, solid_capstyle="butt")


def class_directions(series: Sequence[Series], classes: Sequence[str]) -> Picture:
    """Draw one band per class and one marker per model in it, with its confidence arc.

    Args:
        series: The models; those of one colour share their `model`, hollow markers are controls.
        classes: Classes to draw, from the inner band outwards.
    """
    with matplotlib.rc_context(STYLE):
        figure = _canvas()
        axes = _plain(figure, (0.0, 0.0, 0.76, 1.0))
        step = (1 - HOLE) / len(classes)
        bands = {name: HOLE + step * (i + 0.5) for i, name in enumerate(classes)}
        _polar_grid(axes, [HOLE + step * i for i in range(len(classes) + 1)])
        styles = _series_styles(series)
        for i, one in enumerate(series):
            shift = step * 0.7 * ((i + 0.5) / len(series) - 0.5)
            _band_markers(axes, one, styles[i], {name: r + shift for name, r in bands.items()})
        shown = [d.mean for one in series for d in one.directions if d.name in bands and d.mean is not None]
        _band_names(axes, bands, shown)
        axes.set(xlim=(-1.2, 1.2), ylim=(-1.22, 1.22))
        handles = [Line2D([], [], ls="", ms=6, **style) for style in styles]
        labels = ["\n(".join(shorten(part, 20) for part in one.name.split(" (")) for one in series]
        figure.legend(
            handles,
            labels,
            loc="center right",
            bbox_to_anchor=(1.0, 0.5),
            handletextpad=0.1,
            labelspacing=0.7,
        )
        return _picture(figure, "Mean direction of every class in every model, with confidence arcs")


def _polar_grid(axes: Axes, radii: Sequence[float]) -> None:
    for r in radii:
        axes.add_patch(Circle((0, 0), r, fill=False, ec=GRID, lw=0.7))
    for degrees in range(0, 360, 30):
        a = math.radians(degrees if degrees <= 180 else degrees - 360)
        axes.plot((HOLE * math.cos(a), math.cos(a)), (HOLE * math.sin(a), math.sin(a)), color=GRID, lw=0.7)
        at = (1.1 * math.cos(a), 1.1 * math.sin(a))
        axes.annotate(_degrees(a), at, ha="center", va="center", fontsize=8)


def _band_markers(axes: Axes, series: Series, style: dict[str, Any], radius: dict[str, float]) -> None:
    for d in series.directions:
        if d.mean is None or d.name not in radius:
            continue
        r = radius[d.name]
        if d.arc is not None:
            start, span = d.arc
            t = np.linspace(start, start + span, max(3, round(span / 0.08)))
            axes.plot(
                r * np.cos(t), r * np.sin(t), color=style["color"], lw=1.3, alpha=0.6, solid_capstyle="butt"
            )
        axes.plot([r * math.cos(d.mean)], [r * math.sin(d.mean)], ls="", ms=5, zorder=3, **style)


def _series_styles(series: Sequence[Series]) -> list[dict[str, Any]]:
    """One colour and shape per model; filled for the model itself, hollow for its controls."""
    models = list(dict.fromkeys(one.model for one in series))
    styles = []
    for one in series:
        i = models.index(one.model)
        colour, marker = PALETTE[i % len(PALETTE)], MARKERS[(i + i // len(PALETTE)) % len(MARKERS)]
        edge, face, width = (colour, "white", 1.1) if one.is_control else ("white", colour, 0.6)
        styles.append({"color": colour, "marker": marker, "mec": edge, "mfc": face, "mew": width})
    return styles


def _band_names(axes: Axes, bands: dict[str, float], angles: Sequence[float]) -> None:
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


# -- memory ---------------------------------------------------------------------------------------


def memory_accuracy(bars: Sequence[Bar], chance: float | None, head_accuracy: float | None) -> Picture:
    """Draw the accuracy of every scheme side by side, one bar per k, with its confidence interval."""
    with matplotlib.rc_context(STYLE):
        figure = _canvas()
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
        handles, labels = axes.get_legend_handles_labels()
        bars_first = sorted(range(len(labels)), key=lambda i: not labels[i].endswith("NN"))
        figure.legend(
            [handles[i] for i in bars_first],
            [labels[i] for i in bars_first],
            loc="upper center",
            ncols=3,
            columnspacing=1.2,
        )
        return _picture(
            figure, "Accuracy of the memory schemes with confidence intervals, chance and own head"
        )


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


def confusion(counts: np.ndarray, names: Sequence[str]) -> Picture:
    """Draw a confusion matrix: colour and figures are shares of the true class, in per cent.

    Args:
        counts: Query images by true (row) and predicted (column) class, (C, C).
        names: Class names by row.
    """
    with matplotlib.rc_context(STYLE):
        figure = _canvas()
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
        return _picture(figure, "Confusion of the memory classifier, pooled scheme, nearest neighbour")


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


# -- depth ----------------------------------------------------------------------------------------


def concentration(layers: Sequence[Depth]) -> Picture:
    """Draw four measures against the layers in order of execution, labelled by their resolution."""
    with matplotlib.rc_context(STYLE):
        figure = _canvas()
        panels = figure.subplots(2, 2, sharex=True)
        figure.subplots_adjust(left=0.115, right=0.985, top=0.93, bottom=0.18, hspace=0.3, wspace=0.3)
        radii, anisotropy, polar, effect = panels.ravel()
        radii.axhline(UNIFORM_EE50_RADIUS, ls=":", lw=1, color=PALETTE[0], alpha=0.8)
        _track(radii, [d.ee80_radius for d in layers], 1, "EE80")
        _track(radii, [d.ee50_radius for d in layers], 0, "EE50")
        radii.set_title("encircled energy (half images)")
        _track(anisotropy, [d.anisotropy for d in layers], 2, None)
        anisotropy.set_title("anisotropy (share)")
        _track(
            polar,
            [None if d.polar_angle_rad is None else math.degrees(d.polar_angle_rad) for d in layers],
            3,
            None,
        )
        polar.set_title("polar angle (degrees)")
        _track(effect, [d.effect_image for d in layers], 0, "image")
        _track(effect, [d.effect_feature for d in layers], 4, "feature")
        effect.set_title("class bias (effect size)")
        for axes, room in ((anisotropy, 1.05), (polar, 1.05), (effect, 1.3)):
            axes.set_ylim(0, max(axes.get_ylim()[1] * room, 0.01))
        radii.margins(y=0.25)
        for axes in (radii, effect):
            axes.legend(loc="best", ncols=2, columnspacing=1.0, handlelength=1.4, borderaxespad=0.1)
        _layer_ticks(panels[1], layers)
        figure.supxlabel("layer, by resolution H×W (pixels)", fontsize=9, y=0.01)
        return _picture(figure, "Concentration and class bias along the layers")


def _track(axes: Axes, values: Sequence[float | None], i: int, label: str | None) -> None:
    y = [math.nan if v is None else v for v in values]
    axes.plot(range(len(y)), y, marker=MARKERS[i], ms=5, lw=1.5, color=PALETTE[i], label=label)


def _layer_ticks(row: Sequence[Axes], layers: Sequence[Depth]) -> None:
    labels = ["?" if d.height is None else f"{d.height}×{d.width}" for d in layers]
    for axes in row:
        axes.set_xticks(range(len(labels)), labels, rotation=35 if len(labels) > 3 else 0, fontsize=7.5)
        axes.set_xlim(-0.4, max(len(labels) - 0.6, 0.4))
