"""The report: one HTML file from the lake's views, pictures inside, that opens offline."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import jinja2

from u1core.common import atomic
from u1core.common.errors import U1Error
from u1core.lake.views import view_paths
from u1core.report.data import Answers, read
from u1core.report.sections import claims
from u1core.report.sections.page import dataset_sections, glance
from u1core.report.sections.scene import MAX_DRAWN_CELLS
from u1core.report.sections.training import training_subjects
from u1core.report.words import count

__all__ = ["render_report", "write_report"]

PAPER = "arXiv 2206.02220"
MAX_OPEN_CELLS = 24
"""Beyond this many cells with a section of their own these sections are folded."""


def write_report(
    connection: duckdb.DuckDBPyConnection, out: Path, *, notify: Callable[[str], None] | None = None
) -> Path:
    """Write the report of a lake as one self-contained HTML file.

    The file appears whole or not at all; an older one stays until then.

    Args:
        connection: A connection that offers the public views, as `u1core.lake.connect.connect` gives it.
        out: The HTML file; its folder is made.
        notify: Called with one line per dataset and cell as they are drawn.

    Returns:
        The path written.

    Raises:
        U1Error: The file cannot be written.
    """
    html = render_report(connection, written_at=dt.datetime.now(dt.UTC), notify=notify)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(out, html)
    except OSError as e:
        raise U1Error(f"to write the report to {out}", str(e), "make room, or name another file") from e
    return out


def render_report(
    connection: duckdb.DuckDBPyConnection,
    *,
    written_at: dt.datetime,
    notify: Callable[[str], None] | None = None,
) -> str:
    """Return the report's HTML: the same lake and time give the same text."""
    answers = read(connection)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__name__),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sql_file"] = view_paths().__getitem__
    datasets = dataset_sections(answers, notify or (lambda line: None))
    return environment.get_template("page.html.j2").render(
        **_head(answers, written_at),
        datasets=datasets,
        training=training_subjects(answers),
        glance=glance(answers),
        folded=sum(len(d.cells) for d in datasets) > MAX_OPEN_CELLS,
        max_drawn=MAX_DRAWN_CELLS,
        n_cells=len(answers.cells),
    )


def _head(answers: Answers, written_at: dt.datetime) -> dict[str, Any]:
    """Return what stands above the datasets."""
    cells = answers.cells
    return {
        "paper": PAPER,
        "written_at": written_at,
        "claims": answers.tables["claims"],
        "claim_places": claims.PLACES,
        "claim_subjects": claims.subjects(answers),
        "claim_tables": [t for t in (claims.by_cell(answers), claims.every_test(answers)) if t],
        "failed": answers.failed,
        "failures": answers.tables["failures"],
        "facts": [
            ("models", str(len({row["model"] for row in cells}))),
            ("datasets", str(len({row["dataset"] for row in cells}))),
            ("cells done", str(len(cells))),
            ("cells failed", str(len(answers.failed))),
            ("images recorded", count(sum(row["rows"] or 0 for row in cells))),
            ("u1sweep", _versions(answers, "u1sweep_version")),
            ("torch", _versions(answers, "torch_version")),
            ("DuckDB", duckdb.__version__),
        ],
    }


def _versions(answers: Answers, column: str) -> str:
    return ", ".join(sorted({row[column] for row in answers.cells if row[column]})) or "—"
