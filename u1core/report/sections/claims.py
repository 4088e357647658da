"""The claims cell by cell, and in pictures: what is seen beside what its cheapest explanations give."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from u1core.report.blocks import Badge, Card, Note, Subject, Table, Value, anchor
from u1core.report.data import Answers, CellName, Row
from u1core.report.figures.verdicts import (
    Corner,
    Null,
    Part,
    Strip,
    against_nulls,
    attribution,
    populations,
)
from u1core.report.sections.scene import MAX_SERIES
from u1core.report.words import count, number, plural, plus_minus

MAX_NULLS, MAX_STRIPS = 16, 8
"""Rows of one picture."""
MAX_TESTED = 24
"""Cells whose every test is listed."""
SIGNIFICANT = 0.01
CORNERS = ("original", "roll", "pad-circular", "pad-circular+roll")
PARTS = {
    "padding, P": ("padding_part", 0),
    "photographer, G": ("placement_part", 1),
    "interaction": ("interaction", None),
    "floor": ("floor", None),
    "norms alone": ("reestimation", None),
}
"""Columns of `attribution`, and the colours of what they add up to."""
FOCUS, PLANES, MEMORY = (f"claims-{name}" for name in ("focus", "planes", "memory"))
PLACES = {1: FOCUS, 2: FOCUS, 3: PLANES, 4: MEMORY}
"""Where the pictures of each claim are."""
STRIPS = {
    FOCUS: {"ln centre density": "ln(centre density ratio)"},
    PLANES: {
        "effect, image": "class bias in the image plane (corrected effect)",
        "effect, feature": "class bias in activation space (corrected effect)",
        "joint effect": "joint effect J of both planes",
    },
    MEMORY: {"bits": "bits of the class that θ tells"},
}
"""The figures that are set against random weights."""
RANDOM = (
    "Random weights: dots are networks, one a seed, batch norms re-estimated; dotted: their mean; the "
    "line B: what one more of them exceeds once in a hundred times; diamond: the trained network with its "
    "95 % interval."
)
TEXTS = {
    FOCUS: (
        "Claims 1 and 2: padding, photographer or network?",
        "Mean energy at the bottleneck, query images, at mean 1 and in one scale per network, with EE50 "
        "and the centre density ratio: padding as built and circular, pictures as photographed and rolled "
        "on the torus. Bars: Shapley parts of ln(density ratio) with 95 % intervals: the padding’s P, the "
        "photographer’s G; interaction: what circular padding takes off as photographed, less what it "
        "takes off rolled; floor: circular and rolled, 0 up to its error where the control works; norms "
        f"alone: what re-estimated batch norms add. {RANDOM}",
    ),
    PLANES: (
        "Claim 3: beyond the fit, and beyond random weights?",
        "Agreement A and joint effect J of the two planes’ class directions, the frame fitted without the "
        "class that is asked about. Grey: 5 to 95 % of the null, refitted to permuted classes, and its "
        "median; diamond: what was seen, filled where p < 0.01; dots: the same of random weights. "
        "Where these agree as well, agreement is no evidence of training, and J has to exceed theirs. "
        f"{RANDOM}",
    ),
    MEMORY: ("Claim 4: more than random weights tell?", RANDOM),
}


def subjects(answers: Answers) -> list[Subject]:
    """Return what the controls say of each claim, in pictures; none where no control was run."""
    figures = _figures(answers)
    pictures = {FOCUS: _attributions(answers), PLANES: _nulls(answers, figures), MEMORY: []}
    cards = {place: [*found, *_strips(answers, figures, place)] for place, found in pictures.items()}
    return [
        Subject(place, *TEXTS[place], cards=found, notes=_undrawn(answers) if place == FOCUS else [])
        for place, found in cards.items()
        if found
    ]


Figures = Mapping[tuple[str, str], Sequence[Row]]
"""By evidence and figure: what it and its controls come to."""


def _figures(answers: Answers) -> Figures:
    grouped: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in answers.tables["judged_figures"]:
        grouped[row["evidence_key"], row["figure"]].append(row)
    return grouped


# -- claims 1 and 2: padding or photographer --------------------------------------------------------


def _attributed(answers: Answers) -> list[Row]:
    return [row for row in answers.tables["attribution"] if row["n"]]


def _undrawn(answers: Answers) -> list[Note]:
    rest = len(_attributed(answers)) - MAX_SERIES
    return [Note(f"{rest} more networks are in the view attribution.")] if rest > 0 else []


def _attributions(answers: Answers) -> list[Card]:
    return [_attribution(answers, row) for row in _attributed(answers)[:MAX_SERIES]]


def _attribution(answers: Answers, row: Row) -> Card:
    names = [CellName(row["dataset"], row["model"], variant) for variant in CORNERS]
    parts = [Part(name, row[key], row[f"{key}_se"], index) for name, (key, index) in PARTS.items()]
    shares = (
        f"Of ln(density ratio) {plus_minus(row['focus'], row['focus_se'])} the padding makes "
        f"{plus_minus(row['padding_part'], row['padding_part_se'])}, the photographer "
        f"{plus_minus(row['placement_part'], row['placement_part_se'])}; floor "
        f"{plus_minus(row['floor'], row['floor_se'])}; {count(row['n'])} images."
    )
    broken = " The floor is not 0: this control is broken, its parts say nothing." if row["is_broken"] else ""
    return Card(
        f"{row['model']} on {row['dataset']}",
        shares + broken,
        attribution([_corner(answers.one("energy_maps", name)) for name in names], parts),
        ("attribution", "energy_maps"),
    )


def _corner(row: Row) -> Corner | None:
    if not row:
        return None
    energy = np.array(row["mean_energy"], dtype=float).reshape(row["height"], row["width"])
    return Corner(energy / (energy.mean() or 1.0), row["ee50_radius"], row["centre_density_ratio"])


# -- claim 3: agreement against its null ------------------------------------------------------------


def _nulls(answers: Answers, figures: Figures) -> list[Card]:
    rows = answers.tables["loco"]
    tested = [row for row in rows if row["agreement_p"] is not None and row["is_evidence"]]
    return [_null_card(figures, tested[i : i + MAX_NULLS]) for i in range(0, len(tested), MAX_NULLS)]


def _null_card(figures: Figures, rows: Sequence[Row]) -> Card:
    columns = {"agreement": "agreement A", "joint_effect": "joint effect J"}
    panels = [(label, [_null(figures, row, column) for row in rows]) for column, label in columns.items()]
    return Card(
        "Each class left out",
        "Do the planes agree more than fitting makes them?",
        against_nulls(panels, SIGNIFICANT),
        ("plane_agreement_by_frame", "cell_figures"),
    )


def _null(figures: Figures, row: Row, column: str) -> Null:
    seeds = figures.get((row["cell_key"], column.replace("_", " ")), ())
    return Null(
        _row_name(row),
        row[column],
        row[f"null_{column}_low"],
        row[f"null_{column}_median"],
        row[f"null_{column}_high"],
        row[f"{column}_p"],
        [seed["estimate"] for seed in seeds if seed["variant"].startswith("random-init:")],
    )


def _row_name(row: Row) -> str:
    return f"{row['model']}\n{row['dataset']}"


# -- random weights behind every trained figure -------------------------------------------------------


def _strips(answers: Answers, figures: Figures, place: str) -> list[Card]:
    cards = []
    for figure, label in STRIPS[place].items():
        cells: dict[str, list[Row]] = defaultdict(list)
        for row in answers.all("population", figure=figure):
            cells[row["cell_key"]].append(row)
        drawn = [[_strip(row, figures[key, figure]) for row in rows] for key, rows in cells.items()]
        for i in range(0, len(drawn), MAX_STRIPS):
            cards.append(_strip_card([strip for cell in drawn[i : i + MAX_STRIPS] for strip in cell], label))
    return cards


def _strip(row: Row, figures: Sequence[Row]) -> Strip:
    """Return a trained network before random weights of the same padding."""
    prefix, own = (
        ("pad-circular+random-init:", "pad-circular") if row["padding"] else ("random-init:", "original")
    )
    trained: Row = next((r for r in figures if r["variant"] == own), {})
    return Strip(
        _row_name(row),
        row["padding"],
        trained.get("estimate"),
        trained.get("se"),
        [r["estimate"] for r in figures if r["variant"].startswith(prefix)],
        row["mean"],
        row["bound"],
    )


def _strip_card(data: Sequence[Strip], label: str) -> Card:
    seeds = max(len(strip.random_weights) for strip in data)
    return Card(
        f"Before random weights: {label}",
        f"{plural(seeds, 'seed')} a network.",
        populations(data, label),
        ("population", "cell_figures"),
    )


# -- cell by cell -------------------------------------------------------------------------------------


def by_cell(answers: Answers) -> Table | None:
    """Return the table of every cell's verdicts, claims as columns; None without evidence."""
    rows = answers.tables["claims_by_cell"]
    claims = sorted({row["claim"] for row in rows})
    cells: dict[tuple[str, str], dict[int, Row]] = {}
    for row in rows:
        cells.setdefault((row["dataset"], row["model"]), {})[row["claim"]] = row
    if not cells:
        return None
    shown = {(row["dataset"], row["model"]) for row in answers.cells}
    return Table(
        "Cell by cell: is it seen, and is it beyond its controls? Point at a badge to read every test.",
        ("dataset", "model", *(f"claim {claim}" for claim in claims)),
        texts=2 + len(claims),
        rows=[
            [
                dataset,
                Value(model, href=anchor(dataset, model, "original") if (dataset, model) in shown else ""),
                *(_verdicts(found.get(claim, {})) for claim in claims),
            ]
            for (dataset, model), found in cells.items()
        ],
        sources=("claims_by_cell",),
    )


