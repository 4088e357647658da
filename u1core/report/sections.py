"""The report's contents: which picture stands where, and the sentence beside it with its n and its test."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from u1core.report import figures
from u1core.report.data import SECTORS, Answers, CellName, Row, name_of

MAX_OPEN_CELLS = 24
"""Beyond this many cells their sections are folded."""
MAX_DRAWN_CELLS = 120
"""Beyond this many cells a section keeps its numbers but has no pictures: the file stays readable."""
MAX_SERIES = 12
"""Models in one picture of class directions."""
PLANES = {"image": "image plane", "feature": "activation space"}
SYMBOLS = {"image": "θ in the image plane", "feature": "θ in activation space"}
SCHEMES = ("pooled", "chroma", "energy", "theta", "location")


@dataclass(frozen=True)
class Card:
    """A picture with its caption and the SQL files its numbers come from."""

    title: str
    caption: str
    sources: tuple[str, ...]
    picture: figures.Picture | None


@dataclass(frozen=True)
class CellSection:
    """One model on one dataset."""

    anchor: str
    name: CellName
    facts: list[tuple[str, str]]
    cards: list[Card]
    tests: list[dict[str, str]]
    planes: str
    summary: dict[str, str]


@dataclass(frozen=True)
class DatasetSection:
    """One dataset: what holds over its models, then its models."""

    anchor: str
    dataset: str
    facts: str
    cards: list[Card]
    agreement: list[dict[str, str]]
    cells: list[CellSection] = field(default_factory=list)


# -- numbers --------------------------------------------------------------------------------------


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | None, digits: int = 3) -> str:
    """Write a number with so many significant digits; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "—"
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa} × 10{str(int(exponent)).translate(_RAISED)}".replace("-", "−")
    places = max(0, digits - 1 - (math.floor(math.log10(abs(value))) if value else 0))
    return f"{value:.{places}f}".replace("-", "−")


def probability(name: str, value: float | None) -> str:
    """Write 'p = 0.012'; a value too small for a double is bounded, never called zero."""
    if value is None:
        return f"{name} —"
    return f"{name} < 10⁻³⁰⁰" if value < 1e-300 else f"{name} = {number(value, 2)}"


def percent(value: float | None) -> str:
    """Write a share in per cent."""
    return "—" if value is None else f"{100 * value:.1f} %"


def cosine(value: float | None) -> str:
    """Write a mean cosine with two decimals."""
    return "—" if value is None else f"{value:.2f}".replace("-", "−")


def count(value: int | None) -> str:
    """Write a count with thin spaces between thousands."""
    return "—" if value is None else f"{value:,}".replace(",", "\u202f")


# -- datasets -------------------------------------------------------------------------------------


def dataset_sections(answers: Answers, notify: Callable[[str], None]) -> list[DatasetSection]:
    """Return the sections of every dataset that has a current cell."""
    sections = []
    names = [name_of(row) for row in answers.cells]
    for dataset in dict.fromkeys(name.dataset for name in names):
        notify(f"drawing {dataset}")
        cells = [row for row in answers.cells if row["dataset"] == dataset]
        section = DatasetSection(
            anchor=_anchor(dataset),
            dataset=dataset,
            facts=_dataset_facts(cells),
            cards=[_directions_card(answers, cells, plane) for plane in PLANES],
            agreement=_agreement(answers, dataset),
        )
        for row in cells:
            notify(f"drawing {name_of(row).label} on {dataset}")
            section.cells.append(
                _cell_section(answers, row, draw=names.index(name_of(row)) < MAX_DRAWN_CELLS)
            )
        sections.append(section)
    return sections


def _anchor(*parts: str) -> str:
    return "-".join("".join(c if c.isalnum() else "_" for c in part) for part in parts)


def _dataset_facts(cells: Sequence[Row]) -> str:
    most = max(cells, key=lambda row: row["rows"] or 0)
    classes = len(most["class_names"] or [])
    limit = (
        "" if most["image_limit"] is None else f", limited to {count(most['image_limit'])} images per split"
    )
    images = f"{count(most['images_memory'])} memory and {count(most['images_query'])} query images{limit}"
    return f"{_plural(classes, 'class', 'es')}; {images}; {_plural(len(cells), 'model cell')}."


