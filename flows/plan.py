"""`u1 plan`: the cells a sweep would run, and what they cost. Runs nothing."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from flows.sweep import Request
from u1core.cells import Cell, cell_states
from u1core.cost import Cost, estimate
from u1core.datasets import known_fingerprint
from u1core.lake.store import MARK, Lake


@dataclass(frozen=True)
class Planned:
    """One cell of the plan; no cost where the network cannot be built."""

    cell: Cell
    state: str
    images: int
    cost: Cost | None


def make_plan(request: Request) -> list[Planned]:
    """Return the grid of a request with states and costs."""
    lake = Lake.open(request.places.lake) if (request.places.lake / MARK).is_file() else None
    rows = lake.cells() if lake else {}
    fingerprints = {
        d.id: known_fingerprint(d, request.places.cache, request.places.data_dir) or "unknown"
        for d in request.datasets
    }
    cells = request.cells(fingerprints)
    planned = []
    for cell, state in zip(cells, cell_states(cells, lake), strict=True):
        images = sum(
            n if cell.limit is None else min(n, cell.limit)
            for n in (cell.dataset.images_memory or 0, cell.dataset.images_query or 0)
        )
        planned.append(Planned(cell, state, images, estimate(cell, images, request.runtime, rows.values())))
    return planned


def print_plan(request: Request, out: Console) -> None:
    """Print the plan as a table with its sums."""
    planned = make_plan(request)
    table = Table("cell", "state", title=f"plan for {request.places.lake}", title_justify="left")
    for name in ("images", "GFLOP/image", "lake MB", "memory MB", "minutes"):
        table.add_column(name, justify="right")
    for p in planned:
        cost = p.cost
        table.add_row(str(p.cell), p.state, str(p.images or "?"), *(cost.columns() if cost else ("?",) * 4))
    out.print(table)
    todo = [p for p in planned if p.state != "done"]
    costs = [p.cost for p in todo if p.cost]
    out.print(
        f"{len(todo)} of {len(planned)} cells to run: {sum(p.images for p in todo)} images, "
        f"about {sum(c.lake_bytes for c in costs) / 1e6:.0f} MB, "
        f"{sum(c.seconds for c in costs) / 60:.1f} minutes "
        "(~ by nominal rates: this lake has not measured the model yet)",
        highlight=False,
    )
