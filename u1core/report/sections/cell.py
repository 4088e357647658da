"""One cell: its mean energy, its angles by class, its memory and its tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from u1core.measures.pixel_grid import UNIFORM_EE50_RADIUS
from u1core.report.blocks import Card, Table, anchor
from u1core.report.data import CellName, Row, name_of
from u1core.report.figures.canvas import MAX_CLASSES
from u1core.report.figures.energy import energy_map, sombrero_surface
from u1core.report.figures.memory import Bar, confusion, memory_accuracy
from u1core.report.sections.roses import rose_card
from u1core.report.sections.scene import PLANES, SYMBOLS, Scene
from u1core.report.sections.sombrero import energy_map_of
from u1core.report.words import cosine, count, degrees, number, percent, probability

SCHEMES = ("pooled", "chroma", "energy", "theta")


@dataclass(frozen=True)
class CellSection:
    """One model on one dataset."""

    anchor: str
    name: CellName
    facts: list[tuple[str, str]]
    cards: list[Card]
    tables: list[Table]
    planes: str


def cell_section(scene: Scene, row: Row, *, draw: bool) -> CellSection:
    """Return the section of one cell; without pictures unless `draw`."""
    cell = name_of(row)
    return CellSection(
        anchor=anchor(*cell),
        name=cell,
        facts=_facts(row),
        cards=list(_cards(scene, row)) if draw else [],
        tables=[t for t in (_tests(scene, cell), _directions(scene, cell)) if t.rows],
        planes=_plane_sentence(scene.answers.one("plane_agreement", cell, split="query")),
    )


def _cards(scene: Scene, row: Row) -> Iterator[Card]:
    """Yield the pictures that the cell has numbers for."""
    cell = name_of(row)
    yield from _energy_cards(scene, cell)
    for plane in PLANES:
        if card := _rose_card(scene, row, plane):
            yield card
    for card in (_memory_card(scene, cell), _confusion_card(scene, row)):
        if card:
            yield card


def _facts(row: Row) -> list[tuple[str, str]]:
    speed = f"{number(row['images_per_second'])} images/s on {row['device']}, {row['precision']}"
    failures = f", {count(row['failures'])} failed" if row["failures"] else ""
    return [
        ("bottleneck", row["bottleneck"] or "—"),
        ("weights", row["weights"] or "—"),
        ("images", f"{count(row['rows'])} recorded{failures}"),
        ("speed", speed),
        ("cell", row["cell_key"][:12]),
    ]


def _plane_sentence(row: Row) -> str:
    if row.get("agreement") is None:
        return "The two planes cannot be compared here."
    return (
        f"Over {row['classes']} classes the directions in the two planes agree at a mean cosine of "
        f"{cosine(row['agreement'])} (permutation {probability('p', row['permutation_p'])}, query images)."
    )


# -- energy ---------------------------------------------------------------------------------------


def _energy_cards(scene: Scene, cell: CellName) -> list[Card]:
    data = energy_map_of(scene, cell)
    if data is None:
        return []
    row, fit = scene.answers.one("energy_maps", cell), scene.answers.one("sombrero", cell)
    size = f"{row['height']}×{row['width']} pixels"
    focus = (
        f"Mean over n = {count(row['n'])} query images, {size}. Circles of confusion: EE50 radius "
        f"{number(fit.get('ee50_radius'))}, EE80 radius {number(fit.get('ee80_radius'))} half images (evenly "
        f"spread light: EE50 {number(UNIFORM_EE50_RADIUS)}); anisotropy {number(fit.get('anisotropy'), 2)}. "
        "The cross is the optical axis, the image centre."
    )
    seen = "Surface: the fit; dots: the mean energy of each pixel, on a stem from the fit, seen through it."
    sources = ("energy_maps", "sombrero")
    return [
        Card("Mean energy map", focus, energy_map(data), sources),
        Card("Sombrero surface", seen, sombrero_surface(data), sources),
    ]


# -- angles ---------------------------------------------------------------------------------------


def _rose_card(scene: Scene, row: Row, plane: str) -> Card | None:
    cell = name_of(row)
    known = {r["label"] for r in scene.answers.of("class_directions", cell, plane=plane)}
    missing = [name for label, name in enumerate(scene.drawn_classes) if label not in known]
    note = f" Without an angle: {', '.join(missing)}." if missing else ""
    bias = scene.answers.one("class_bias", cell, plane=plane, split="query")
    return rose_card(
        scene.answers,
        cell,
        plane,
        f"Angle by class, {PLANES[plane]}",
        f"{SYMBOLS[plane]} over the query images, in degrees; area in proportion to the share of images, "
        "one colour per direction. Line: mean direction, with its 95 % confidence arc where one exists; "
        f"R: resultant length. {_bias_sentence(bias)}{note}{scene.classes_note}",
        "class_bias",
    )


def _bias_sentence(bias: Row) -> str:
    if bias.get("mww_w") is None:
        return "The classes cannot be tested here."
    n, w = count(bias["n"]), number(bias["mww_w"], 5)
    return (
        f"Mardia-Watson-Wheeler over {bias['classes']} classes, n = {n}: W = {w}, {bias['mww_dof']} dof, "
        f"{probability('q', bias['mww_q'])} (BH); effect size {number(bias['effect_size'])}."
    )


def _tests(scene: Scene, cell: CellName) -> Table:
    rows = scene.answers.of("class_bias", cell)
    rows.sort(key=lambda r: (r["split"] != "query", r["plane"] != "image"))
    return Table(
        "Class bias at the bottleneck: k-sample uniform scores test (Mardia-Watson-Wheeler); q after "
        "Benjamini-Hochberg over the whole lake.",
        ("plane", "split", "p from", "n", "classes", "W", "dof", "p", "q", "effect size"),
        texts=3,
        rows=[
            [
                PLANES[r["plane"]],
                r["split"],
                r["p_method"] or "—",
                count(r["n"]),
                count(r["classes"]),
                number(r["mww_w"], 5),
                count(r["mww_dof"]),
                probability("p", r["mww_p"]),
                probability("q", r["mww_q"]),
                number(r["effect_size"]),
            ]
            for r in rows
        ],
        sources=("class_bias", "plane_agreement"),
    )


def _directions(scene: Scene, cell: CellName) -> Table:
    rows = scene.answers.of("class_directions", cell)
    rows.sort(key=lambda r: (r["plane"] != "image", r["label"]))
    return Table(
        "Class directions at the bottleneck, query images, 95 % arcs counter-clockwise from low to high.",
        ("class", "plane", "arc from", "n", "mean direction", "arc low", "arc high", "R", "Rayleigh q"),
        texts=3,
        rows=[
            [
                r["class_name"],
                PLANES[r["plane"]],
                r["ci_method"] or "—",
                count(r["n"]),
                degrees(r["mean_direction_rad"]),
                degrees(r["ci_low_rad"]),
                degrees(r["ci_high_rad"]),
                cosine(r["resultant_length"]),
                probability("q", r["rayleigh_q"]),
            ]
            for r in rows
        ],
        sources=("class_directions",),
        fold="Every class direction with its arc",
    )


# -- memory ---------------------------------------------------------------------------------------


def _memory_card(scene: Scene, cell: CellName) -> Card | None:
    rows = scene.answers.of("memory_report", cell)
    if not rows:
        return None
    rows.sort(key=lambda r: SCHEMES.index(r["scheme"]) if r["scheme"] in SCHEMES else len(SCHEMES))
    first = rows[0]
    bars = [Bar(r["scheme"], r["k"], r["accuracy"], r["ci_low"], r["ci_high"]) for r in rows]
    head = first["head_accuracy"]
    beside = f"own head {percent(head)}" if head is not None else "no own head to compare with"
    best = scene.answers.one("memory_report", cell, scheme="pooled", k=1) or first
    return Card(
        "Memory-based classification",
        f"n = {count(first['n_query'])} query images ask {count(first['n_memory'])} memory images. "
        f"Whiskers: Wilson 95 % confidence. {best['scheme'].capitalize()} 1-NN {percent(best['accuracy'])} "
        f"(macro F1 {number(best['macro_f1'])}); chance {percent(first['chance'])}; {beside}.",
        memory_accuracy(bars, first["chance"], head),
        ("memory_report",),
    )


def _confusion_card(scene: Scene, row: Row) -> Card | None:
    names: list[str] = list(row["class_names"] or [])
    rows = scene.answers.of("memory_confusion", name_of(row))
    if not rows:
        return None
    counts = np.zeros((len(names), len(names)))
    for r in rows:
        counts[r["label"], r["predicted_label"]] = r["n"]
    many = len(names) > MAX_CLASSES
    note = f"{len(names)} classes, numbered by label" if many else "shares below 1 % are not written"
    n = count(int(counts.sum()))
    return Card(
        "Confusion, pooled 1-NN",
        f"n = {n} query images; each row of the picture adds up to 100 %; {note}.",
        confusion(counts, names),
        ("memory_confusion",),
    )
