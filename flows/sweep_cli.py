"""The commands around a sweep: plan it, run it, run what failed again, serve it on a schedule."""

# No postponed annotations here: the commands' signatures are put together from these.
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.arguments import err, out
from flows.result_view import print_result
from flows.sweep_options import takes_options

if TYPE_CHECKING:
    from flows.request import Options

_NOT_PLANNED = ("report", "runner", "dask_address", "cluster", "cluster_option", "cell_timeout")
_FROM_THE_LAKE = ("models", "datasets", "limit", "location_limit", "variants", "precision")

Drift = Annotated[
    float | None,
    typer.Option("--drift", min=0, help="End with status 1 if a figure moved by more than this; see docs."),
]


@takes_options(but=_NOT_PLANNED)
def plan(options: Any) -> None:  # noqa: ANN401 (Options: importing them takes seconds)
    """Show the cells a sweep would run: to do, done, stale, failed. Runs nothing."""
    from flows.plan import print_plan
    from flows.request import Request

    print_plan(Request.of(options), out)


@takes_options()
def sweep(options: Any, drift: Drift = None) -> None:  # noqa: ANN401
    """Run the missing cells, then the analyses, the report and the digest."""
    _run(replace(options, drift=drift))


@takes_options(but=_FROM_THE_LAKE)
def retry(
    options: Any,  # noqa: ANN401
    models: Annotated[
        str, typer.Option("--models", help="Also where these are references; else the failed ones' ids.")
    ] = "",
    datasets: Annotated[
        str, typer.Option("--datasets", help="Also where these are references; else the failed ones' ids.")
    ] = "",
) -> None:
    """Run again what failed, as it was asked for then."""
    from flows.upkeep import failed_sweeps

    asked = failed_sweeps(options, models, datasets)
    if not asked:
        out.print(f"no failed cell in {options.lake}", highlight=False)
    status = 0
    for group in asked:
        try:
            _run(group)
        except typer.Exit as ended:
            status = ended.exit_code
    raise typer.Exit(status)


@takes_options()
def serve(
    options: Any,  # noqa: ANN401
    cron: Annotated[str | None, typer.Option("--cron", help="When, as '0 2 * * *' (2 at night).")] = None,
    every: Annotated[str | None, typer.Option("--every", help="How often: 90m, 6h, 1d.")] = None,
    timezone: Annotated[str, typer.Option("--timezone", help="Of --cron.")] = "UTC",
    name: Annotated[str, typer.Option("--name", help="Of the deployment.")] = "nightly",
    drift: Drift = 0.1,
) -> None:
    """Run this sweep on a schedule, told to a Prefect server, until Ctrl-C."""
    from flows.serve import Schedule, serve_sweep

    serve_sweep(replace(options, drift=drift), Schedule.of(cron, every, timezone), name, out)


def _run(options: "Options") -> None:
    from flows.progress import watch
    from flows.sweep import sweep as run

    with watch(err):
        result = run(options)
    print_result(result)
