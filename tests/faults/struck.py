"""The small sweep that faults strike, what a lake holds after it, and the table of what came out."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from u1core.lake.connect import EXPENSIVE_VIEWS, connect

SMALL_PARTS = "from u1core.cells import extract; extract.PART_IMAGES = 10"
CODE = f"{SMALL_PARTS}; from flows.cli import main; main()"
U1 = [sys.executable, "-c", CODE]
SWEEP = (
    *("sweep", "--models", "cifar10_resnet20,resnet20_onehot", "--variants", "random-init"),
    *("--datasets", "digits", "--limit", "20", "--location-limit", "10", "--batch-size", "8"),
)
TABLES = ("records", "vectors", "angles", "frames", "energy_maps", "neighbours", "location_neighbours")
ANSWERS = ("class_bias", "class_directions", "memory_report", "location_report", "controls", "composition")
CELLS = "select cell_key, status, error, rows, failures, is_current from cells order by all"

HEAD = "| fault | times | rows before | rows after | answers equal |\n|---|---|---|---|---|\n"
LINES = []


@dataclass(frozen=True)
class Holding:
    """What a lake holds: rows of its records, and everything that can be asked, as text."""

    rows: int
    answers: dict[str, str]

    def differing(self, other):
        """Return the names of the answers that are not the same, with the first place that differs."""
        pairs = ((name, self.answers[name], other.answers[name]) for name in self.answers)
        return [f"{name}: {_first_difference(one, two)}" for name, one, two in pairs if one != two]

    @classmethod
    def of(cls, lake):
        with connect(lake, (*ANSWERS, "cells"), frozen=EXPENSIVE_VIEWS) as connection:

            def ask(query):
                return connection.sql(query).fetchall()

            # Text, in which NaN equals itself: rows to the last digit; DuckDB's threads sum in any order.
            answers = {table: repr(ask(f"select * from lake.{table} order by all")) for table in TABLES}
            answers |= {view: repr(_rounded(ask(f"select * from {view} order by all"))) for view in ANSWERS}
            answers["cells"] = repr(ask(CELLS))
            return cls(ask("select count(*) from lake.records")[0][0], answers)


def _rounded(rows):
    return [[f"{value:.12g}" if isinstance(value, float) else value for value in row] for row in rows]


def _first_difference(one, two):
    place = next((n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), 0)
    return f"{one[max(place - 80, 0) : place + 80]} | {two[max(place - 80, 0) : place + 80]}"


def rows_written(lake):
    """Count the rows of records in a lake's files, those of unfinished cells too."""
    return sum(pq.read_metadata(path).num_rows for path in Path(lake, "records").rglob("*.parquet"))


def tell(fault, times, before, after, differing):
    """Add a line to the table, whatever it says, then insist that nothing differs."""
    LINES.append(f"| {fault} | {times} | {before} | {after} | {'**no**' if differing else 'yes'} |")
    assert not differing
