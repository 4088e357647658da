"""From committed cells to what people look at: checks, claims, report, artifacts."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
import httpx
from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import PrefectException

from u1core.common import atomic
from u1core.common.text import as_markdown, harmless
from u1core.lake.accounts import tell_pictures
from u1core.lake.connect import EXPENSIVE_VIEWS, connect
from u1core.lake.digest import WORTH_TELLING, Done, conclude_sweep
from u1core.lake.guard import failing_checks, one_line_errors
from u1core.lake.store import Lake
from u1core.report.write import write_report

DIGEST = "digest.md"
"""Beside the report."""


@dataclass(frozen=True)
class Conclusions:
    """What a lake says.

    Attributes:
        failing_checks: Offending rows by check; empty when the lake is sound.
        claims: Claim (number and statement), verdict, the two questions that make it (seen, beyond),
            evidence, caveat and the command that is missing (todo), one per claim of the paper.
        by_cell: Data set, model, claim, seen and beyond, one per claim and cell.
        moved: Figures that moved by more than was asked for.
        digest: What was done and what moved, as Markdown; it lies beside the report.
        pictures: Where those of each data set went, a line each.
    """

    failing_checks: dict[str, int]
    claims: tuple[dict[str, str], ...]
    by_cell: tuple[dict[str, str], ...]
    moved: int
    digest: str
    pictures: tuple[str, ...]


@task(task_run_name="check the lake, judge the claims, write the report", cache_policy=NO_CACHE)
def conclude_lake(
    lake: Path | str, out: Path, summary: str, endings: list[dict[str, str]], drift: float | None
) -> Conclusions:
    """Run checks, claims, report and digest on one connection: the expensive views are computed once."""
    with connect(lake, frozen=EXPENSIVE_VIEWS) as connection, one_line_errors(connection):
        failing = {name: len(rows) for name, rows in failing_checks(connection).items()}
        claims, by_cell = evaluate_claims(connection), judge_cells(connection)
        write_report(connection, out)
        done_names = [ending["name"] for ending in endings if ending["status"] != "failed"]
        pictures = tell_pictures(connection, done_names)
        done = Done(
            summary,
            Counter(ending["status"] for ending in endings),
            [(ending["name"], ending["error"]) for ending in endings if ending["status"] == "failed"],
            failing,
            claims,
            pictures,
        )
        threshold = WORTH_TELLING if drift is None else drift
        digest = conclude_sweep(connection, Lake.open(lake), done, threshold)
    atomic.write_text(out.with_name(DIGEST), digest.text)
    return Conclusions(failing, claims, by_cell, digest.moved, digest.text, pictures)


def evaluate_claims(connection: duckdb.DuckDBPyConnection) -> tuple[dict[str, str], ...]:
    """Return the rows of view `claims` as text."""
    query = """
        select
            claim || '. ' || statement as claim,
            verdict,
            is_seen as seen,
            is_beyond_controls as beyond,
            coalesce(evidence, 'none') as evidence,
            coalesce(caveat, '') as caveat,
            coalesce(todo, '') as todo,
        from claims
        order by claims.claim
    """
    return _texts(connection, query)


def judge_cells(connection: duckdb.DuckDBPyConnection) -> tuple[dict[str, str], ...]:
    """Return what view `claims_by_cell` says of every cell, in words."""
    query = """
        select dataset, model, claim::varchar as claim, is_seen as seen, is_beyond_controls as beyond
        from claims_by_cell
        order by dataset, model, claims_by_cell.claim
    """
    return _texts(connection, query)


def _texts(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[dict[str, str], ...]:
    found = connection.execute(query)
    names = [column[0] for column in found.description or ()]
    return tuple(dict(zip(names, row, strict=True)) for row in found.fetchall())


@task(task_run_name="publish artifacts", cache_policy=NO_CACHE)
def publish(cells: list[dict[str, str]], claims: tuple[dict[str, str], ...], digest: str) -> None:
    """Show the cells, the claims and the digest to those who watch in Prefect's UI."""
    cells = [{name: harmless(text) for name, text in cell.items()} for cell in cells]
    table = "\n".join(
        "| {claim} | **{verdict}** | {seen} | {beyond} | {evidence} | {caveat} |".format(
            **{k: as_markdown(v) for k, v in c.items()}
        )
        for c in claims
    )
    # A server that is gone is no reason to lose what is written.
    with suppress(httpx.HTTPError, PrefectException):
        create_markdown_artifact(digest, key="digest", description="What was done and what moved")
        create_table_artifact(cells, key="sweep-cells", description="Cells of the sweep")
        create_markdown_artifact(
            f"| claim | verdict | seen | beyond controls | evidence | caveat |\n|{'---|' * 6}\n{table}",
            key="claims",
            description="The paper's claims",
        )
