"""The commands about one lake: ask it, report on it, keep it sound."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.arguments import err, out, parse_pairs
from flows.options import LakeAddress, ReportFolder
from u1core.common.errors import U1Error


class Format(StrEnum):
    """How `u1 sql` prints."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def sql(
    query: Annotated[str | None, typer.Argument(help="A query over the views; without one, a shell.")] = None,
    file: Annotated[Path | None, typer.Option("-f", "--file", help="Read the query from a file.")] = None,
    lake: LakeAddress = "lake",
    format_: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.table,
    param: Annotated[
        list[str] | None, typer.Option("--param", help="name=value for $name; repeatable.")
    ] = None,
) -> None:
    """Ask the lake in DuckDB SQL, read-only, also while a sweep writes."""
    from flows.cli.sql import answer, read_file, shell

    if query is not None and file is not None:
        raise U1Error("a query or -f FILE", "both", "give one of them")
    text = read_file(file) if file else query
    if text is None:
        shell(lake, out)
    else:
        answer(lake, text, parse_pairs(param or [], "--param"), format_.value, out)


def report(
    lake: LakeAddress = "lake",
    to: ReportFolder = Path("report"),
) -> None:
    """Run the analyses again and write report/index.html: one file that opens offline."""
    from u1core.lake.connect import EXPENSIVE_VIEWS, connect
    from u1core.lake.guard import one_line_errors
    from u1core.lake.store import Lake
    from u1core.report.write import write_report

    Lake.open(lake)
    with connect(lake, frozen=EXPENSIVE_VIEWS) as connection, one_line_errors(connection):
        path = write_report(connection, to / "index.html")
    out.print(f"report: {path}", highlight=False, markup=False)


def migrate(lake: LakeAddress = "lake") -> None:
    """Bring a lake of an earlier release to this one's schema, in place; cells stay done."""
    from u1core.lake.migrate import migrate as run

    out.print(f"{lake}: {run(lake)} files rewritten", highlight=False, markup=False)


def verify(
    lake: LakeAddress = "lake",
    drop: Annotated[
        bool, typer.Option("--drop", help="Take damaged cells out; the next sweep computes them anew.")
    ] = False,
) -> None:
    """Prove every committed cell of a lake against its checksums."""
    from flows.cli.upkeep import print_damage

    if print_damage(lake, out, err, take_out=drop):
        raise typer.Exit(1)


def gc(
    lake: LakeAddress = "lake",
    remove: Annotated[
        str, typer.Option("--remove", help="temporary, unfinished, superseded, or several, with commas.")
    ] = "",
) -> None:
    """List what lies in a lake and no view shows, and remove it where asked to."""
    from flows.cli.upkeep import print_orphans

    print_orphans(lake, remove, out)
