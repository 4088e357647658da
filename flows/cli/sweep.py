"""The commands around a sweep: plan, register, run it, run what failed again, serve it on a schedule."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from flows.cli.arguments import err, out, takes
from flows.options import Drift, Option, Options
from tasks import check_settings

_NOT_PLANNED = ("report", "runner", "dask_address", "cluster", "cluster_options", "cell_timeout", "drift")
_NOT_IN_A_KEY = ("device", "batch_size")
_FROM_THE_LAKE = ("limit", "location_limit", "variants", "memory", "precision")


@takes(Options, but=_NOT_PLANNED)
def plan(options: Options) -> None:
    """Show the cells a sweep would run: to do, done, stale, failed. Runs nothing."""
    options = _completed(options)
    from flows.cli.plan import print_plan
    from flows.request import Request

    print_plan(Request.of(options), out)


@takes(Options, but=(*_NOT_PLANNED, *_NOT_IN_A_KEY))
def preregister(options: Options) -> None:
    """Write down which cells a sweep will run, and the rules it is judged by, before it runs."""
    options = _completed(options)
    from flows.cli.preregister import print_registration
    from flows.request import Request

    print_registration(Request.of(options), out)


@takes(Options)
def sweep(options: Options) -> None:
    """Run the missing cells, then the analyses, the report and the digest."""
    _run(_completed(options))


@takes(Options, but=(*_FROM_THE_LAKE, "drift"))
def retry(
    options: Options,
    models: Annotated[
        str, Option("--models", "Also where these are references; else the failed ones' ids.")
    ] = "",
    datasets: Annotated[
        str, Option("--datasets", "Also where these are references; else the failed ones' ids.")
    ] = "",
) -> None:
    """Run again what failed, as it was asked for then."""
    from flows.cli.retry import failed_sweeps

    asked = failed_sweeps(_completed(options), models, datasets)
    if not asked:
        out.print(f"no failed cell in {options.lake}", highlight=False)
    status = 0
    for group in asked:
        try:
            _run(group)
        except typer.Exit as ended:
            status = ended.exit_code
    raise typer.Exit(status)


@takes(Options)
def serve(
    options: Options,
    cron: Annotated[str | None, Option("--cron", "When, as '0 2 * * *' (2 at night).")] = None,
    every: Annotated[str | None, Option("--every", "How often: 90m, 6h, 1d.")] = None,
    timezone: Annotated[str, Option("--timezone", "Of --cron.")] = "UTC",
    name: Annotated[str, Option("--name", "Of the deployment.")] = "nightly",
    drift: Drift = 0.1,
) -> None:
    """Run this sweep on a schedule, told to a Prefect server, until Ctrl-C."""
    check_settings()
    options = replace(_completed(options), drift=drift)
    from flows.serve import Schedule, serve_sweep

    serve_sweep(options, Schedule.of(cron, every, timezone), name, out)


def _completed(options: Options) -> Options:
    """Refuse unknown names before torch takes seconds to import; add the cluster of the catalog file."""
    from flows.clusters import with_own_cluster
    from u1core.catalog.catalog import load_catalog
    from u1core.networks.references import select_models

    catalog = load_catalog(options.catalog)
    select_models(catalog, options.models)
    catalog.select_datasets(options.datasets)
    return with_own_cluster(options)


def _run(options: Options) -> None:
    check_settings()
    from flows.cli.board import watch
    from flows.cli.result import print_result
    from flows.sweep import sweep as run

    with watch(err):
        result = run(options)
    print_result(result)