def _verdicts(row: Row) -> str | Value:
    if not row:
        return "—"
    states = {"seen": row["is_seen"], "beyond": row["is_beyond_controls"]}
    return Value(
        "", badges=tuple(Badge(state, name, row["evidence"] or "") for name, state in states.items())
    )


def every_test(answers: Answers) -> Table | None:
    """Return the folded table of every test of every cell, while these are few."""
    rows = answers.tables["claim_tests"]
    if not rows or len({row["cell_key"] for row in rows}) > MAX_TESTED:
        return None
    return Table(
        "Estimate with one-sided 95 % bounds; the margin is what has to be above 0.",
        ("dataset", "model", "claim", "question", "test", "state", "estimate", "bounds", "margin", "lacks"),
        texts=6,
        rows=[_test(row) for row in rows],
        sources=("claim_tests",),
        fold="Every test of every cell",
    )


def _test(row: Mapping[str, object]) -> list[str | Value]:
    low, high, estimate, margin = (_real(row[k]) for k in ("low", "high", "estimate", "margin"))
    return [
        str(row["dataset"]),
        str(row["model"]),
        str(row["claim"]),
        str(row["question"]),
        str(row["test"]),
        Value("", badges=(Badge(str(row["state"])),)),
        number(estimate),
        "—" if low is None else f"{number(low)} to {number(high)}",
        number(margin),
        str(row["lacks"] or ""),
    ]


def _real(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
