"""What every picture shares: two sizes, one type, one palette, and one mark per cell.

The object-oriented Matplotlib API is used throughout: no pyplot, no figure survives its function.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from u1core.report.figures.svg import data_uri

CARD, SMALL = (5.4, 4.3), (2.9, 2.2)
"""Sizes in inches: a picture of its own, and one of several small multiples."""
MAX_CLASSES = 12
"""Classes drawn one by one; more would be unreadable, and a note says how many there are."""

INK, FAINT, GRID = "#1d2733", "#66727f", "#d5dbe1"
# Okabe and Ito's palette (2008), told apart by every common kind of colour blindness; yellow is left out.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5B4B8A", "#4D4D4D")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
FILLED_GLYPHS, HOLLOW_GLYPHS = "●■▲◆▼✚✖⬟", "○□△◇▽✛✕⬠"
PLANE_MARKERS = {"image": ("o", PALETTE[0]), "feature": ("s", PALETTE[1])}
ENERGY = matplotlib.colormaps["viridis"]
SHARE = LinearSegmentedColormap.from_list("u1_share", ("#ffffff", "#8fc1e3", "#0b3c6f"))

# Any: the stubs list every key of matplotlib by name.
STYLE: Any = {
    "svg.hashsalt": "u1sweep",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    # A class may be called $x^2$, or worse.
    "text.parse_math": False,
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
class Drawing:
    """A drawing ready for an `<img>`: data URI, size in CSS pixels, text for those who cannot see it."""

    uri: str
    width: int
    height: int
    alt: str


@dataclass(frozen=True)
class Mark:
    """How one cell is drawn in every picture of its dataset: its model's colour and shape, hollow: control.

    Attributes:
        label: The cell's name.
        index: Position of its model among the dataset's models.
        is_control: Whether the cell is a control of that model.
    """

    label: str
    index: int = 0
    is_control: bool = False

    @property
    def colour(self) -> str:
        """The model's colour."""
        return PALETTE[self.index % len(PALETTE)]

    @property
    def _shape(self) -> int:
        return (self.index + self.index // len(PALETTE)) % len(MARKERS)

    @property
    def glyph(self) -> str:
        """The marker as a character, for the key beside the pictures."""
        return (HOLLOW_GLYPHS if self.is_control else FILLED_GLYPHS)[self._shape]

    @property
    def style(self) -> dict[str, Any]:
        """The marker as Matplotlib's keywords."""
        edge, face, width = (self.colour, "white", 1.1) if self.is_control else ("white", self.colour, 0.6)
        return {
            "color": self.colour, "marker": MARKERS[self._shape], "mec": edge, "mfc": face, "mew": width,
        }  # fmt: skip


@contextmanager
def canvas(size: tuple[float, float] = CARD) -> Iterator[Figure]:
    """Give an empty figure, and the report's style while it is drawn and saved."""
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # A script that the font lacks is drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=size, dpi=100)
        FigureCanvasSVG(figure)
        yield figure


def drawing(figure: Figure, alt: str) -> Drawing:
    """Pack a figure, with the text for those who cannot see it."""
    width, height = figure.get_size_inches()
    return Drawing(data_uri(figure), round(100 * width), round(100 * height), alt)


def plain(figure: Figure, rect: tuple[float, float, float, float] = (0, 0, 1, 1)) -> Axes:
    """Add axes without frame or ticks, one unit as long in x as in y."""
    axes = figure.add_axes(rect)
    axes.set_axis_off()
    axes.set_aspect("equal")
    return axes


def image_plane_axes(axes: Axes) -> None:
    """Lay out axes as the image plane [-1,1]^2."""
    axes.set(xlim=(-1, 1), ylim=(-1, 1), xlabel="x (half images, right)", ylabel="y (half images, up)")
    axes.set_aspect("equal")
    axes.set_xticks((-1, -0.5, 0, 0.5, 1))
    axes.set_yticks((-1, -0.5, 0, 0.5, 1))


def horizontal_rows(axes: Axes, names: Sequence[str]) -> None:
    """Lay out one row per name, the first on top, on faint lines."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)


def missing_as_nan(values: Sequence[float | None]) -> list[float]:
    """Return the values with None as NaN, which Matplotlib leaves out."""
    return [math.nan if v is None else v for v in values]


def shorten(name: str, length: int) -> str:
    """Cut a long name so that it fits, with an ellipsis."""
    return name if len(name) <= length else name[: length - 1] + "…"


def two_lines(label: str, length: int = 20) -> str:
    """Break a cell's label before its variant, each line cut to fit."""
    return "\n(".join(shorten(part, length) for part in label.split(" ("))


def degrees(angle_rad: float) -> str:
    """Write an angle in whole degrees."""
    return f"{math.degrees(angle_rad):.0f}°".replace("-", "−")
