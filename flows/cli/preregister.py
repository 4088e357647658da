"""`u1 preregister`: what a sweep will compute and be judged by, written into the lake before it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.options import Options
from flows.request import Request
from u1core.cells.cell import Cell, cell_states
from u1core.cells.variants import VARIANTS
from u1core.common.errors import U1Error
from u1core.common.text import harmless
from u1core.images.cache import open_images
from u1core.lake.registrations import Registration, register
from u1core.lake.store import Lake
from u1core.networks.weights import pin

_DECIDE = ("models", "datasets", "variants", "limit", "location_limit", "memory", "precision")
"""Options that decide which cells a sweep has."""


def print_registration(request: Request, out: Console) -> None:
    """Register the cells of a request and print what was registered.

    Raises:
        U1Error: Images or weights can't be had, there is no cell, or a sweep is writing to the lake.
    """
    cells = planned_cells(request)
    lake = Lake.open(request.places.lake, create=True)
    with lake.alone():
        states = cell_states(cells, lake)
        registration = register(lake, [cell.id for cell in cells], _seeds(cells), _asked(request.options))
    out.print(_table(cells, states))
    for line in _lines(request, registration, cells, states):
        out.print(line, highlight=False, markup=False, emoji=False)


def planned_cells(request: Request) -> list[Cell]:
    """Return the cells that a sweep of this request will run, with the keys that they will have.

    Data sets are decoded whose fingerprint nobody promised, weights fetched whose sha256 nobody did.

    Raises:
        U1Error: One of them can't be had, or there is no cell.
    """
    places, models_dir = request.places, request.runtime.models_dir
    fingerprints = {
        dataset.id: dataset.fingerprint or open_images(dataset, places.cache, places.data_dir).fingerprint
        for dataset in request.datasets
    }
    asked = {cell.model.id: cell.model for cell in request.cells(fingerprints) if cell.is_trained}
    pinned = {model: pin(entry, models_dir) for model, entry in asked.items() if not entry.sha256}
    cells = request.with_models(pinned).cells(fingerprints)
    if not cells:
        reasons = {**request.selection.failed, **request.selection.left_out}
        got = "; ".join(f"{model}: {reason}" for model, reason in reasons.items()) or "none"
        raise U1Error("at least one cell to register", got, "name other models, data sets or variants")
    return cells


def _seeds(cells: Sequence[Cell]) -> list[int]:
    return sorted({VARIANTS[cell.variant].seed for cell in cells if not VARIANTS[cell.variant].trained})


def _asked(options: Options) -> dict[str, object]:
    return {name: getattr(options, name) for name in _DECIDE}


def _table(cells: Sequence[Cell], states: Sequence[str]) -> Table:
    """Count the cells of every model and data set, and those that the lake holds done."""
    table = Table("model", "dataset", title="registered", title_justify="left")
    table.add_column("cells", justify="right")
    table.add_column("done before", justify="right")
    names = [(cell.model.id, cell.dataset.id) for cell in cells]
    done = Counter(name for name, state in zip(names, states, strict=True) if state == "done")
    for name, count in Counter(names).items():
        table.add_row(*map(escape, name), str(count), str(done[name]))
    return table


def _lines(
    request: Request, registration: Registration, cells: Sequence[Cell], states: Sequence[str]
) -> Iterator[str]:
    """Say what was registered, and what of it can't count."""
    when = f"{registration.registered_at:%Y-%m-%d %H:%M:%S} UTC"
    told = "registered" if registration.is_new else "known: registered already"
    yield f"{len(cells)} cells {told} in {harmless(str(request.places.lake))} at {when}"
    yield f"registration {registration.key}, rules {registration.rules_sha256[:16]}"
    if seeds := _seeds(cells):
        yield f"seeds of random weights: {', '.join(map(str, seeds))}"
    if done := states.count("done"):
        yield f"{done} of the cells are done already: these don't count as registered"
    selection = request.selection
    for model, reason in {**selection.failed, **selection.left_out}.items():
        yield f"not registered: {model}: {reason}"
