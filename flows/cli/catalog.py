"""`u1 catalog list`, `show`, `add` and `check`.

Heavy imports happen inside the commands: `--help` needs no catalog, a list no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.arguments import err, out
from flows.options import CatalogFile, DataDir, ModelsDir

app = typer.Typer(help="The sweep catalog: models and datasets.", no_args_is_help=True)


@app.command("list")
def list_entries(
    pattern: Annotated[
        str, typer.Argument(help="Ids or globs; or a reference such as 'timm:*resnet*'.")
    ] = "*",
    labels: Annotated[str, typer.Option("--labels", help="Only this label space, or glob.")] = "*",
    source: Annotated[
        str, typer.Option("--source", help="Only models from timm, torchvision, ..., or datasets of a kind.")
    ] = "*",
    here: Annotated[
        bool, typer.Option("--here", help="Only models whose weights are on this machine.")
    ] = False,
    catalog: CatalogFile = None,
    models_dir: ModelsDir = None,
) -> None:
    """List the models and datasets, or what a source has."""
    from flows.cli.catalog_view import Filter, print_list
    from u1core.catalog.catalog import load_catalog

    print_list(load_catalog(catalog), Filter(pattern, labels, source, here, models_dir), out)


@app.command()
def show(
    entry: Annotated[str, typer.Argument(help="Id or reference of a model or dataset.")],
    catalog: CatalogFile = None,
) -> None:
    """Show one entry: weights, preprocessing and the optical path, or sources, classes and fingerprint."""
    from flows.cli.catalog_view import print_entry
    from u1core.catalog.catalog import load_catalog

    print_entry(load_catalog(catalog), entry, out)


@app.command()
def add(
    reference: Annotated[
        str,
        typer.Argument(
            help="timm:NAME\\[.TAG], torchvision:NAME\\[@WEIGHTS], code:MODULE:FUNCTION; "
            "folder:PATH, parquet:GLOB, csv:FILE, torchvision:CLASS."
        ),
    ],
    name: Annotated[
        str | None, typer.Option("--id", help="Id of the entry; made from the reference else.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option("--weights", help="none (random), file:PATH, package:NAME; the source's own else."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option("--labels", help="What the head predicts, or the label space.")
    ] = None,
    preprocessing: Annotated[
        str | None,
        typer.Option("--preprocessing", help="Id or reference of a model: prepare pictures as for it."),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option("--size", min=1, help="Side in px at which pictures are kept; 256 or their own else."),
    ] = None,
    catalog: CatalogFile = None,
    models_dir: ModelsDir = None,
    data_dir: DataDir = None,
) -> None:
    """Add a model or a dataset to your catalog: looked at, run once, written down."""
    from flows.cli.catalog_add import Addition, add_entry

    addition = Addition(reference, name, weights, labels, preprocessing, size, models_dir, data_dir)
    add_entry(addition, catalog or Path("catalog.toml"), out, err)


@app.command()
def check(
    pattern: Annotated[str, typer.Argument(help="Ids, globs or references.")] = "*",
    datasets: Annotated[
        bool, typer.Option("--datasets", help="Datasets, every image decoded; models else.")
    ] = False,
    untrained: Annotated[
        bool, typer.Option("--no-weights", help="Models with random weights, which need no file.")
    ] = False,
    catalog: CatalogFile = None,
    models_dir: ModelsDir = None,
    data_dir: DataDir = None,
) -> None:
    """Prove entries again: weights, layers, one batch, what changed upstream; or every image of a dataset."""
    from u1core.catalog.catalog import load_catalog
    from u1core.networks.references import select_models

    entries = load_catalog(catalog)
    chosen_datasets = entries.select_datasets(pattern) if datasets else []
    chosen_models = [] if datasets else select_models(entries, pattern)
    from flows.cli.catalog_check import check_datasets, check_models

    if datasets:
        faults = check_datasets(chosen_datasets, data_dir, out, err)
    else:
        faults = check_models(chosen_models, models_dir, not untrained, out, err)
    if faults:
        err.print(f"u1: {len(faults)} at fault: {', '.join(faults)}", highlight=False, markup=False)
        raise typer.Exit(1)
