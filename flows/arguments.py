"""Command-line arguments that several commands of `u1` take, and where the commands print."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.terminal import Console

if TYPE_CHECKING:
    from u1core.catalog.catalog import Catalog

# A pipe has no width of its own; 80 columns would cut the tables.
out = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 140, emoji=False)
err = Console(stderr=True, soft_wrap=True, emoji=False)


class Runner(StrEnum):
    """Where the tasks of a sweep run."""

    local = "local"
    dask = "dask"


class Precision(StrEnum):
    """Arithmetic of the forward pass."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Format(StrEnum):
    """How `u1 sql` prints."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


Lake_ = Annotated[
    str, typer.Option("--lake", help="Folder of the lake, or s3://bucket/prefix.", envvar="U1_LAKE")
]
Models = Annotated[
    str,
    typer.Option(
        "--models", help="Ids, globs over them, or references such as 'timm:*resnet*'; commas between."
    ),
]
Datasets = Annotated[
    str,
    typer.Option(
        "--datasets", help="Ids, globs over them, or references such as folder:PATH; commas between."
    ),
]
CatalogFile = Annotated[
    Path | None,
    typer.Option(
        "--catalog",
        help="TOML file with entries of your own; catalog.toml here, if there is one.",
        envvar="U1_CATALOG",
    ),
]
Variants = Annotated[
    str,
    typer.Option(
        "--variants", help="original, controls, jitter, or single ones such as hflip; separated by commas."
    ),
]
LocationLimit = Annotated[
    int,
    typer.Option("--location-limit", min=0, help="Images per split for the location memory; 0 for none."),
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="Images per split, class-balanced; all by default.")
]
ModelsDir = Annotated[
    Path | None, typer.Option("--models-dir", help="Folder of weights files.", envvar="U1_MODELS")
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of datasets already on this machine.", envvar="U1_DATA"),
]
Precision_ = Annotated[Precision, typer.Option("--precision", help="Arithmetic of the forward pass.")]
BatchSize = Annotated[int | None, typer.Option("--batch-size", min=1, help="Images per forward pass.")]
Report_ = Annotated[Path, typer.Option("--report", help="Folder of the report.")]
Runner_ = Annotated[Runner, typer.Option("--runner", help="Threads of this process, or a Dask cluster.")]
DaskAddress = Annotated[
    str | None, typer.Option("--dask-address", help="Scheduler of a running cluster, tcp://host:port.")
]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        help="module:Class of a cluster to start, such as dask_jobqueue:SLURMCluster; "
        "else `class` of \\[cluster] in the catalog file.",
        envvar="U1_CLUSTER",
    ),
]
ClusterOption = Annotated[
    list[str] | None,
    typer.Option("--cluster-option", help="name=value for the cluster's class; repeatable."),
]
CellTimeout = Annotated[
    float | None,
    typer.Option(
        "--cell-timeout", help="Minutes after which a Dask worker still at a step of one cell is killed."
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, ...")]


def catalog_file(named: Path | None) -> Path | None:
    """Return the catalog named, else the one in the working directory, if there is one."""
    from u1core.catalog.catalog import default_catalog

    return named or default_catalog()


def read_catalog(named: Path | None) -> Catalog:
    """Read the built-in catalog and the user's."""
    from u1core.catalog.catalog import load_catalog

    return load_catalog(catalog_file(named))
