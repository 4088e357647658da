"""Training: does the U(1) loss improve classification, and does it create the bias the claims measure?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from u1core.report.blocks import Card, Subject, Table, Value, anchor
from u1core.report.data import Answers, CellName, Row
from u1core.report.figures.angles import (
    Direction,
    Series,
    Turned,
    class_directions,
    turned_directions,
)
from u1core.report.figures.canvas import MAX_CLASSES, Mark
from u1core.report.figures.training import Curve, Effect, curves, effects
from u1core.report.sections.agreement import direction
from u1core.report.sections.roses import rose_card
from u1core.report.sections.scene import PLANES, SYMBOLS
from u1core.report.words import count, number, percent, plural
from u1core.training.arms import ARMS


@dataclass(frozen=True)
class Experiment:
    """The current experiment of one task and network."""

    task: str
    network: str
    answers: Answers

    def rows(self, view: str, **where: object) -> list[Row]:
        """Return the rows of a view that belong here."""
        return self.answers.all(view, task=self.task, network=self.network, **where)

    @cached_property
    def arms(self) -> list[str]:
        """The arms that have results, in their order."""
        found = {row["arm"] for row in self.rows("training_effect")}
        return [arm for arm in ARMS if arm in found]

    @cached_property
    def runs(self) -> list[Row]:
        """The runs that count."""
        return self.rows("training_runs", is_current=True, is_chosen=True)

    def mark(self, arm: str) -> Mark:
        """Return how an arm is drawn everywhere."""
        return Mark(arm, list(ARMS).index(arm), is_control=ARMS[arm].is_control)

    def first(self, arm: str) -> Row:
        """Return the arm's run of the smallest seed."""
        return min((run for run in self.runs if run["arm"] == arm), key=lambda run: int(run["seed"]))

    def cell(self, arm: str) -> CellName:
        """Return the sweep's cell of that run's network."""
        return CellName(self.task, self.first(arm)["model"], "original")

    @cached_property
    def class_names(self) -> list[str]:
        """Class names by label, as many as pictures hold."""
        return list(self.runs[0]["class_names"])[:MAX_CLASSES]


def training_subjects(answers: Answers) -> list[Subject]:
    """Return one subject for every task and network that was trained."""
    pairs = dict.fromkeys((row["task"], row["network"]) for row in answers.tables["training_effect"])
    return [_subject(Experiment(task, network, answers)) for task, network in pairs]


def _subject(experiment: Experiment) -> Subject:
    run = experiment.runs[0]
    seeds = max(row["seeds"] for row in experiment.rows("training_effect"))
    return Subject(
        anchor=anchor("training", experiment.task, experiment.network),
        title=f"{experiment.task}, {experiment.network}",
        text=(
            f"{plural(seeds, 'seed')} of every arm, {plural(run['epochs'], 'epoch')} over "
            f"{count(run['images_train'])} images, {count(run['images_validation'])} held out, tested once "
            f"on {count(run['images_test'])}. In one seed all arms share initial weights, order of images "
            f"and augmentation. Angles: {run['angles']}; read from the {run['site']}."
        ),
        key=[experiment.mark(arm) for arm in experiment.arms],
        cards=list(_cards(experiment)),
        small_cards=list(_planned(experiment)),
        tables=[table for table in (_effect_table(experiment), _bias_table(experiment)) if table.rows],
        sources=("training_runs",),
    )


def _cards(experiment: Experiment) -> Iterator[Card]:
    yield from _effect_card(experiment)
    yield from _curve_cards(experiment)
    for plane in PLANES:
        yield from _directions(experiment, plane)
    for arm in experiment.arms:
        yield from _rose_card(experiment, arm)


# -- the effect -----------------------------------------------------------------------------------


def _effect_card(experiment: Experiment) -> Iterator[Card]:
    rows = {row["arm"]: row for row in experiment.rows("training_effect")}
    data = [
        Effect(arm, experiment.mark(arm), mean, _points(rows[arm]["ci_low"]), _points(rows[arm]["ci_high"]))
        for arm in experiment.arms
        if (mean := _points(rows[arm]["difference_mean"])) is not None
    ]
    if data:
        yield Card(
            "Gain over the one-hot arm",
            "Paired difference in test accuracy, mean over seeds with its 95 % t-interval; filled where that "
            "leaves out 0; logarithmic beyond one point where an arm is far off. onehot+shuffled has the "
            "same head with other images' angles, onehot+plane a point off the circle for every class, "
            "onehot+smoothing smooth labels and no head.",
            effects(data, {effect.row: effect.row for effect in data}, "gain in test accuracy (points)"),
            ("training_effect",),
        )