def _plural(n: int, noun: str, ending: str = "s") -> str:
    return f"{n} {noun}{ending if n != 1 else ''}"


def _class_order(cells: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in cells for name in row["class_names"] or []))


def _shown(classes: Sequence[str]) -> tuple[list[str], str]:
    """Return the classes that are drawn, and the note about the rest."""
    rest = len(classes) - figures.MAX_CLASSES
    note = (
        f" The first {figures.MAX_CLASSES} classes by label; {rest} more are in the view." if rest > 0 else ""
    )
    return list(classes[: figures.MAX_CLASSES]), note


def _direction(row: Row) -> figures.Direction:
    return figures.Direction(
        row["class_name"], row["mean_direction_rad"], row["ci_low_rad"], row["ci_high_rad"]
    )


def _directions_card(answers: Answers, cells: Sequence[Row], plane: str) -> Card:
    classes, note = _shown(_class_order(cells))
    names = [name_of(row) for row in cells]
    drawn = names[:MAX_SERIES]
    series = [
        figures.Series(
            name.label,
            name.model,
            name.variant != "original",
            [_direction(r) for r in answers.of("class_directions", name, plane=plane)],
        )
        for name in drawn
    ]
    if len(names) > len(drawn):
        note += f" The first {len(drawn)} of {len(names)} cells."
    found = any(d.mean is not None for one in series for d in one.directions)
    return Card(
        title=f"Class directions across models, {PLANES[plane]}",
        caption=(
            f"Mean direction of {SYMBOLS[plane]} over the query images of each class at the bottleneck, in "
            "degrees counter-clockwise from the image's x axis: one band per class, one marker per model "
            f"(hollow: a control), the line along the band is its 95 % confidence arc.{note}"
        ),
        sources=("class_directions",),
        picture=figures.class_directions(series, classes) if found else None,
    )


def _agreement(answers: Answers, dataset: str) -> list[dict[str, str]]:
    """One row per pair of models and split, both planes side by side."""
    pairs: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in answers.tables["model_agreement"]:
        if row["dataset"] != dataset:
            continue
        a, b = (CellName(dataset, row[f"model_{s}"], row[f"variant_{s}"]).label for s in "ab")
        pair = pairs.setdefault((a, b, row["split"]), {"a": a, "b": b, "split": row["split"]})
        pair[row["plane"]] = cosine(row["agreement"])
        pair[f"{row['plane']}_p"] = probability("p", row["permutation_p"])
    return list(pairs.values())


# -- cells ----------------------------------------------------------------------------------------


def _cell_section(answers: Answers, row: Row, *, draw: bool) -> CellSection:
    cell = name_of(row)
    cards: list[Card] = []
    if draw:
        cards = [
            *_energy_cards(answers, cell),
            *(_rose_card(answers, row, plane) for plane in PLANES),
            _memory_card(answers, cell),
            _confusion_card(answers, row),
            _concentration_card(answers, row),
        ]
    return CellSection(
        anchor=_anchor(*cell),
        name=cell,
        facts=_cell_facts(row),
        cards=cards,
        tests=[_test(r) for r in _bottleneck_tests(answers, row)],
        planes=_plane_sentence(answers.one("plane_agreement", cell, split="query")),
        summary=_summary(answers, row),
    )


def _cell_facts(row: Row) -> list[tuple[str, str]]:
    speed = f"{number(row['images_per_second'])} images/s on {row['device']}, {row['precision']}"
    failures = f", {count(row['failures'])} failed" if row["failures"] else ""
    return [
        ("bottleneck", row["bottleneck"] or "—"),
        ("weights", row["weights"] or "—"),
        ("images", f"{count(row['rows'])} recorded{failures}"),
        ("speed", speed),
        ("cell", row["cell_key"][:12]),
    ]


def _bottleneck_tests(answers: Answers, row: Row) -> list[Row]:
    rows = answers.of("class_bias", name_of(row))
    return sorted(rows, key=lambda r: (r["split"] != "query", r["plane"] != "image"))


def _plane_sentence(row: Row) -> str:
    if row.get("agreement") is None:
        return "The two planes cannot be compared here."
    return (
        f"Over {row['classes']} classes the directions in the two planes agree at a mean cosine of "
        f"{cosine(row['agreement'])} (permutation {probability('p', row['permutation_p'])}, query images)."
    )


