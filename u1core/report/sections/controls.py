"""Controls: does theta do what each variant should do to it, and how much is in the pictures already?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from u1core.cells.variants import SEEDED
from u1core.report.blocks import Card, Note, Subject, Table, Value, anchor
from u1core.report.data import CellName, Row
from u1core.report.figures.agreement import Dot, dots
from u1core.report.figures.angles import Turned, turned_directions
from u1core.report.figures.controls import Score, correlations
from u1core.report.sections.agreement import is_significant
from u1core.report.sections.scene import PLANES, Scene
from u1core.report.words import cosine, count, degrees

TEXT = (
    "The same pictures turned, shifted, grey, or seen with other weights, through the same pipeline. "
    "Every image's θ is compared with what the change should do to it (turned with the picture, or left "
    "alone) at the bottleneck, query images. Nothing is expected of random weights, or where a part of the "
    "picture is left."
)
MAX_TURNED = 3
"""Models whose turned class directions are drawn."""
TURNS: dict[str, Callable[[float], float]] = {
    "hflip": lambda theta: math.pi - theta,
    "rot90": lambda theta: theta + math.pi / 2,
    "rot180": lambda theta: theta + math.pi,
    "rot270": lambda theta: theta - math.pi / 2,
}
"""Where a turned picture carries theta."""
VARIANTS = (
    *TURNS, "channel-permuted", "gray", "shift-left", "shift-right", "shift-up", "shift-down", "bfloat16",
    "unit-channels", "reestimated", "pad-reflect", "pad-circular", "pad-circular+roll", "roll",
    "occlude-centre", "occlude-ring", "random-init", *SEEDED, "phase-noise", "white", "constant",
)  # fmt: skip
"""The order of the rows: turned pictures, what should change nothing, another padding, pictures moved or
hidden in part, what has no reason to agree."""


def subject(scene: Scene) -> Subject:
    """Return the section, or its notes where no variant and no `pixels` was run."""
    rows = scene.answers.all("controls", dataset=scene.dataset)
    models = list(dict.fromkeys(row["model"] for row in rows))
    names = [n for n in scene.marks if n.model in models and n.variant == "original"]
    networks = [n for n in names if n in scene.networks]
    composition = _composition(scene)
    notes = []
    if not rows:
        notes.append(Note("No variant was run.", "u1 sweep --variants original,controls,jitter"))
    if not composition:
        notes.append(Note("How much the pictures alone carry is not known here.", "u1 sweep --models pixels"))
    return Subject(
        anchor=anchor(scene.dataset, "controls"),
        title="Controls",
        text=TEXT if rows else "",
        key=scene.key(names),
        cards=[card for card in (_correlations(scene, rows), composition) if card],
        small_cards=[
            card for name in networks[:MAX_TURNED] for v in TURNS if (card := _turned(scene, name, v))
        ],
        tables=[_table(rows)] if rows else [],
        notes=notes,
    )


def _order(row: Row) -> tuple[int, str]:
    known = row["variant"] in VARIANTS
    return (VARIANTS.index(row["variant"]) if known else len(VARIANTS), row["variant"])


def _drawn(row: Row) -> str:
    """Name the line of the picture that shows a variant: seeds of random weights share one."""
    variant = str(row["variant"])
    return f"{variant.rpartition(':')[0]}, by seed" if variant in SEEDED else variant


def _label(row: Row) -> str:
    return _drawn(row) if row["expected"] == "none" else f"{_drawn(row)}  {_expected(row)}"


def _expected(row: Row) -> str:
    """Return the transform in the report's letters, such as 'θ + π/2'."""
    words = row["expected"].replace("theta", "θ").replace("pi", "π").replace("-", "−")
    return "nothing" if words == "none" else str(words)


