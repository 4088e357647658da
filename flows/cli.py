"""The command line `u1`: each command a thin face on a flow or a u1core function.

Heavy imports happen inside the commands, so that `--help` and `u1 sql` start at once.
"""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows import catalog_cli, sweep_cli, train_cli
from flows.arguments import (
    CatalogFile,
    Format,
    Lake_,
    ModelsDir,
    Report_,
    catalog_file,
    err,
    out,
)
from u1core.common.errors import U1Error

app = typer.Typer(
    name="u1",
    help="Test U(1) symmetry breaking at CNN bottlenecks: any pretrained model, any labelled images.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(catalog_cli.app, name="catalog")

# typer carries its own copy of click; its public BadParameter leads to the base of all usage errors.
UsageError = typer.BadParameter.__bases__[0]

_INTERRUPTED = 130
"""What typer returns after Ctrl-C."""


app.command()(sweep_cli.plan)
app.command()(sweep_cli.sweep)
app.command()(sweep_cli.retry)
app.command()(sweep_cli.serve)
app.command()(train_cli.train)


@app.command()
def sql(
    query: Annotated[str | None, typer.Argument(help="A query over the views; without one, a shell.")] = None,
    file: Annotated[Path | None, typer.Option("-f", "--file", help="Read the query from a file.")] = None,
    lake: Lake_ = "lake",
    format_: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.table,
    param: Annotated[
        list[str] | None, typer.Option("--param", help="name=value for $name; repeatable.")
    ] = None,
) -> None:
    """Ask the lake in DuckDB SQL, read-only, also while a sweep writes."""
    from flows import ask

    if query is not None and file is not None:
        raise U1Error("a query or -f FILE", "both", "give one of them")
    text = ask.read_file(file) if file else query
    if text is None:
        ask.shell(lake, out)
    else:
        ask.answer(lake, text, ask.parse_params(param or []), format_.value, out)


@app.command()
def report(
    lake: Lake_ = "lake",
    to: Report_ = Path("report"),
) -> None:
    """Run the analyses again and write report/index.html: one file that opens offline."""
    from u1core.lake.connect import connect, freeze
    from u1core.lake.guard import one_line_errors
    from u1core.lake.store import Lake
    from u1core.report.write import write_report

    Lake.open(lake)
    with connect(lake) as connection, one_line_errors(connection):
        freeze(connection)
        path = write_report(connection, to / "index.html")
    out.print(f"report: {path}", highlight=False, markup=False)


@app.command()
def doctor(lake: Lake_ = "lake", catalog: CatalogFile = None, models_dir: ModelsDir = None) -> None:
    """Check versions, devices, server, disk and catalog, and say what to do."""
    from flows.doctor import examine, print_findings

    findings = examine(lake, catalog_file(catalog), models_dir)
    print_findings(findings, out)
    if any(f.state == "fault" for f in findings):
        raise typer.Exit(1)


@app.command()
def migrate(lake: Lake_ = "lake") -> None:
    """Bring a lake of an earlier release to this one's schema, in place; cells stay done."""
    from u1core.lake.migrate import migrate as run

    out.print(f"{lake}: {run(lake)} files rewritten", highlight=False, markup=False)


@app.command()
def verify(
    lake: Lake_ = "lake",
    drop: Annotated[
        bool, typer.Option("--drop", help="Take damaged cells out; the next sweep computes them anew.")
    ] = False,
) -> None:
    """Prove every committed cell of a lake against its checksums."""
    from flows.upkeep import print_damage

    if print_damage(lake, out, err, take_out=drop):
        raise typer.Exit(1)


@app.command()
def gc(
    lake: Lake_ = "lake",
    remove: Annotated[
        str, typer.Option("--remove", help="temporary, unfinished, superseded, or several, with commas.")
    ] = "",
) -> None:
    """List what lies in a lake and no view shows, and remove it where asked to."""
    from flows.upkeep import print_orphans

    print_orphans(lake, remove, out)


@app.command()
def validate(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer and smaller data sets.")] = False,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Of the generated data.")] = None,
    lake: Annotated[
        str | None, typer.Option("--lake", help="Also permute the labels of a cell of this lake.")
    ] = None,
) -> None:
    """Measure the tests themselves: level, power, coverage, recovery of what was planted."""
    from flows.validate_view import print_outcome, run
    from u1core.validate.stages import SEED

    outcome = run(quick=quick, seed=SEED if seed is None else seed, lake=lake, err=err)
    print_outcome(outcome, out)
    if outcome.failed:
        names = "; ".join(f.test for f in outcome.failed)
        err.print(
            f"u1: {len(outcome.failed)} of {len(outcome.findings)} failed: {names}",
            highlight=False,
            markup=False,
        )
        raise typer.Exit(1)
    out.print(f"all {len(outcome.findings)} passed", highlight=False)


def main() -> None:
    """Run `u1`; a user's mistake is one line on stderr and exit status 1, never a traceback."""
    _heed_signals()
    # Of a log that could not be sent to Prefect's server nothing is said on the terminal.
    logging.raiseExceptions = False
    # A name that the terminal cannot show is no reason to stop.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = app(standalone_mode=False)
        if status == _INTERRUPTED:
            raise KeyboardInterrupt
    except U1Error as e:
        message = str(e)
    except UsageError as e:
        if not (message := _usage_message(e)):
            sys.exit(0)  # `u1` alone: its help is on the screen
    except (typer.Abort, KeyboardInterrupt):
        err.print(
            "u1: interrupted; what is written is kept, the same command goes on from here", highlight=False
        )
        # A query that was interrupted makes DuckDB tell of its leaks when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
        sys.exit(1)
    except BrokenPipeError:
        os._exit(1)
    else:
        sys.exit(status if isinstance(status, int) else 0)
    err.print(f"u1: {message}", highlight=False, markup=False)
    sys.exit(1)


def _heed_signals() -> None:
    """Take `kill` and a closed terminal as Ctrl-C; by default they would leave Prefect's server behind."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def _usage_message(error: typer.BadParameter) -> str:
    """Return a usage error as one line that names the help to read; empty where nothing was asked for."""
    command = error.ctx.command_path if error.ctx else "u1"
    text = " ".join(error.format_message().split()).rstrip(".")
    return f"{text}; `{command} --help` shows what it takes" if text else ""
