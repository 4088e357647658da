"""`u1 validate`: what the product's own tests are worth, as tables."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from u1core.validate.outcome import Outcome
from u1core.validate.stages import validate


def run(*, quick: bool, seed: int, lake: Path | str | None, err: Console) -> Outcome:
    """Validate, with a progress bar on stderr."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bars:
        bar = bars.add_task("validate", total=None)

        def progress(done: int, total: int, name: str) -> None:
            bars.update(bar, completed=done, total=total, description=name)

        return validate(quick=quick, seed=seed, lake=lake, progress=progress)


def print_outcome(outcome: Outcome, out: Console) -> None:
    """Print every finding with its verdict, then the figures to look at."""
    findings = Table("test", "expected", "observed", "verdict", title_justify="left")
    findings.title = "Does the product measure what it says?"
    for f in outcome.findings:
        verdict = "[green]passed[/]" if f.passed else "[red]failed[/]"
        findings.add_row(escape(f.test), escape(f.expected), escape(f.observed), verdict)
    out.print(findings)
    for figures in outcome.tables:
        table = Table(*figures.columns, title=figures.title, title_justify="left")
        for row in figures.rows:
            table.add_row(*row)
        out.print(table)