def _test(row: Row) -> dict[str, str]:
    return {
        "plane": PLANES.get(row["plane"], row["plane"]),
        "split": row["split"],
        "n": count(row["n"]),
        "classes": count(row["classes"]),
        "w": number(row["mww_w"], 5),
        "dof": count(row["mww_dof"]),
        "p": probability("p", row["mww_p"]),
        "q": probability("q", row["mww_q"]),
        "effect": number(row["effect_size"]),
    }


def _summary(answers: Answers, row: Row) -> dict[str, str]:
    """One line of the table at a glance: the query split at the bottleneck."""
    cell = name_of(row)
    bias = {p: answers.one("class_bias", cell, plane=p, split="query") for p in PLANES}
    memory = answers.one("memory_report", cell, scheme="pooled", k=1)
    fit = answers.one("sombrero", cell)
    return {
        "model": cell.label,
        "n": count(memory.get("n_query", row["images_query"])),
        "ee50": number(fit.get("ee50_radius"), 2),
        "r_squared": number(fit.get("r_squared"), 2),
        "trough": number(fit.get("trough_radius"), 2),
        "image": number(bias["image"].get("effect_size"), 2),
        "image_q": probability("q", bias["image"].get("mww_q")),
        "feature": number(bias["feature"].get("effect_size"), 2),
        "feature_q": probability("q", bias["feature"].get("mww_q")),
        "pooled": percent(memory.get("accuracy")),
        "chance": percent(memory.get("chance")),
        "head": percent(memory.get("head_accuracy")),
    }


def _energy_cards(answers: Answers, cell: CellName) -> list[Card]:
    row, fit = answers.one("energy_maps", cell), answers.one("sombrero", cell)
    data = _energy_map(row) if row else None
    n = f"Mean over n = {count(row.get('n'))} query images, {row.get('height')}×{row.get('width')} pixels. "
    light = number(figures.UNIFORM_EE50_RADIUS)
    focus = (
        f"Circles of confusion: EE50 radius {number(fit.get('ee50_radius'))}, EE80 radius "
        f"{number(fit.get('ee80_radius'))} half images (evenly spread light: EE50 {light}); anisotropy "
        f"{number(fit.get('anisotropy'), 2)}. The cross is the optical axis, the image centre."
    )
    seen = "Surface: the fit; dots: the mean energy of each pixel, on a stem from the fit, seen through it. "
    views = ("energy_maps", "sombrero")
    return [
        Card("Mean energy map", n + focus, views, figures.energy_map(data) if data else None),
        Card("Sombrero surface", seen + _fit(fit), views, figures.sombrero_surface(data) if data else None),
        Card("Radial profile", n + _fit(fit), views, figures.radial_profile(data) if data else None),
    ]


def _fit(fit: Row) -> str:
    if fit.get("a") is None:
        return "No Sombrero could be fitted."
    a, b, c = (number(fit[k]) for k in "abc")
    trough = fit["trough_radius"]
    where = "no trough: b or c is not positive"
    if trough is not None:
        where = f"trough at r = {number(trough)} half images" + (", outside the image" if trough > 1 else "")
    formula = f"E(r) = a − b r² + c r⁴, a = {a}, b = {b}, c = {c}"
    return f"{formula}; R² = {number(fit['r_squared'])}; {where}; shape: {fit['shape'] or 'none'}."


def _energy_map(row: Row) -> figures.EnergyMap:
    a, b, c = (row[f"sombrero_{k}"] for k in "abc")
    return figures.EnergyMap(
        energy=np.array(row["mean_energy"], dtype=float).reshape(row["height"], row["width"]),
        ee50_radius=row["ee50_radius"],
        ee80_radius=row["ee80_radius"],
        radius=row["radius"],
        radial_energy=row["radial_energy"],
        coefficients=None if a is None or b is None or c is None else (a, b, c),
        trough_radius=row["trough_radius"],
    )


