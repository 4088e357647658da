"""Agreement: do models lean the same way, class by class?"""

from __future__ import annotations

import numpy as np

from u1core.report.blocks import Card, Note, Subject, Table, Value, anchor
from u1core.report.data import CellName, Row
from u1core.report.figures.agreement import Dot, dots, heat
from u1core.report.figures.angles import Direction, Series, class_directions
from u1core.report.sections.scene import PLANES, SYMBOLS, Scene
from u1core.report.words import cosine, count, degrees, probability

SIGNIFICANT = 0.05


def subject(scene: Scene) -> Subject:
    """Return the section: class directions, pairs of models, and classes over models."""
    alone = Note("Model agreement needs two models on this data set.")
    cards = [*(_directions(scene, plane) for plane in PLANES), _heat(scene), _classes(scene)]
    return Subject(
        anchor=anchor(scene.dataset, "agreement"),
        title="Class directions and their agreement",
        text=(
            "Mean direction of θ per class at the bottleneck, query images, counter-clockwise from the "
            "image's x axis. Agreement is the mean cosine over classes: 1 for the same directions, 0 for "
            "unrelated ones; p against permuted class labels."
        ),
        key=scene.key(scene.compared),
        cards=[card for card in cards if card],
        tables=[t for t in (_pairs(scene), _class_table(scene)) if t.rows],
        notes=[alone] if len(scene.networks) < 2 else [],
    )


# -- directions -----------------------------------------------------------------------------------


def direction(row: Row) -> Direction:
    """Return a row of class_directions as what is drawn."""
    return Direction(row["class_name"], row["mean_direction_rad"], row["ci_low_rad"], row["ci_high_rad"])


def _directions(scene: Scene, plane: str) -> Card | None:
    rows = {n: scene.answers.of("class_directions", n, plane=plane) for n in scene.compared}
    if not any(r["mean_direction_rad"] is not None for found in rows.values() for r in found):
        return None
    series = [Series(scene.marks[n], [direction(r) for r in found]) for n, found in rows.items() if found]
    rest = len({(r["model"]) for r in scene.cells}) - len({n.model for n in scene.compared})
    note = scene.classes_note + (f" {rest} more models are in the view." if rest else "")
    return Card(
        f"Class directions, {PLANES[plane]}",
        f"{SYMBOLS[plane]}: one band per class, one marker per cell (hollow: a control); the line along the "
        f"band is its 95 % confidence arc.{note}",
        class_directions(series, scene.drawn_classes),
        ("class_directions",),
    )


# -- pairs of models ------------------------------------------------------------------------------


def _pair(row: Row) -> tuple[CellName, CellName]:
    a, b = (CellName(row["dataset"], row[f"model_{s}"], row[f"variant_{s}"]) for s in "ab")
    return a, b


def _heat(scene: Scene) -> Card | None:
    rows = [
        r
        for r in scene.answers.all("model_agreement", dataset=scene.dataset, split="query")
        if r["agreement"] is not None and set(_pair(r)) <= set(scene.compared)
    ]
    names = [n for n in scene.compared if any(n in _pair(r) for r in rows)]
    if not names:
        return None
    values, bold = np.full((len(names), len(names)), np.nan), np.zeros((len(names), len(names)), dtype=bool)
    for row in rows:
        low, high = sorted(names.index(name) for name in _pair(row))
        at = (low, high) if row["plane"] == "image" else (high, low)
        values[at], bold[at] = row["agreement"], is_significant(row["permutation_p"])
    return Card(
        "Agreement of models",
        "Above the diagonal: in the image plane; below it: in activation space. Bold: permutation p < 0.05.",
        heat([n.label for n in names], values, bold),
        ("model_agreement",),
    )


def _pairs(scene: Scene) -> Table:
    """One row per pair of cells and split, both planes side by side."""
    pairs: dict[tuple[str, str, str], dict[str, Value]] = {}
    for row in scene.answers.all("model_agreement", dataset=scene.dataset):
        a, b = (name.label for name in _pair(row))
        p = probability("p", row["permutation_p"])
        pairs.setdefault((a, b, row["split"]), {})[row["plane"]] = Value(cosine(row["agreement"]), p)
    return Table(
        "Mean cosine over classes of two cells' directions; p against permuted class labels.",
        ("model", "model", "split", *PLANES.values()),
        texts=3,
        rows=[[*key, *(found.get(plane, "—") for plane in PLANES)] for key, found in pairs.items()],
        sources=("model_agreement",),
        fold="Every pair of models, with p",
    )


# -- classes over models --------------------------------------------------------------------------


def _votes(scene: Scene) -> list[Row]:
    """Return the classes' rows that have at least two models."""
    rows = scene.answers.all("class_agreement", dataset=scene.dataset)
    return [r for r in rows if r["models"] >= 2 and r["resultant_length"] is not None]


def _classes(scene: Scene) -> Card | None:
    votes = [r for r in _votes(scene) if r["class_name"] in scene.drawn_classes]
    if not votes:
        return None
    drawing = dots(
        [
            Dot(r["class_name"], r["plane"], r["resultant_length"], is_significant(r["rayleigh_q"]))
            for r in votes
        ],
        [c for c in scene.drawn_classes if any(r["class_name"] == c for r in votes)],
        PLANES,
        "resultant length R over models",
        low=0.0,
    )
    models = max(r["models"] for r in votes)
    return Card(
        "Each class over all models",
        f"Length of the mean of the models' unit vectors, {models} models: 1 where all lean the same way. "
        "Two models at random have 0.64 on average, so R says little below five. Filled: Rayleigh q < 0.05 "
        f"(BH).{scene.classes_note}",
        drawing,
        ("class_agreement",),
    )


def is_significant(q: float | None) -> bool:
    """Tell whether a p or q exists and is below 0.05."""
    return q is not None and q < SIGNIFICANT


def _class_table(scene: Scene) -> Table:
    return Table(
        "Mean direction and resultant length of each class over the models.",
        ("class", "plane", "models", "mean direction", "R", "q (BH)"),
        texts=2,
        rows=[
            [
                r["class_name"],
                PLANES[r["plane"]],
                count(r["models"]),
                degrees(r["mean_direction_rad"]),
                cosine(r["resultant_length"]),
                probability("q", r["rayleigh_q"]),
            ]
            for r in _votes(scene)
        ],
        sources=("class_agreement",),
        fold="Every class over the models, with q",
    )
