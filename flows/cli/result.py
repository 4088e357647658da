"""What a sweep or a training gave, printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from flows.cli.arguments import err, out
from flows.cli.terminal import plain
from u1core.common.text import harmless

if TYPE_CHECKING:
    from flows.sweep import Result


COLOURS = {"holds": "green", "refuted": "red", "inconclusive": "yellow", "not tested": "dim"}
SIGNS = {"holds": "✓", "refuted": "✗", "inconclusive": "?", "not tested": "–"}
MAX_CELLS = 40


def claims_table(claims: Sequence[Mapping[str, str]]) -> Table:
    """Lay out the claims: what each says, then the two questions that make its verdict."""
    table = Table(title="What arXiv 2206.02220 claims", title_justify="left")
    table.add_column("claim, and its verdict")
    table.add_column("seen", min_width=12)
    table.add_column("beyond its\ncontrols", min_width=12)
    for claim in claims:
        caveat = f"\n[dim]{plain(claim['caveat'])}[/]" if claim["caveat"] else ""
        told = f"[bold]{plain(claim['claim'])}[/]\n{_coloured(claim['verdict'])}. {plain(claim['evidence'])}"
        table.add_row(told + caveat, _coloured(claim["seen"]), _coloured(claim["beyond"]), end_section=True)
    return table


def cells_table(by_cell: Sequence[Mapping[str, str]]) -> Table:
    """Lay out a row per cell and two signs per claim; beyond `MAX_CELLS` rows the view has the others."""
    claims = sorted({row["claim"] for row in by_cell})
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for row in by_cell:
        signs = f"{_coloured(row['seen'], signs=True)} {_coloured(row['beyond'], signs=True)}"
        cells.setdefault((row["dataset"], row["model"]), {})[row["claim"]] = signs
    rest = len(cells) - MAX_CELLS
    legend = " ".join(f"{sign} {state}" for state, sign in SIGNS.items())
    table = Table(
        "dataset",
        "model",
        *(f"claim {claim}" for claim in claims),
        title=f"Cell by cell, seen and beyond: {legend}",
        title_justify="left",
        caption=f"{rest} more cells: select * from claims_by_cell" if rest > 0 else None,
    )
    for (dataset, model), told in list(cells.items())[:MAX_CELLS]:
        table.add_row(plain(dataset), plain(model), *(told.get(claim, "") for claim in claims))
    return table


def _coloured(state: str, *, signs: bool = False) -> str:
    """Return one of the four states, or its sign, as rich's markup."""
    return f"[{COLOURS[state]}]{SIGNS[state] if signs else state}[/]"


def print_result(result: Result) -> None:
    """Print what happened; exit 1 unless everything asked for was done."""
    out.print(claims_table(result.claims))
    for todo in dict.fromkeys(claim["todo"] for claim in result.claims if claim["todo"]):
        numbers = ", ".join(c["claim"].partition(".")[0] for c in result.claims if c["todo"] == todo)
        out.print(
            f"missing for claim {numbers}: {harmless(todo)}", highlight=False, markup=False, soft_wrap=True
        )
    if result.by_cell:
        out.print(cells_table(result.by_cell))
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