def _rose_card(answers: Answers, row: Row, plane: str) -> Card:
    cell = name_of(row)
    classes, note = _shown(row["class_names"] or [])
    known = {r["label"]: r for r in answers.of("class_directions", cell, plane=plane)}
    counts = {label: [0] * SECTORS for label in known}
    for r in answers.of("sectors", cell, plane=plane):
        counts[r["label"]][r["sector"]] = r["n"]
    drawn = [
        figures.Rose(_direction(r), counts[label], r["n"], r["resultant_length"])
        for label, r in sorted(known.items())
        if label < len(classes)
    ]
    missing = [name for label, name in enumerate(classes) if label not in known]
    if missing:
        note += f" Without an angle: {', '.join(missing)}."
    bias = answers.one("class_bias", cell, plane=plane, split="query")
    return Card(
        title=f"Angle by class, {PLANES[plane]}",
        caption=(
            f"{SYMBOLS[plane]} over the query images, in degrees; area in proportion to the share of images, "
            "one colour per direction. Line: mean direction, with its 95 % confidence arc where one exists; "
            f"R: resultant length. {_bias_sentence(bias)}{note}"
        ),
        sources=("plane_angles", "class_directions", "class_bias"),
        picture=figures.roses(drawn) if drawn else None,
    )


def _bias_sentence(bias: Row) -> str:
    if bias.get("mww_w") is None:
        return "The classes cannot be tested here."
    n, w = count(bias["n"]), number(bias["mww_w"], 5)
    return (
        f"Mardia-Watson-Wheeler over {bias['classes']} classes, n = {n}: W = {w}, {bias['mww_dof']} dof, "
        f"{probability('q', bias['mww_q'])} (BH); effect size {number(bias['effect_size'])}."
    )


def _memory_card(answers: Answers, cell: CellName) -> Card:
    rows = answers.of("memory_report", cell)
    rows.sort(key=lambda r: SCHEMES.index(r["scheme"]) if r["scheme"] in SCHEMES else len(SCHEMES))
    first: Row = rows[0] if rows else {}
    bars = [figures.Bar(r["scheme"], r["k"], r["accuracy"], r["ci_low"], r["ci_high"]) for r in rows]
    head = first.get("head_accuracy")
    beside = f"own head {percent(head)}" if head is not None else "no own head to compare with"
    best = answers.one("memory_report", cell, scheme="pooled", k=1)
    asked, stored = count(first.get("n_query")), count(first.get("n_memory"))
    return Card(
        "Memory-based classification",
        f"n = {asked} query images ask {stored} memory images, untrained. Whiskers: Wilson 95 % confidence. "
        f"Pooled 1-NN {percent(best.get('accuracy'))} "
        f"(macro F1 {number(best.get('macro_f1'))}); chance {percent(first.get('chance'))}; {beside}.",
        ("memory_report",),
        figures.memory_accuracy(bars, first.get("chance"), head) if bars else None,
    )


def _confusion_card(answers: Answers, row: Row) -> Card:
    names: list[str] = list(row["class_names"] or [])
    rows = answers.of("memory_confusion", name_of(row))
    counts = np.zeros((len(names), len(names)))
    for r in rows:
        counts[r["label"], r["predicted_label"]] = r["n"]
    many = len(names) > figures.MAX_CLASSES
    note = f"{len(names)} classes, numbered by label" if many else "shares below 1 % are not written"
    n = count(int(counts.sum()))
    return Card(
        "Confusion, pooled 1-NN",
        f"n = {n} query images; each row of the picture adds up to 100 %; {note}.",
        ("memory_confusion",),
        figures.confusion(counts, names) if rows else None,
    )


def _concentration_card(answers: Answers, row: Row) -> Card:
    layers = answers.of("concentration_by_layer", name_of(row))
    names = ", ".join(r["layer"] for r in layers)
    n = count(max((r["n"] for r in layers), default=None))
    return Card(
        "Concentration along the layers",
        f"Layers in order of execution: {names}. Medians over n = {n} query images; dotted: EE50 of evenly "
        "spread light. Last panel: effect size of the Mardia-Watson-Wheeler test in both planes.",
        ("concentration_by_layer",),
        figures.concentration([_depth(r) for r in layers]) if layers else None,
    )


def _depth(row: Row) -> figures.Depth:
    return figures.Depth(
        height=row["height"],
        width=row["width"],
        ee50_radius=row["ee50_radius"],
        ee80_radius=row["ee80_radius"],
        anisotropy=row["anisotropy"],
        polar_angle_rad=row["polar_angle_rad"],
        effect_image=row["class_bias_image"],
        effect_feature=row["class_bias_feature"],
    )
