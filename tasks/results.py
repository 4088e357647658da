"""From committed cells to what people look at: checks, claims, report, artifacts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from u1core.lake import sql
from u1core.report import write_report


@contextmanager
def _answers(lake: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection in which the expensive views are computed once."""
    with sql.connect(lake) as connection, sql.one_line_errors(connection):
        sql.materialise(connection)
        yield connection


@task(task_run_name="check the lake", cache_policy=NO_CACHE)
def check_lake(lake: Path) -> dict[str, int]:
    """Run every check query; return the offending rows by check, empty when the lake is sound."""
    with _answers(lake) as connection:
        return {name: len(rows) for name, rows in sql.failing_checks(connection).items()}


@task(task_run_name="write the report", cache_policy=NO_CACHE)
def render_report(lake: Path, out: Path) -> Path:
    """Run the analyses and write the report."""
    with _answers(lake) as connection:
        return write_report(connection, out)


@task(task_run_name="evaluate the claims", cache_policy=NO_CACHE)
def evaluate_claims(lake: Path) -> list[dict[str, str]]:
    """Return claim (number and statement), verdict, evidence and caveat, one row per claim of the paper."""
    query = "select claim, statement, verdict, evidence, caveat from claims order by claim"
    with _answers(lake) as connection:
        rows = connection.execute(query).fetchall()
    return [
        {
            "claim": f"{number}. {statement}",
            "verdict": verdict,
            "evidence": evidence or "none",
            "caveat": caveat or "",
        }
        for number, statement, verdict, evidence, caveat in rows
    ]


@task(task_run_name="publish artifacts", cache_policy=NO_CACHE)
def publish(cells: list[dict[str, str]], claims: list[dict[str, str]]) -> None:
    """Show the cells and the claims to those who watch in Prefect's UI."""
    create_table_artifact(cells, key="sweep-cells", description="Cells of the sweep")
    table = "\n".join(
        f"| {c['claim']} | **{c['verdict']}** | {c['evidence']} | {c['caveat']} |" for c in claims
    )
    create_markdown_artifact(
        f"| claim | verdict | evidence | what the controls say |\n|---|---|---|---|\n{table}",
        key="claims",
        description="The paper's claims",
    )
