"""`u1 retry`: the sweeps that ask again for what failed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flows.options import Memory, Options, Precision
from u1core.lake.store import CellId, Lake


def failed_sweeps(options: Options, models: str, datasets: str) -> list[Options]:
    """Return the sweeps that ask again for the failed cells of a lake, as they were asked for then.

    Args:
        options: Where and how; what is swept comes from the lake.
        models: Names to find the models by; empty for the ids of those that failed.
        datasets: The same of datasets.
    """
    groups: dict[tuple[int | None, int, Memory, Precision], list[dict[str, Any]]] = {}
    for row in Lake.open(options.lake).cells().values():
        if row["status"] == "failed":
            memory: Memory = row.get("memory") or "official"
            asked = row["image_limit"], row["location_limit"] or 0, memory, row["precision"]
            groups.setdefault(asked, []).append(row)
    return [
        replace(
            options,
            models=models or _joined(rows, "model"),
            datasets=datasets or _joined(rows, "dataset"),
            variants=_joined(rows, "variant"),
            limit=limit,
            location_limit=location_limit,
            memory=memory,
            precision=precision,
            only=[_name(row) for row in rows],
        )
        for (limit, location_limit, memory, precision), rows in groups.items()
    ]


def _joined(rows: list[dict[str, Any]], column: str) -> str:
    return ",".join(sorted({row[column] for row in rows}))


def _name(row: dict[str, Any]) -> str:
    return str(CellId(row["cell_key"], row["dataset"], row["model"], row["variant"]))
