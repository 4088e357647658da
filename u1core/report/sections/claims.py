"""The claims: what is seen, what is more than its cheapest explanation, cell by cell, and the pictures of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from u1core.report.blocks import Badge, Card, Table, Value, anchor
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
from u1core.report.words import number

MAX_BESIDE = 4
"""Cells whose 2 x 2 is drawn in the open; the others are folded."""
MAX_ATTRIBUTED, MAX_NULLS, MAX_STRIPS = 24, 24, 8
"""Cells in all such pictures; rows of one picture."""
MAX_TESTED = 24
"""Cells whose every test is listed."""
SIGNIFICANT = 0.01
CORNERS = ("original", "roll", "pad-circular", "pad-circular+roll")
PARTS = {
    "padding (P)": "padding_part",
    "photographer (G)": "placement_part",
    "interaction": "interaction",
    "floor": "floor",
    "norms alone": "reestimation",
}
FIGURES = {
    1: {"ln centre density": "ln(centre density ratio)"},
    3: {
        "effect, image": "class bias in the image plane (corrected effect)",
        "effect, feature": "class bias in activation space (corrected effect)",
        "joint effect": "joint effect J of both planes, each class left out",
    },
    4: {"bits": "bits of the class that θ tells, held out"},
}
"""The figures that a claim sets against random weights."""


@dataclass(frozen=True)
class ClaimBlock:
    """One claim: its row of the view, the pictures beside it, and those that are folded below what `fold` says."""

    row: Row
    cards: Sequence[Card] = ()
    folded: Sequence[Card] = ()
    fold: str = ""


def blocks(answers: Answers) -> list[ClaimBlock]:
    """Return the five claims, each with its pictures; what has no cell has none."""
    shared, figures = _attributions(answers), _figures(answers)
    found = {
        1: (_strips(answers, figures, 1), ()),
        2: (shared[:MAX_BESIDE], shared[MAX_BESIDE:]),
        3: ((*_nulls(answers, figures), *_strips(answers, figures, 3)), ()),
        4: (_strips(answers, figures, 4), ()),
    }
    return [
        ClaimBlock(row, *found.get(row["claim"], ((), ())), fold="The other networks, claims 1 and 2")
        for row in answers.tables["claims"]
    ]


Figures = Mapping[tuple[str, str], Sequence[Row]]
"""By evidence and figure: what it and its controls come to."""


def _figures(answers: Answers) -> Figures:
    grouped: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in answers.tables["judged_figures"]:
        grouped[row["evidence_key"], row["figure"]].append(row)
    return grouped


# -- claims 1 and 2: padding or photographer --------------------------------------------------------


def _attributions(answers: Answers) -> list[Card]:
    rows = answers.tables["attribution"]
    return [_attribution(answers, row) for row in rows if row["n"]][:MAX_ATTRIBUTED]


def _attribution(answers: Answers, row: Row) -> Card:
    names = [CellName(row["dataset"], row["model"], variant) for variant in CORNERS]
    parts = [Part(name, row[column], row[f"{column}_se"]) for name, column in PARTS.items()]
    broken = " The floor is not 0: this control is broken, its parts say nothing." if row["is_broken"] else ""
    return Card(
        f"Claims 1 and 2: whose is the focus of {row['model']} on {row['dataset']}?",
        "Mean energy at the bottleneck, query images, at mean 1 in one scale, with EE50 and the centre density "
        "ratio. Bars: Shapley parts of ln(density ratio), with 95 % intervals: the padding's P, the "
        "photographer's G; interaction: what circular padding takes off as photographed less what it takes off "
        "rolled; floor: circular and rolled, 0 up to its error where the control works; norms alone: what "
        f"re-estimated batch norms add.{broken}",
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
        "Do the planes agree more than fitting makes them?",
        "Agreement A and joint effect J of the two planes' class directions, the frame fitted without the class "
        "that is asked about. Grey: 5 to 95 % of the null, refitted to permuted classes, and its median; "
        "diamond: what was seen, filled where p < 0.01; circles: the same of random weights, seed by seed. "
        "Random weights that agree as well make agreement no evidence of training: J is judged against them.",
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


def _strips(answers: Answers, figures: Figures, claim: int) -> list[Card]:
    cards = []
    for figure, label in FIGURES[claim].items():
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
    return Card(
        f"Before random weights: {label}",
        "Circles: networks of random weights, one a seed, batch norms re-estimated; dotted: their mean; line B: "
        "what one more of them exceeds once in a hundred times; diamond: the trained network with its 95 % "
        "interval.",
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
        "Cell by cell: is it seen, and is it beyond its controls? The tests with their figures and bounds show "
        "where a badge is pointed at, and in the view claim_tests.",
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
