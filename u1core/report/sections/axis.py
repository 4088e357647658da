"""Along the optical axis: does information focus while the 2-D resolution collapses?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from u1core.measures.pixel_grid import UNIFORM_EE50_RADIUS
from u1core.report.blocks import Card, Subject, anchor
from u1core.report.data import CellName, Row
from u1core.report.figures.axis import Track, panel
from u1core.report.sections.scene import Scene
from u1core.report.words import count


class _Panel(NamedTuple):
    """One measure along the axis: a title, the columns drawn (the second fainter) and what they mean."""

    title: str
    columns: tuple[str, ...]
    meaning: str
    reference: float | None = None
    log: bool = False
    of_points: bool = False


_PANELS = (
    _Panel(
        "EE50 (half images)", ("ee50_radius",), "Radius of half of the energy; dotted: evenly spread light, "
        "0.798. Below it the light is focused.", UNIFORM_EE50_RADIUS,
    ),
    _Panel("EE80 (half images)", ("ee80_radius",), "Radius of 80 % of the energy."),
    _Panel("anisotropy (share)", ("anisotropy",), "Share of the map's variance that is angular."),
    _Panel(
        "polar angle (share of its bound)", ("polar_angle_share",), "Opening from the medial vector over "
        "arccos(1/√N), the widest of non-negative activations; dotted: the half that claim 1 asks for.", 0.5,
        of_points=True,
    ),
    _Panel(
        "class bias, image plane", ("class_bias_image",), "Effect size of the uniform scores test, 0 to 1."
    ),
    _Panel("class bias, activation space", ("class_bias_feature",), "The same for θ in activation space."),
    _Panel(
        "coupling (half images)", ("coupling_1", "coupling_2"), "Singular values of Cov(h, d): how far the "
        "two planes move together; the smaller one faint.",
    ),
    _Panel("energy (activation²)", ("energy_total",), "Summed over the map, per image.", log=True),
)  # fmt: skip


def subject(scene: Scene) -> Subject | None:
    """Return the section, or None where no cell has a layer with records."""
    names = [n for n in scene.compared if scene.answers.of("concentration_by_layer", n)]
    if not names:
        return None
    return Subject(
        anchor=anchor(scene.dataset, "axis"),
        title="Along the optical axis",
        text=(
            "One line per cell, from the first map (left) to the bottleneck (ringed), against the "
            "resolution √(H W) of the layer in pixels; dashed: a control. Medians over "
            f"{_images(scene, names)} query images. A 1×1 layer has an opening but no place to focus on."
        ),
        key=scene.key(names),
        small_cards=[_card(scene, names, p) for p in _PANELS],
        sources=("concentration_by_layer",),
    )


def _images(scene: Scene, names: Sequence[CellName]) -> str:
    return count(max(row["n"] for name in names for row in _layers(scene, name)))


def _layers(scene: Scene, name: CellName, *, of_points: bool = True) -> list[Row]:
    """Return a cell's layers in order of execution, those of one pixel only where they are asked for."""
    rows = scene.answers.of("concentration_by_layer", name)
    return [row for row in rows if of_points or _side(row) > 1]


def _card(scene: Scene, names: Sequence[CellName], p: _Panel) -> Card:
    layers = {name: _layers(scene, name, of_points=p.of_points) for name in names}
    tracks = [
        Track(
            mark=scene.marks[name],
            sides=[_side(row) for row in rows],
            values=[row[column] for row in rows],
            bottleneck=next((i for i, row in enumerate(rows) if row["is_bottleneck"]), None),
            is_secondary=column != p.columns[0],
        )
        for column in p.columns
        for name, rows in layers.items()
    ]
    drawing = panel(tracks, p.title, reference=p.reference, log=p.log)
    return Card(p.title[0].upper() + p.title[1:], p.meaning, drawing)


def _side(row: Row) -> float:
    return math.sqrt(row["height"] * row["width"])
