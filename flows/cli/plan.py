"""`u1 plan`: the cells a sweep would run, and what they cost. Runs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.cli.terminal import plain
from flows.request import Request
from u1core.catalog.entries import DatasetEntry
from u1core.cells.cell import Cell, cell_states
from u1core.cells.cost import Cost, estimate
from u1core.common.errors import U1Error
from u1core.images.cache import find_cached
from u1core.lake.store import Lake
from u1core.networks.weights import find_weights, weights_status


@dataclass(frozen=True)
class Planned:
    """One cell of the plan.

    Attributes:
        cell: The cell.
        state: 'to do', 'done', 'stale' or 'failed'.
        images: Images over both splits; 0 where the dataset is not decoded yet.
        cost: What it is expected to cost; None where the network cannot be built.
        obstacle: Why it cannot run as things are; empty if nothing is known against it.
        fetches: Weights that have to be fetched first; empty where they are here, or none are needed.
    """

    cell: Cell
    state: str
    images: int
    cost: Cost | None
    obstacle: str
    fetches: str = ""


def make_plan(request: Request) -> list[Planned]:
    """Return the grid of a request with states and costs."""
    lake = Lake.find(request.places.lake)
    history: dict[str, list[dict[str, Any]]] = {}
    for row in lake.cells().values() if lake else ():
        history.setdefault(row["model"], []).append(row)
    known = {dataset.id: _known(dataset, request) for dataset in request.datasets}
    cells = request.cells({dataset: fingerprint for dataset, (fingerprint, _) in known.items()})
    states = cell_states(cells, lake)
    return [
        _planned(cell, state, known[cell.dataset.id][1], request, history.get(cell.model.id, []))
        for cell, state in zip(cells, states, strict=True)
    ]


def _planned(
    cell: Cell, state: str, sizes: tuple[int, int], request: Request, history: list[dict[str, Any]]
) -> Planned:
    models_dir = request.runtime.models_dir
    if cell.memory == "held-out":
        sizes = (sizes[1] - sizes[1] // 2, sizes[1] // 2)  # classes of odd sizes apart
    images = sum(min(n, cell.limit or n) for n in sizes)
    try:
        cost = estimate(cell, images, request.runtime, history)
    except U1Error as e:
        return Planned(cell, state, images, None, str(e))
    obstacle = weights_status(cell.model, models_dir) if cell.is_trained else None
    if obstacle or not cell.is_trained or find_weights(cell.model, models_dir):
        return Planned(cell, state, images, cost, obstacle or "")
    return Planned(cell, state, images, cost, "", cell.model.weights)


def _known(dataset: DatasetEntry, request: Request) -> tuple[str, tuple[int, int]]:
    """Return fingerprint and images per split: as promised, else of the decoded images, else placeholders.

    No cell has the fingerprint 'not decoded yet'; images that nobody has counted are 0.
    """
    fingerprint, memory, query = dataset.fingerprint, dataset.images_memory, dataset.images_query
    if fingerprint and memory is not None and query is not None:
        return fingerprint, (memory, query)
    if images := find_cached(dataset, request.places.cache, request.places.data_dir):
        asked = int(images.is_query.sum())
        return fingerprint or images.fingerprint, (len(images) - asked, asked)
    return fingerprint or "not decoded yet", (memory or 0, query or 0)


def print_plan(request: Request, out: Console) -> None:
    """Print the plan as a table with its sums."""
    planned = make_plan(request)
    table = Table("cell", "state", title=f"plan for {plain(request.places.lake)}", title_justify="left")
    for name in ("images", "GFLOP/image", "lake MB", "memory MB", "minutes"):
        table.add_column(name, justify="right")
    for p in planned:
        table.add_row(
            escape(str(p.cell)), p.state, str(p.images or "?"), *(p.cost.columns() if p.cost else "????")
        )
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
    for line in _notices(request, todo):
        out.print(line, highlight=False, markup=False, emoji=False)


def _notices(request: Request, todo: list[Planned]) -> list[str]:
    """Say what has to be fetched, what will fail and what a glob left out."""
    fetches = sorted({p.fetches for p in todo if p.fetches})
    failed = {f"{model}: {reason}" for model, reason in request.selection.failed.items()}
    obstacles = sorted(failed | {p.obstacle for p in todo if p.obstacle})
    return [
        *([f"to be fetched first: {', '.join(fetches)}"] if fetches else []),
        *(f"will fail: {obstacle}" for obstacle in obstacles),
        *(f"left out: {model}: {reason}" for model, reason in request.selection.left_out.items()),
    ]
