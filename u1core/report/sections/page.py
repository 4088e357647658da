"""The page: its datasets in order, each with its subjects and its cells, and all of them at a glance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from u1core.report.blocks import Subject, Table, Value, anchor
from u1core.report.data import Answers, CellName, name_of
from u1core.report.sections import agreement, axis, controls, location, sombrero, uncertainty
from u1core.report.sections.cell import CellSection, cell_section
from u1core.report.sections.scene import MAX_DRAWN_CELLS, Scene
from u1core.report.words import count, number, percent, plural, plus_minus, probability

SUBJECTS: tuple[Callable[[Scene], Subject | None], ...] = (
    axis.subject,
    sombrero.subject,
    agreement.subject,
    controls.subject,
    location.subject,
    uncertainty.subject,
)


@dataclass(frozen=True)
class DatasetSection:
    """One dataset: what is compared over its cells, then its models."""

    anchor: str
    dataset: str
    facts: str
    subjects: list[Subject]
    cells: list[CellSection] = field(default_factory=list)


def dataset_sections(answers: Answers, notify: Callable[[str], None]) -> list[DatasetSection]:
    """Return the sections of every dataset that has a current cell."""
    sections = []
    drawn = 0
    for scene in scenes(answers):
        notify(f"drawing {scene.dataset}")
        subjects = [found for build in SUBJECTS if (found := build(scene))]
        section = DatasetSection(anchor(scene.dataset), scene.dataset, _facts(scene), subjects)
        for row in scene.shown:
            notify(f"drawing {name_of(row).label} on {scene.dataset}")
            section.cells.append(cell_section(scene, row, draw=drawn < MAX_DRAWN_CELLS))
            drawn += 1
        sections.append(section)
    return sections


def scenes(answers: Answers) -> list[Scene]:
    """Return every dataset that has a current cell."""
    return [Scene(dataset, answers) for dataset in dict.fromkeys(row["dataset"] for row in answers.cells)]


def _facts(scene: Scene) -> str:
    most = max(scene.cells, key=lambda row: row["rows"] or 0)
    limit = (
        "" if most["image_limit"] is None else f", limited to {count(most['image_limit'])} images per split"
    )
    images = f"{count(most['images_memory'])} memory and {count(most['images_query'])} query images{limit}"
    classes, models = len(most["class_names"] or []), len(scene.shown)
    cells = f"{plural(models, 'model')} in {plural(len(scene.cells), 'cell')}"
    return f"{plural(classes, 'class', 'es')}; {images}; {cells}."


def glance(answers: Answers) -> Table:
    """Return the table of every shown cell, and of those with random weights, at the bottleneck."""
    return Table(
        "Every model at its bottleneck, query images. Effect: size of the class bias, with its q; trough: "
        "± standard error; radii in half images. Other variants are in the sections on controls.",
        (
            "dataset", "model", "n", "EE50", "Sombrero R²", "trough", "effect, image", "effect, feature",
            "pooled 1-NN", "chance", "own head",
        ),
        texts=2,
        rows=[_glance_row(scene, name) for scene in scenes(answers) for name in scene.compared],
        sources=("sombrero", "class_bias", "memory_report"),
    )  # fmt: skip


def _glance_row(scene: Scene, cell: CellName) -> list[str | Value]:
    bias = [scene.answers.one("class_bias", cell, plane=p, split="query") for p in ("image", "feature")]
    memory = scene.answers.one("memory_report", cell, scheme="pooled", k=1)
    fit = scene.answers.one("sombrero", cell)
    is_shown = cell in {name_of(row) for row in scene.shown}
    return [
        scene.dataset,
        Value(cell.label, href=anchor(*cell) if is_shown else ""),
        count(memory.get("n_query", fit.get("n"))),
        number(fit.get("ee50_radius"), 2),
        number(fit.get("r_squared"), 2),
        Value(plus_minus(fit.get("trough_radius"), fit.get("trough_radius_se")), fit.get("shape") or ""),
        *(
            Value(number(b.get("effect_size"), 2), probability("q", b.get("mww_q")) if b else "")
            for b in bias
        ),
        *(percent(memory.get(k)) for k in ("accuracy", "chance", "head_accuracy")),
    ]
