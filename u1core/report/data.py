"""What the report reads: each public view once, as plain rows, restricted to what is drawn.

SQL computes, the report draws: the queries select, filter and count, nothing more (a test parses them).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import duckdb

from u1core.common.text import printable

Row = Mapping[str, Any]


class CellName(NamedTuple):
    """A current cell's public name."""

    dataset: str
    model: str
    variant: str

    @property
    def label(self) -> str:
        """The model, with its variant where that is not the original."""
        return self.model if self.variant == "original" else f"{self.model} ({self.variant})"


_BOTTLENECK = """
    semi join (select cell_key, bottleneck as layer from cells where is_current) as bottlenecks
    using (cell_key, layer)
"""
# Every vector of one channel points the same way: such searches find whatever comes first.
_SEARCHED = """
    (scheme = 'energy' or cell_key not in (select cell_key from frames where is_bottleneck and channels = 1))
"""
QUERIES = {
    "claims": "select * from claims order by claim",
    "claims_by_cell": "select * from claims_by_cell order by dataset, model, claim",
    "claim_tests": "select * from claim_tests order by dataset, model, claim, question desc, rule, test",
    "attribution": "select * from attribution order by dataset, model",
    "population": "select * from population order by dataset, model, figure, padding",
    "judged_figures": """
        select comparable_cells.cell_key as evidence_key, comparable_cells.variant, figure, estimate, se
        from cell_figures
        inner join comparable_cells on cell_figures.cell_key = comparable_cells.control_key
        where figure in (
            'ln centre density', 'effect, image', 'effect, feature', 'agreement', 'joint effect', 'bits'
        )
        order by evidence_key, figure, comparable_cells.variant
    """,
    "loco": """
        select * from plane_agreement_by_frame
        where frame = 'loco' and is_bottleneck and variant = 'original'
        order by dataset, model
    """,
    "cells": "select * from cells order by dataset, model, variant, selected_at",
    "failures": """
        select dataset, stage, error, count(*) as n, count(distinct cell_key) as cells
        from failures
        group by dataset, stage, error
        order by n desc, dataset, stage, error
        limit 20
    """,
    "class_directions": f"""
        select * from class_directions {_BOTTLENECK} where split = 'query' order by cell_key, plane, label
    """,
    "class_bias": f"select * from class_bias {_BOTTLENECK}",
    "plane_agreement": f"select * from plane_agreement {_BOTTLENECK}",
    "model_agreement": """
        select *
        from model_agreement
        where variant_a in ('original', 'random-init') and variant_b in ('original', 'random-init')
        order by dataset, model_a, variant_a, model_b, variant_b, split desc, plane desc
    """,
    "class_agreement": "select * from class_agreement where split = 'query' order by dataset, label, plane",
    "composition": "select * from composition where split = 'query' order by dataset, model, variant, plane",
    "controls": """
        select * from controls where is_bottleneck and split = 'query' order by dataset, model, variant, plane
    """,
    "sombrero": f"select * from sombrero {_BOTTLENECK} where split = 'query'",
    "energy_maps": f"select * from energy_maps {_BOTTLENECK} where label is null and split = 'query'",
    "theta_sectors": "select * from theta_sectors where split = 'query'",
    "theta_spread": """
        select * from theta_spread where split = 'query' order by dataset, model, variant, plane, bin
    """,
    "theta_summary": "select * from theta_summary where split = 'query' and n > 0",
    "weak_angles": "select * from weak_angles where split = 'query'",
    "memory_report": f"select * from memory_report {_BOTTLENECK} where {_SEARCHED} order by scheme, k",
    "memory_confusion": f"""
        select * from memory_confusion {_BOTTLENECK} where scheme = 'pooled' and k = 1 and {_SEARCHED}
    """,
    "location_report": "select * from location_report order by dataset, model, variant",
    "location_accuracy": "select * from location_accuracy order by cell_key, y desc, x",
    "concentration_by_layer": """
        select * from concentration_by_layer where split = 'query' order by cell_key, layer_index
    """,
    "training_runs": "select * from training_runs order by task, network, arm, seed",
    "training_effect": "select * from training_effect order by task, network, arm",
    "training_curves": "select * from training_curves order by task, network, arm, epoch",
    "training_directions": "select * from training_directions order by task, network, arm, seed, label",
    "training_bias": "select * from training_bias order by task, network, measure, arm",
}


class Answers:
    """Every query's rows, by its name: that of the view, or of what was counted."""

    def __init__(self, tables: Mapping[str, list[Row]]) -> None:
        self.tables = tables
        self._by_cell: dict[tuple[str, CellName], list[Row]] = {}
        for view, rows in tables.items():
            for row in rows:
                if {"dataset", "model", "variant"} <= row.keys():
                    self._by_cell.setdefault((view, name_of(row)), []).append(row)

    @property
    def cells(self) -> list[Row]:
        """The current cells, sorted by name, but for networks that were taught angles here.

        Those stand in the section on training: no claim but the fifth is judged by them.
        """
        return [
            row
            for row in self.tables["cells"]
            if row["is_current"] and (row["is_evidence"] or not row["is_from_training"])
        ]

    @property
    def failed(self) -> list[Row]:
        """The cells whose latest outcome is a failure, one row each."""
        latest = {name_of(row): row for row in self.tables["cells"]}
        return [row for row in latest.values() if row["status"] == "failed"]

    def all(self, view: str, **where: object) -> list[Row]:
        """Return the rows of a view that have the given values."""
        return list(_matching(self.tables[view], where))

    def of(self, view: str, cell: CellName, **where: object) -> list[Row]:
        """Return the rows of one cell that have the given values."""
        return list(_matching(self._by_cell.get((view, cell), []), where))

    def one(self, view: str, cell: CellName, **where: object) -> Row:
        """Return the first such row, or an empty one."""
        return next(_matching(self._by_cell.get((view, cell), []), where), {})


def _matching(rows: list[Row], where: Mapping[str, object]) -> Iterator[Row]:
    return (row for row in rows if all(row.get(k) == v for k, v in where.items()))


def name_of(row: Row) -> CellName:
    """Return the cell a row belongs to."""
    return CellName(row["dataset"], row["model"], row["variant"])


def read(connection: duckdb.DuckDBPyConnection) -> Answers:
    """Read the views of a lake, each once."""
    return Answers({view: _rows(connection, query) for view, query in QUERIES.items()})


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    result = connection.execute(query)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, map(_shown, values), strict=True)) for values in result.fetchall()]


def _shown(value: Any) -> Any:  # noqa: ANN401 (whatever a column holds)
    """Make text printable: names of classes are whatever folders were called."""
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return printable(value) if isinstance(value, str) else value