def _correlations(scene: Scene, rows: list[Row]) -> Card | None:
    if not rows:
        return None
    labels = {_drawn(row): _label(row) for row in sorted(rows, key=_order)}
    scores = [
        Score(
            scene.marks[CellName(scene.dataset, r["model"], "original")],
            _drawn(r),
            r["plane"],
            r["complex_correlation"],
        )
        for r in rows
        if r["complex_correlation"] is not None
    ]
    n = count(max(row["n"] for row in rows))
    return Card(
        "Observed against expected θ",
        "Complex correlation of every image's vector (strength and angle) with the expected one, named at "
        "the left, else with θ: 1 where the expectation is met to the letter, 0 where they are unrelated. "
        f"n = {n} query images at most.",
        correlations(scores, labels, PLANES),
        ("controls",),
    )


def _turned(scene: Scene, name: CellName, variant: str) -> Card | None:
    """Class directions in the image plane: the original's, carried along, against the variant's own."""
    seen = CellName(name.dataset, name.model, variant)
    before, after = (_means(scene, cell) for cell in (name, seen))
    data = [
        Turned(c, TURNS[variant](before[c]), after[c])
        for c in scene.drawn_classes
        if c in before and c in after
    ]
    if not data:
        return None
    return Card(
        f"{name.label}, {variant}",
        "Ring: expected class direction; dot: observed. One class per radius, image plane.",
        turned_directions(data, scene.drawn_classes),
    )


def _means(scene: Scene, name: CellName) -> dict[str, float]:
    rows = scene.answers.of("class_directions", name, plane="image")
    return {r["class_name"]: r["mean_direction_rad"] for r in rows if r["mean_direction_rad"] is not None}


def _table(rows: list[Row]) -> Table:
    """One row per model and variant, both planes side by side."""
    by_cell: dict[tuple[str, str], dict[str, Row]] = {}
    for row in sorted(rows, key=lambda r: (r["model"], *_order(r))):
        by_cell.setdefault((row["model"], row["variant"]), {})[row["plane"]] = row
    return Table(
        "Complex correlation with the expected θ, below it the turn left over; median error per image; "
        "mean cosine of class directions with the expected ones.",
        (
            "model", "variant", "expected", "n",
            *(f"{what}, {plane}" for plane in ("image", "feature")
              for what in ("correlation", "median error", "classes")),
        ),
        texts=3,
        rows=[_row(key, planes) for key, planes in by_cell.items()],
        sources=("controls",),
    )  # fmt: skip


def _row(key: tuple[str, str], planes: dict[str, Row]) -> list[str | Value]:
    first = next(iter(planes.values()))
    values: list[str | Value] = [*key, _expected(first), count(first["n"])]
    for plane in PLANES:
        row = planes.get(plane, {})
        turn = f"turn {degrees(row.get('turn_rad'))}" if row else ""
        values += [
            Value(cosine(row.get("complex_correlation")), turn),
            degrees(row.get("median_error_rad")),
            cosine(row.get("class_agreement")),
        ]
    return values


# -- the pictures alone ---------------------------------------------------------------------------


def _composition(scene: Scene) -> Card | None:
    rows = scene.answers.all("composition", dataset=scene.dataset)
    labels = list(dict.fromkeys(CellName(scene.dataset, r["model"], r["variant"]).label for r in rows))
    found = [dot for row in rows for dot in _composition_dots(row)]
    if not found:
        return None
    kinds = {**PLANES, "images": "image by image"}
    low = min(-0.1, *(dot.value - 0.05 for dot in found))
    return Card(
        "What the pictures alone carry",
        "Agreement of each cell's class directions with those of the pictures' own luminance energy, in "
        "both planes; diamonds: correlation image by image in the image plane. Near 1 or −1 the "
        "directions are in the pictures already (−1: energy sits where the picture is dark). Filled: "
        "two-sided permutation q < 0.05 (BH).",
        dots(found, labels, kinds, "agreement with the pictures (mean cosine)", low=low),
        ("composition",),
    )


def _composition_dots(row: Row) -> Sequence[Dot]:
    label = CellName(row["dataset"], row["model"], row["variant"]).label
    filled = is_significant(row["permutation_q"])
    found = [] if row["agreement"] is None else [Dot(label, row["plane"], row["agreement"], filled)]
    if row["plane"] == "image" and row["image_correlation"] is not None:
        found.append(Dot(label, "images", row["image_correlation"], False))
    return found
