"""The Sombrero: does the mean energy fall from the centre to a trough, and where does the trough lie?"""

from __future__ import annotations

import numpy as np

from u1core.report.blocks import Card, Subject, Table, Value, anchor
from u1core.report.data import CellName, Row, name_of
from u1core.report.figures.energy import EnergyMap, radial_profile
from u1core.report.sections.scene import MAX_SERIES, Scene
from u1core.report.words import cosine, count, number, plus_minus

SHAPES = {
    "hat": "hat: the trough lies inside the image",
    "dome": "dome: it falls from the centre and reaches no trough inside the image",
    "bowl": "bowl: it does not fall from the centre",
}


def subject(scene: Scene) -> Subject | None:
    """Return the section, or None where no cell has a map."""
    names = [name_of(row) for row in scene.shown]
    cards = [card for name in names[:MAX_SERIES] if (card := _card(scene, name))]
    if not cards:
        return None
    return Subject(
        anchor=anchor(scene.dataset, "sombrero"),
        title="The Sombrero",
        text=(
            "Mean energy on rings about the image centre at the bottleneck, query images, with the fit "
            "E(r) = a − b r² + c r⁴. A trough inside the image (r ≤ 1) makes a hat; outside, a dome. "
            "Dots: ring means; triangle: the trough with its 95 % interval; grey: the corners, outside "
            "the circle r = 1. Standard errors are over images."
        ),
        small_cards=cards,
        tables=[_table(scene)],
        sources=("sombrero", "energy_maps"),
    )


def _card(scene: Scene, name: CellName) -> Card | None:
    data = energy_map_of(scene, name)
    return Card(name.label, shape_sentence(scene, name), radial_profile(data)) if data else None


def energy_map_of(scene: Scene, name: CellName) -> EnergyMap | None:
    """Return a cell's mean map over all query images at the bottleneck; None where it has none."""
    row, fit = scene.answers.one("energy_maps", name), scene.answers.one("sombrero", name)
    if not row:
        return None
    a, b, c = (row[f"sombrero_{k}"] for k in "abc")
    return EnergyMap(
        energy=np.array(row["mean_energy"], dtype=float).reshape(row["height"], row["width"]),
        ee50_radius=row["ee50_radius"],
        ee80_radius=row["ee80_radius"],
        radius=row["radius"],
        radial_energy=row["radial_energy"],
        coefficients=None if a is None or b is None or c is None else (a, b, c),
        trough_radius=row["trough_radius"],
        trough_radius_se=fit.get("trough_radius_se"),
    )


def shape_sentence(scene: Scene, name: CellName) -> str:
    """Return what the fit says about a cell in one sentence."""
    fit = scene.answers.one("sombrero", name)
    if fit.get("a") is None:
        return "No Sombrero could be fitted."
    trough = "no trough: b or c is not positive"
    if fit["trough_radius"] is not None:
        trough = f"trough at r = {plus_minus(fit['trough_radius'], fit['trough_radius_se'])} half images"
    doubt = "" if fit["shape_is_certain"] else " (not certain at 95 %)"
    shape = SHAPES.get(fit["shape"], "no shape")
    return f"R² = {number(fit['r_squared'])}; {trough}. A {shape}{doubt}."


def _table(scene: Scene) -> Table:
    fits = [(name, fit) for name in scene.compared if (fit := scene.answers.one("sombrero", name))]
    return Table(
        "The fit at the bottleneck, query images: value and standard error; the trough in half images.",
        ("model", "shape", "n", "R²", "anisotropy", "trough", "a", "b", "c"),
        texts=2,
        rows=[_row(name, fit) for name, fit in fits],
        sources=("sombrero",),
    )


def _row(name: CellName, fit: Row) -> list[str | Value]:
    certain = "" if fit["shape_is_certain"] else " ?"
    return [
        name.label,
        f"{fit['shape'] or '—'}{certain}",
        count(fit["n"]),
        number(fit["r_squared"]),
        cosine(fit["anisotropy"]),
        *(
            Value(number(fit[k], 4), f"± {number(fit[f'{k}_se'], 2)}" if fit[k] is not None else "")
            for k in ("trough_radius", "a", "b", "c")
        ),
    ]
