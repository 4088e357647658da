"""What a sweep did and what moved since the one before: kept in the lake, told as a page of Markdown.

Figures of a cell are kept once, by the sweep that first found it current. The next cell of the same dataset,
model and variant is compared with them in view `drift`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import duckdb

from u1core.common.text import as_markdown
from u1core.lake.guard import run_query
from u1core.lake.store import Lake, SweepId

WORTH_TELLING = 0.1
"""A shift that a digest tells: of resultant vectors between 0 and 2, of accuracies between 0 and 1."""

_MOST_ROWS = 50

_NOT_KEPT = """
with

last_kept as (
    select dataset, model, variant, arg_max(cell_key, concluded_at) as cell_key
    from lake.sweep_figures
    group by all
)

select figures.*
from figures
anti join last_kept using (dataset, model, variant, cell_key)
"""

_MOVED = """
select *
from drift
where sweep_key = $sweep_key and shift > $threshold
order by shift desc, dataset, model, variant, plane, label
"""

_CONCLUDED = """
select concluded_at from lake.sweeps
union
select concluded_at from lake.sweep_figures
"""

_VERDICTS_BEFORE = "select verdicts from lake.sweeps order by concluded_at desc, sweep_key limit 1"


@dataclass(frozen=True)
class Done:
    """What a sweep did.

    Attributes:
        summary: In one line.
        counts: Outcomes by status: 'computed', 'found', 'failed'.
        failed: What failed, with its reason.
        failing_checks: Offending rows by check.
        claims: Rows of view `claims`.
        pictures: Where those of each data set went, a line each.
    """

    summary: str
    counts: Mapping[str, int]
    failed: Sequence[tuple[str, str]]
    failing_checks: Mapping[str, int]
    claims: Sequence[Mapping[str, Any]]
    pictures: Sequence[str] = ()


@dataclass(frozen=True)
class Digest:
    """A sweep's digest.

    Attributes:
        text: Markdown.
        moved: How many figures moved by more than the threshold.
    """

    text: str
    moved: int


def conclude_sweep(
    connection: duckdb.DuckDBPyConnection, lake: Lake, done: Done, threshold: float = WORTH_TELLING
) -> Digest:
    """Keep a sweep and its figures in the lake, and tell what moved.

    Args:
        connection: Over the lake, with all views.
        lake: The same lake; the caller is its only writer.
        done: What the sweep did.
        threshold: A shift above it is told.

    Raises:
        U1Error: The lake can't be written or read.
    """
    sweep = SweepId.draw(run_query(connection, _CONCLUDED)["concluded_at"].to_pylist())
    before = run_query(connection, _VERDICTS_BEFORE).to_pylist()
    figures = run_query(connection, _NOT_KEPT)
    if len(figures):
        columns = {name: figures[name].combine_chunks() for name in figures.column_names}
        lake.write("sweep_figures", sweep, columns)
    verdicts = [claim["verdict"] for claim in done.claims]
    row = {
        **{status: done.counts.get(status, 0) for status in ("computed", "found", "failed")},
        "failing_checks": sorted(done.failing_checks),
        "verdicts": verdicts,
        "u1sweep_version": version("u1sweep"),
    }
    # Last: a sweep without its row has not come to its end.
    lake.write("sweeps", sweep, {name: [value] for name, value in row.items()})
    moved = run_query(connection, _MOVED, {"sweep_key": sweep.key, "threshold": threshold}).to_pylist()
    changed = _changed_verdicts(done.claims, before[0]["verdicts"] if before else verdicts)
    lines = _lines(lake, sweep, done, threshold, moved, changed)
    return Digest("\n".join(lines) + "\n", len(moved))


def _changed_verdicts(claims: Sequence[Mapping[str, Any]], before: Sequence[str]) -> list[str]:
    return [
        f"{as_markdown(claim['claim'])}: {old} → **{claim['verdict']}**"
        for claim, old in zip(claims, before, strict=False)
        if claim["verdict"] != old
    ]


def _lines(
    lake: Lake,
    sweep: SweepId,
    done: Done,
    threshold: float,
    moved: Sequence[Mapping[str, Any]],
    changed_verdicts: Sequence[str],
) -> Iterator[str]:
    yield f"# Sweep of {sweep.concluded_at:%Y-%m-%d %H:%M} UTC"
    yield ""
    yield f"{done.summary}. Lake: {as_markdown(str(lake.root))}"
    failed = (f"| {as_markdown(name)} | {as_markdown(error)} |" for name, error in done.failed)
    yield from _section("Failed", "| what | why |", failed)
    yield from _section(
        "Failing checks",
        "| check | rows |",
        (f"| {name} | {rows} |" for name, rows in done.failing_checks.items()),
    )
    yield from _section(
        f"Moved by more than {threshold:g}",
        "| cell | figure | shift | before | now | changed |",
        (_moved_row(row) for row in moved[:_MOST_ROWS]),
    )
    if len(moved) > _MOST_ROWS:
        query = f"from drift where sweep_key = '{sweep.key}'"
        yield f'\n{_MOST_ROWS} of {len(moved)} are shown; `u1 sql "{query}"` shows all.'
    if not moved:
        yield f"\nNothing moved by more than {threshold:g}."
    yield "\n## Claims\n"
    yield from (f"- {line}" for line in changed_verdicts)
    if not changed_verdicts:
        yield "- no verdict changed"
    yield "\n| claim | verdict |\n|---|---|"
    yield from (f"| {as_markdown(claim['claim'])} | {claim['verdict']} |" for claim in done.claims)
    if done.pictures:
        yield "\n## Pictures\n"
        yield from (f"- {as_markdown(line)}" for line in done.pictures)


def _section(title: str, head: str, rows: Iterable[str]) -> Iterator[str]:
    """Yield a table under its title; nothing where it has no rows."""
    found = list(rows)
    if found:
        yield f"\n## {title}\n"
        yield head
        yield "|---" * (head.count("|") - 1) + "|"
        yield from found


def _moved_row(row: Mapping[str, Any]) -> str:
    variant = "" if row["variant"] == "original" else f" ({row['variant']})"
    cell = f"{row['model']}{variant} on {row['dataset']}"
    if row["plane"] is None:
        figure = "accuracy of the nearest neighbour"
        before, now = (f"{100 * row[name]:.1f} %" for name in ("accuracy_before", "accuracy"))
    else:
        figure = f"direction of {row['class_name']}, {row['plane']}"
        before, now = (
            _vector(row[f"mean_direction_rad{suffix}"], row[f"resultant_length{suffix}"])
            for suffix in ("_before", "")
        )
    shown = (cell, figure, f"{row['shift']:.2f}", before, now, ", ".join(row["changed"]) or "?")
    return f"| {' | '.join(map(as_markdown, shown))} |"


def _vector(direction_rad: float | None, length: float | None) -> str:
    if direction_rad is None:
        return "none"
    return f"{math.degrees(direction_rad):+.0f}°, R {length:.2f}"
