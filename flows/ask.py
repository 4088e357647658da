"""Questions to a lake, as flows ask them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from u1core.lake import describe, views
from u1core.lake.connect import connect
from u1core.lake.guard import Shown, run_query
from u1core.lake.store import Lake


def ask(
    lake: Path | str, query: str, params: dict[str, Any] | None = None, shown: Shown | None = None
) -> pa.Table:
    """Run one query over the views of a lake; `shown` as in `run_query`."""
    Lake.open(lake)
    # `claims` asks for these twice: computed once, it is bound and answered in half the time.
    with connect(lake, views.views_named(query), frozen=("cell_tests",)) as connection:
        if describe.shows_comments(query):
            describe.comment(connection)
        return run_query(connection, query, params, shown)
