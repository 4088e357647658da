"""`u1 plan`: the cells a sweep would run, and what they cost. Runs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from flows.request import Request
from u1core.catalog import DatasetEntry
from u1core.cells import Cell, cell_states
from u1core.cost import Cost, estimate
from u1core.datasets import find_cached
from u1core.errors import U1Error
from u1core.lake.store import Lake
from u1core.weights import find_weights, weights_status


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
    history = list(lake.cells().values()) if lake else []
    fingerprints = {dataset.id: _fingerprint(dataset, request) for dataset in request.datasets}
    cells = request.cells(fingerprints)
    states = cell_states(cells, lake)
    return [_planned(cell, state, request, history) for cell, state in zip(cells, states, strict=True)]


def _planned(cell: Cell, state: str, request: Request, history: list[dict[str, Any]]) -> Planned:
    images, models_dir = _images(cell, request), request.runtime.models_dir
    try:
        cost = estimate(cell, images, request.runtime, history)
    except U1Error as e:
        return Planned(cell, state, images, None, str(e))
    obstacle = weights_status(cell.model, models_dir) if cell.is_trained else None
    if obstacle or not cell.is_trained or find_weights(cell.model, models_dir):
        return Planned(cell, state, images, cost, obstacle or "")
    return Planned(cell, state, images, cost, "", cell.model.weights)


def _fingerprint(dataset: DatasetEntry, request: Request) -> str:
    """Return the proven fingerprint, or that of the decoded images, or a placeholder no cell has."""
    if dataset.fingerprint:
        return dataset.fingerprint
    images = find_cached(dataset, request.places.cache, request.places.data_dir)
    return images.fingerprint if images else "not decoded yet"


def _images(cell: Cell, request: Request) -> int:
    dataset = cell.dataset
    sizes = [dataset.images_memory, dataset.images_query]
    if None in sizes and (images := find_cached(dataset, request.places.cache, request.places.data_dir)):
        sizes = [int((~images.is_query).sum()), int(images.is_query.sum())]
    return sum(min(n or 0, cell.limit or n or 0) for n in sizes)


def print_plan(request: Request, out: Console) -> None:
    """Print the plan as a table with its sums."""
    planned = make_plan(request)
    table = Table("cell", "state", title=f"plan for {request.places.lake}", title_justify="left")
    for name in ("images", "GFLOP/image", "lake MB", "memory MB", "minutes"):
        table.add_column(name, justify="right")
    for p in planned:
        table.add_row(str(p.cell), p.state, str(p.images or "?"), *(p.cost.columns() if p.cost else "????"))
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
    for line in _remarks(request, todo):
        out.print(line, highlight=False, markup=False, emoji=False)


def _remarks(request: Request, todo: list[Planned]) -> list[str]:
    """Say what has to be fetched, what will fail and what a glob left out."""
    fetches = sorted({p.fetches for p in todo if p.fetches})
    failed = {f"{model}: {reason}" for model, reason in request.selection.failed.items()}
    obstacles = sorted(failed | {p.obstacle for p in todo if p.obstacle})
    return [
        *([f"to be fetched first: {', '.join(fetches)}"] if fetches else []),
        *(f"will fail: {obstacle}" for obstacle in obstacles),
        *(f"left out: {model}: {reason}" for model, reason in request.selection.left_out.items()),
    ]
