"""Where the pictures of a sweep's cells went, in lines for those who look at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import duckdb

from u1core.lake.guard import run_query
from u1core.lake.store import CellId

_ACCOUNTS = """
select
    dataset, model, variant, cell_key, "rows", failures, images_query, pictures_found, pictures_unlabelled,
    pictures_ignored, pictures_not_selected, pictures_repeated, ignored_kinds,
from cells
where is_current
order by dataset, image_limit desc, model, variant
"""


def tell_pictures(connection: duckdb.DuckDBPyConnection, names: Collection[str]) -> tuple[str, ...]:
    """Say of each data set where its pictures went; of cells that differ, each kind.

    Args:
        connection: Over the lake, with its views.
        names: Of the cells that are meant, as `CellId` writes them.
    """
    meant = set(names)
    rows = run_query(connection, _ACCOUNTS).to_pylist()
    cells = [CellId(row["cell_key"], row["dataset"], row["model"], row["variant"]) for row in rows]
    lines = Counter(_line(row) for row, cell in zip(rows, cells, strict=True) if str(cell) in meant)
    of_dataset = Counter(line.partition(": ")[0] for line in lines)
    return tuple(
        f"{line} ({count} cell{'s' * (count > 1)})" if of_dataset[line.partition(": ")[0]] > 1 else line
        for line, count in lines.items()
    )


def _line(row: Mapping[str, Any]) -> str:
    kinds = f" ({', '.join(row['ignored_kinds'])})" if row["ignored_kinds"] else ""
    parts = [f"{row['rows']} rows", f"{row['failures']} failed"]
    for name in ("unlabelled", "ignored", "not_selected"):
        count = row[f"pictures_{name}"]
        said = "unknown how many" if count is None else f"{count}"
        parts.append(f"{said} {name.replace('_', ' ')}{kinds if name == 'ignored' else ''}")
    found = "unknown" if row["pictures_found"] is None else row["pictures_found"]
    line = f"{row['dataset']}: pictures found {found} = {' + '.join(parts)}"
    if row["pictures_repeated"]:
        line += f"; {row['pictures_repeated']} of {row['images_query']} query pictures are in memory too"
    return line
