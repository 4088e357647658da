"""Uncertainty of theta: how far does an image's angle move when nothing that matters changes?"""

from __future__ import annotations

import math

from u1core.report.blocks import Card, Note, Subject, Table, anchor
from u1core.report.data import CellName
from u1core.report.figures.uncertainty import Spread, sd_histogram
from u1core.report.sections.scene import PLANES, Scene
from u1core.report.words import count, degrees, percent


def subject(scene: Scene) -> Subject:
    """Return the section; without jitter only the share of weak angles is known."""
    names = [n for n in scene.networks if scene.answers.of("theta_summary", n)]
    notes = []
    if not names:
        command = "u1 sweep --variants original,hflip,jitter"
        notes.append(Note("θ's uncertainty needs three readings of each image.", command))
    return Subject(
        anchor=anchor(scene.dataset, "uncertainty"),
        title="Uncertainty of θ",
        text=(
            "Each image's θ is read again from its mirrored picture (the mirror undone), from pictures "
            "shifted by a pixel and in bfloat16; the circular standard deviation of the readings is its "
            "uncertainty. An angle is weak where its strength is below a tenth of the usual one: flagged, "
            "never dropped."
        ),
        key=scene.key(names),
        cards=[card for plane in PLANES if (card := _card(scene, names, plane))],
        tables=[_table(scene)],
        notes=notes,
        sources=("theta_uncertainty",),
    )


def _card(scene: Scene, names: list[CellName], plane: str) -> Card | None:
    data = []
    for name in names:
        summary = scene.answers.one("theta_summary", name, plane=plane)
        if summary:
            bins = scene.answers.of("theta_spread", name, plane=plane)
            edges = [*(row["sd_low_rad"] for row in bins), bins[-1]["sd_high_rad"]]
            counts = [row["n"] for row in bins]
            median = math.degrees(summary["median_sd_rad"])
            data.append(Spread(scene.marks[name], counts, [math.degrees(edge) for edge in edges], median))
    if not data:
        return None
    return Card(
        f"Standard deviation of θ, {PLANES[plane]}",
        "Share of the query images; markers above: medians.",
        sd_histogram(data),
        ("theta_spread", "theta_summary"),
    )


def _table(scene: Scene) -> Table:
    rows = []
    for name in scene.compared:
        for plane in PLANES:
            summary = scene.answers.one("theta_summary", name, plane=plane)
            weak = scene.answers.one("weak_angles", name, plane=plane)
            if summary or weak.get("weak_share") is not None:
                rows.append(
                    [
                        name.label,
                        PLANES[plane],
                        count(summary.get("readings")),
                        degrees(summary.get("median_sd_rad")),
                        degrees(summary.get("upper_sd_rad")),
                        percent(weak.get("weak_share")),
                        count(weak.get("n")),
                    ]
                )
    return Table(
        "Standard deviation of an image's θ over its readings, and the share of weak angles; query images.",
        ("model", "plane", "readings", "median sd", "90 % below", "weak angles", "n"),
        texts=2,
        rows=rows,
        sources=("theta_summary", "weak_angles"),
    )