def _points(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _signed(points: float | None) -> str:
    """Write a gain with its sign and two decimals: the test set rarely resolves more."""
    return "—" if points is None else f"{round(points, 2) + 0.0:+.2f}".replace("-", "−")


def _effect_table(experiment: Experiment) -> Table:
    rows = {row["arm"]: row for row in experiment.rows("training_effect")}
    return Table(
        "Test accuracy, and the paired gain over the one-hot arm in points. p: signs flipped, one-sided; with"
        " n seeds it is never below 2⁻ⁿ. Seeds needed: to see half a point with 80 % power.",
        ("arm", "λ", "seeds", "accuracy", "sd", "gain", "95 % interval", "p", "seeds needed"),
        texts=1,
        rows=[_effect_row(rows[arm]) for arm in experiment.arms],
        sources=("training_effect",),
    )


def _effect_row(row: Row) -> list[str | Value]:
    sd, low, high = (_points(row[name]) for name in ("accuracy_sd", "ci_low", "ci_high"))
    return [
        row["arm"],
        f"{row['u1_weight']:g}",
        count(row["seeds"]),
        percent(row["accuracy_mean"]),
        number(sd, 2),
        _signed(_points(row["difference_mean"])),
        "—" if low is None else f"{_signed(low)} to {_signed(high)}",
        number(row["permutation_p"], 2),
        count(row["seeds_needed"]),
    ]


# -- learning -------------------------------------------------------------------------------------


def _curve_cards(experiment: Experiment) -> Iterator[Card]:
    by_arm: dict[str, list[Row]] = {arm: [] for arm in experiment.arms}
    for row in experiment.rows("training_curves"):
        by_arm[row["arm"]].append(row)
    held_out = _curves(experiment, by_arm, "validation_accuracy", "validation_half_width")
    if held_out:
        yield Card(
            "Accuracy on held-out images",
            "Mean over seeds after every epoch, with the 95 % interval of the mean as a band. The range is "
            "that of the later three quarters.",
            curves(held_out, "held-out accuracy", skip=len(held_out[0].values) // 4),
            ("training_curves",),
        )
    losses = _curves(experiment, by_arm, "loss_point")
    if losses:
        yield Card(
            "Loss on points",
            "1 − cos(θ̂ − θ) on training images, before its weight: 0 where every image lies at its angle, 1 "
            "where angles are unrelated; for onehot+plane half the squared distance.",
            curves(losses, "loss on points"),
            ("training_curves",),
        )


def _curves(
    experiment: Experiment, by_arm: dict[str, list[Row]], column: str, band: str | None = None
) -> list[Curve]:
    return [
        Curve(
            experiment.mark(arm),
            [row[column] for row in rows],
            [row[band] or 0.0 for row in rows] if band else (),
        )
        for arm, rows in by_arm.items()
        if any(row[column] is not None for row in rows)
    ]


# -- angles ---------------------------------------------------------------------------------------


def _planned(experiment: Experiment) -> Iterator[Card]:
    """Yield, per arm, where its classes should lie and where they do."""
    for arm in experiment.arms:
        rows = [
            row
            for row in experiment.rows("training_directions", arm=arm)
            if row["seed"] == experiment.first(arm)["seed"]
            and row["planned_angle_rad"] is not None
            and row["measured_angle_rad"] is not None
        ]
        if rows:
            data = [Turned(r["class_name"], r["planned_angle_rad"], r["measured_angle_rad"]) for r in rows]
            length = sum(r["resultant_length"] for r in rows) / len(rows)
            yield Card(
                f"{arm}: planned and measured",
                f"Ring: the class's planned angle; dot: mean θ̂ of its test images. First seed; mean "
                f"resultant length {number(length, 2)}.",
                turned_directions(data, experiment.class_names),
                ("training_directions",),
            )


def _directions(experiment: Experiment, plane: str) -> Iterator[Card]:
    """Yield the class directions of every arm's first network, as the sweep measures them."""
    found: dict[str, Sequence[Direction]] = {
        arm: [
            direction(row)
            for row in experiment.answers.of("class_directions", experiment.cell(arm), plane=plane)
        ]
        for arm in experiment.arms
    }
    series = [Series(experiment.mark(arm), directions) for arm, directions in found.items() if directions]
    if series:
        yield Card(
            f"Class directions, {PLANES[plane]}",
            f"{SYMBOLS[plane]} at the bottleneck of every arm's first network, swept like a pretrained one: "
            "one band per class, query images. These angles are the images' own, not the planned ones.",
            class_directions(series, experiment.class_names),
            ("class_directions",),
        )


def _rose_card(experiment: Experiment, arm: str) -> Iterator[Card]:
    card = rose_card(
        experiment.answers,
        experiment.cell(arm),
        "feature",
        f"Angle by class, {arm}",
        "θ in activation space of the arm's first network, query images; area in proportion to share.",
    )
    if card:
        yield card


def _bias_table(experiment: Experiment) -> Table:
    rows = experiment.rows("training_bias")
    measures = list(dict.fromkeys(row["measure"] for row in rows))
    at = {(row["measure"], row["arm"]): row for row in rows}
    return Table(
        "What the sweep measures at the bottleneck of the trained networks, query images: mean over seeds, "
        "below it the paired difference from the one-hot arm with its 95 % interval.",
        ("measure", *experiment.arms),
        texts=1,
        rows=[
            [measure, *(_bias_value(at.get((measure, arm), {})) for arm in experiment.arms)]
            for measure in measures
        ],
        sources=("training_bias",),
    )


def _bias_value(row: Row) -> Value:
    if not row:
        return Value("—")
    difference, low, high = (row[name] for name in ("difference_mean", "ci_low", "ci_high"))
    small = "" if difference is None else f"{number(difference, 2)}"
    if low is not None:
        small += f" ({number(low, 2)} to {number(high, 2)})"
    return Value(number(row["value_mean"]), small)
