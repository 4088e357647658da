"""`u1 train`: its options, and the table of what the loss did."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from flows.arguments import CatalogFile, DataDir, Device, Lake_, Report_, catalog_file, err, out, read_catalog
from flows.result_view import print_result
from u1core.common.errors import U1Error

if TYPE_CHECKING:
    from flows.train import TrainOptions


class TrainPrecision(StrEnum):
    """Arithmetic of forward and backward passes."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


class Angles(StrEnum):
    """Where classes get their angles."""

    random = "random"
    equispaced = "equispaced"
    measured = "measured"


class Site(StrEnum):
    """Where the point of the plane is read."""

    head = "head"
    bottleneck = "bottleneck"


class WeightSchedule(StrEnum):
    """How the weight goes over a run."""

    constant = "constant"
    rising = "rising"
    falling = "falling"


def train(
    tasks: Annotated[
        str, typer.Option("--tasks", help="Data sets: ids, globs or references such as folder:PATH.")
    ],
    network: Annotated[
        str,
        typer.Option(
            "--network",
            help="small_cnn:64, cifar_resnet:20, torchvision:NAME, timm:NAME; auto: by the pictures' size.",
        ),
    ] = "auto",
    size: Annotated[
        int | None, typer.Option("--size", min=8, help="Pixels it is shown; its usual ones by default.")
    ] = None,
    arms: Annotated[
        str,
        typer.Option(
            "--arms", help="From onehot, onehot+u1, u1, onehot+shuffled, onehot+plane; commas; all."
        ),
    ] = "all",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Runs of every arm, from seeds 0, 1, ...")] = 5,
    weight: Annotated[
        str, typer.Option("--weight", help="Of the U(1) loss; several, with commas, to choose by validation.")
    ] = "0.3",
    weight_schedule: Annotated[
        WeightSchedule, typer.Option("--weight-schedule", help="Of that weight over a run.")
    ] = WeightSchedule.constant,
    angles: Annotated[
        Angles, typer.Option("--angles", help="Of the classes; measured asks the lake.")
    ] = Angles.random,
    site: Annotated[
        Site, typer.Option("--site", help="Two outputs on the pooled bottleneck, or a fixed plane in it.")
    ] = Site.head,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the training images.")] = 30,
    batch_size: Annotated[int, typer.Option("--batch-size", min=2, help="Images per step.")] = 128,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", min=0, help="Its peak; then a cosine to 0.")
    ] = 0.1,
    weight_decay: Annotated[float, typer.Option("--weight-decay", min=0, help="On every parameter.")] = 5e-4,
    validation: Annotated[
        float, typer.Option("--validation", help="Share of the memory split held out to choose the weight.")
    ] = 0.1,
    limit: Annotated[
        int | None, typer.Option("--limit", min=2, help="Images per split, class-balanced; all by default.")
    ] = None,
    precision: Annotated[
        TrainPrecision, typer.Option("--precision", help="auto: bfloat16 on GPUs that have it, else float32.")
    ] = TrainPrecision.auto,
    device: Device = "auto",
    lake: Lake_ = "lake",
    report: Report_ = Path("report"),
    to: Annotated[
        Path, typer.Option("--to", help="Folder of the trained networks and their catalog.")
    ] = Path("trained"),
    sweep_limit: Annotated[
        int, typer.Option("--sweep-limit", min=0, help="Images per split of their own sweep; 0 for none.")
    ] = 1000,
    catalog: CatalogFile = None,
    data_dir: DataDir = None,
) -> None:
    """Train by one-hot and U(1) labels, compare the arms, sweep what was trained."""
    weights = _numbers(weight)
    read_catalog(catalog).select_datasets(tasks)
    from flows.progress import watch
    from flows.train import TrainOptions
    from flows.train import train as run
    from u1core.training.run import Recipe, choose_precision

    options = TrainOptions(
        tasks=tasks,
        network=network,
        size=size,
        arms=arms,
        seeds=seeds,
        weights=weights,
        recipe=Recipe(
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            precision=choose_precision(precision.value, device),
            limit=limit,
            validation=validation,
            angles=angles.value,
            site=site.value,
            schedule=weight_schedule.value,
        ),
        lake=lake,
        report=report,
        to=to,
        sweep_limit=sweep_limit,
        device=device,
        catalog=catalog_file(catalog),
        data_dir=data_dir,
    )
    with watch(err, "training"):
        result = run(options)
    _print_effects(options)
    print_result(result)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        weights = tuple(dict.fromkeys(float(part) for part in text.split(",")))
    except ValueError as error:
        raise U1Error("--weight to be numbers with commas between", repr(text), "write 0.1,0.3,1") from error
    if not all(0 <= weight < float("inf") for weight in weights):
        raise U1Error("--weight of at least 0", repr(text), "write 0.1,0.3,1")
    return weights


def _print_effects(options: TrainOptions) -> None:
    """Print the paired effects of every arm in the lake."""
    from flows.ask import ask

    query = "select * from training_effect order by task, network, arm = 'onehot' desc, arm"
    rows = ask(options.lake, query).to_pylist()
    table = Table(
        "task", "network", "arm", "lambda", "seeds", "accuracy", "gain (points)", "95 % interval", "p",
        "seeds needed",
        title="Test accuracy, and the gain over the one-hot arm of the same seed", title_justify="left",
    )  # fmt: skip
    for row in rows:
        table.add_row(
            *(escape(row[name]) for name in ("task", "network", "arm")),
            f"{row['u1_weight']:g}",
            str(row["seeds"]),
            f"{100 * row['accuracy_mean']:.2f} %",
            _points(row["difference_mean"]),
            "" if row["ci_low"] is None else f"{_points(row['ci_low'])} to {_points(row['ci_high'])}",
            "" if row["permutation_p"] is None else f"{row['permutation_p']:.3g}",
            "" if row["seeds_needed"] is None else str(row["seeds_needed"]),
        )
    out.print(table)


def _points(share: float | None) -> str:
    return "" if share is None else f"{100 * share:+.2f}"
