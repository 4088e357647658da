"""Location memory: from where in the image plane can the memory name the class?"""

from __future__ import annotations

import numpy as np

from u1core.report.blocks import Card, Note, Subject, Table, anchor
from u1core.report.data import CellName, Row, name_of
from u1core.report.figures.location import Places, accuracy_by_radius, accuracy_map
from u1core.report.sections.scene import MAX_SERIES, Scene
from u1core.report.words import count, number, percent

SCHEMES = {"pooled": "pooled vector", "full": "whole map"}


def subject(scene: Scene) -> Subject | None:
    """Return the section, its note where there is no location memory, or None without a network."""
    where, title = anchor(scene.dataset, "location"), "Location memory"
    shown = {name_of(row) for row in scene.shown}
    rows = [r for r in scene.answers.all("location_report", dataset=scene.dataset) if name_of(r) in shown]
    rows = [r for r in rows if r["chance"] is not None]
    if not rows and not scene.networks:
        return None
    if not rows:
        note = Note("No location memory was kept.", "u1 sweep --location-limit 1000")
        return Subject(where, title, "", notes=[note])
    return Subject(
        anchor=where,
        title=title,
        text=(
            "The activations at one place of the bottleneck, A(:,x,y), ask the memory at the same place for "
            "their nearest neighbour. If the radius where accuracy has fallen half-way from the centre to "
            "chance is near EE50, the circle of confusion of the light is that of the knowledge too."
        ),
        cards=[card for row in rows[:MAX_SERIES] for card in _cards(scene, row)],
        tables=[_table(rows)],
        sources=("location_accuracy", "location_report"),
    )


def _cards(scene: Scene, report: Row) -> list[Card]:
    name = name_of(report)
    data = _places(scene, name, report)
    n = f"n = {count(report['n_query'])} query images ask {count(report['n_memory'])} memory images"
    ends = (
        f"centre {percent(report['centre_accuracy'])}, corners {percent(report['corner_accuracy'])}, chance "
        f"{percent(report['chance'])} (line in the colour bar)"
    )
    radii = (
        f"half-way at r = {number(report['half_radius'])}, EE50 {number(report['ee50_radius'])} half images"
    )
    return [
        Card(f"{name.label}: accuracy by place", f"{n}: {ends}.", accuracy_map(data)),
        Card(f"{name.label}: accuracy by radius", f"{_sentence(radii)}.", accuracy_by_radius(data)),
    ]


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:]


def _places(scene: Scene, name: CellName, report: Row) -> Places:
    """Return a cell's places, row by row from the top."""
    rows = scene.answers.of("location_accuracy", name)
    height = len({r["y"] for r in rows})
    columns = {
        k: np.array([r[k] for r in rows], dtype=float) for k in ("x", "y", "accuracy", "ci_low", "ci_high")
    }
    wholes = {label: report[f"{scheme}_accuracy"] for scheme, label in SCHEMES.items()}
    return Places(
        accuracy=columns["accuracy"].reshape(height, -1),
        radius=np.hypot(columns["x"], columns["y"]),
        low=columns["ci_low"],
        high=columns["ci_high"],
        chance=report["chance"],
        half_radius=report["half_radius"],
        ee50_radius=report["ee50_radius"],
        wholes={label: value for label, value in wholes.items() if value is not None},
    )


def _table(rows: list[Row]) -> Table:
    return Table(
        "1-NN accuracy by one place, by the pooled vector and by the whole map; radii in half images.",
        (
            "model", "n memory", "n query", "chance", "corners", "centre", "pooled", "whole map",
            "half-way radius", "EE50",
        ),
        texts=1,
        rows=[
            [
                name_of(r).label,
                count(r["n_memory"]),
                count(r["n_query"]),
                *(percent(r[k]) for k in ("chance", "corner_accuracy", "centre_accuracy")),
                *(percent(r[k]) for k in ("pooled_accuracy", "full_accuracy")),
                number(r["half_radius"]),
                number(r["ee50_radius"]),
            ]
            for r in rows
        ],
        sources=("location_report",),
    )  # fmt: skip
