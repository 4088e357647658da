"""`u1 train`: its command, and the table of what the loss did."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from flows.cli.arguments import err, out, takes
from flows.options import TrainOptions
from tasks import check_settings


@takes(TrainOptions)
def train(options: TrainOptions) -> None:
    """Train by one-hot and U(1) labels, compare the arms, sweep what was trained."""
    from u1core.catalog.catalog import load_catalog

    # Unknown names are refused before torch takes seconds to import.
    load_catalog(options.catalog).select_datasets(options.tasks)
    check_settings()
    from flows.cli.board import watch
    from flows.cli.result import print_result
    from flows.train import train as run

    with watch(err, "training"):
        result = run(options)
    _print_effects(options)
    print_result(result)


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
