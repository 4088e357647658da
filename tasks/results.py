"""From committed cells to what people look at: checks, claims, report, artifacts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import duckdb
from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from u1core.lake import sql
from u1core.report import write_report
from u1core.text import harmless

_MARKUP = re.compile(r"[\\`*_{}\[\]<>#|~&!]")


@dataclass(frozen=True)
class Conclusions:
    """What a lake says.

    Attributes:
        failing_checks: Offending rows by check; empty when the lake is sound.
        claims: Claim (number and statement), verdict, evidence and caveat, one per claim of the paper.
    """

    failing_checks: dict[str, int]
    claims: tuple[dict[str, str], ...]


@task(task_run_name="check the lake, judge the claims, write the report", cache_policy=NO_CACHE)
def conclude_lake(lake: Path | str, out: Path) -> Conclusions:
    """Run the checks, the claims and the report on one connection: the expensive views are computed once."""
    with sql.connect(lake) as connection, sql.one_line_errors(connection):
        sql.materialise(connection)
        failing = {name: len(rows) for name, rows in sql.failing_checks(connection).items()}
        claims = evaluate_claims(connection)
        write_report(connection, out)
    return Conclusions(failing, claims)


def evaluate_claims(connection: duckdb.DuckDBPyConnection) -> tuple[dict[str, str], ...]:
    """Return the rows of view `claims` as text."""
    query = "select claim, statement, verdict, evidence, caveat from claims order by claim"
    return tuple(
        {
            "claim": f"{number}. {statement}",
            "verdict": verdict,
            "evidence": evidence or "none",
            "caveat": caveat or "",
        }
        for number, statement, verdict, evidence, caveat in connection.execute(query).fetchall()
    )


@task(task_run_name="publish artifacts", cache_policy=NO_CACHE)
def publish(cells: list[dict[str, str]], claims: tuple[dict[str, str], ...]) -> None:
    """Show the cells and the claims to those who watch in Prefect's UI."""
    cells = [{name: harmless(text) for name, text in cell.items()} for cell in cells]
    create_table_artifact(cells, key="sweep-cells", description="Cells of the sweep")
    table = "\n".join(
        "| {claim} | **{verdict}** | {evidence} | {caveat} |".format(
            **{k: as_markdown(v) for k, v in c.items()}
        )
        for c in claims
    )
    create_markdown_artifact(
        f"| claim | verdict | evidence | what the controls say |\n|---|---|---|---|\n{table}",
        key="claims",
        description="The paper's claims",
    )


def as_markdown(text: str) -> str:
    """Return text for one place of a Markdown table: shown as it is, no tag, link or column of its own."""
    return _MARKUP.sub(r"\\\g<0>", harmless(text))
