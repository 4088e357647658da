"""What a sweep or a training gave, printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.table import Table

from flows.cli.arguments import err, out
from flows.cli.terminal import plain
from u1core.common.text import harmless

if TYPE_CHECKING:
    from flows.sweep import Result


def print_result(result: Result) -> None:
    """Print what happened; exit 1 unless everything asked for was done."""
    table = Table("claim", "verdict", "evidence", title="What arXiv 2206.02220 claims", title_justify="left")
    colours = {"holds": "green", "does not hold": "red"}
    for claim in result.claims:
        colour = colours.get(claim["verdict"], "yellow")
        caveat = f"\n[dim]Controls: {plain(claim['caveat'])}[/]" if claim["caveat"] else ""
        table.add_row(claim["claim"], f"[{colour}]{claim['verdict']}[/]", plain(claim["evidence"]) + caveat)
    out.print(table)
    pictures = [harmless(line) for line in result.pictures]
    said = [*pictures, result.summary, f"report: {result.report}", f"digest: {result.digest}"]
    out.print("\n".join(said), highlight=False, markup=False)
    for model, reason in result.left_out.items():
        err.print(f"u1: left out: {model}: {harmless(reason)}", highlight=False, markup=False)
    for ending in result.endings:
        if ending.status == "failed":
            err.print(f"u1: {ending.name} failed: {harmless(ending.error)}", highlight=False, markup=False)
    for name, rows in result.failing_checks.items():
        err.print(
            f"u1: sql/checks/{name}.sql returns {rows} rows, expected none", highlight=False, markup=False
        )
    if result.drift is not None and result.moved:
        err.print(f"u1: {result.moved} figures moved by more than {result.drift:g}: see {result.digest}")
    if not result.complete:
        raise typer.Exit(1)
