"""The sweep: plan, materialise, fetch weights, extract, fit frames, search memory, commit, check, report.

    u1 sweep --models 'efficientnet_lite*' --datasets cifar10,digits --limit 400

Three models x two datasets of 2 x 400 images take about three minutes on two cores.
"""

# No postponed annotations here: Prefect reads the flow's parameters from them when it is deployed.
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Failed

from flows.progress import publishing
from flows.request import Options, Request
from flows.runners import cells_at_once, check_scheduler, run_to_result, workplace
from tasks.cells import record_failure, run_cell
from tasks.datasets import materialise_dataset
from tasks.events import Announced, tell
from tasks.jobs import Job, Places
from tasks.results import conclude_lake, publish
from tasks.weights import fetch_weights
from u1core.catalog import DatasetEntry, ModelEntry, Preprocessing
from u1core.cells import Cell, cell_states
from u1core.datasets import select_images
from u1core.errors import U1Error
from u1core.lake.store import Lake, writing_to
from u1core.networks import preprocessing_of


@dataclass(frozen=True)
class Outcome:
    """How one cell, or a model that could not even be named in full, ended."""

    name: str
    status: str  # 'computed', 'found' or 'failed'
    error: str = ""


@dataclass(frozen=True)
class Result:
    """What a sweep gave.

    `left_out` has reasons by the ids of models that a glob matched but that have no optical path; `counted`
    says what the outcomes are of.
    """

    outcomes: tuple[Outcome, ...]
    claims: tuple[dict[str, str], ...]
    failing_checks: dict[str, int]
    report: Path
    left_out: Mapping[str, str]
    counted: str = "cells"

    def count(self, status: str) -> int:
        """Return how many cells ended so."""
        return sum(outcome.status == status for outcome in self.outcomes)

    @property
    def complete(self) -> bool:
        """Whether everything asked for was done."""
        return not self.count("failed") and not self.failing_checks

    @property
    def summary(self) -> str:
        """What was done, in one line."""
        computed, found, failed = (self.count(status) for status in ("computed", "found", "failed"))
        done = f"{computed} {self.counted} computed, {found} found done, {failed} failed"
        return done if computed or failed else f"{done}: nothing to compute"


def sweep(options: Options) -> Result:
    """Run a sweep. A failed cell is an outcome, never an exception."""
    request = Request.of(options)
    check_scheduler(request.where)
    Lake.open(request.places.lake, create=True)
    return run_to_result(run_sweep, options, cells_at_once(request.where, request.runtime.device))


@flow(name="u1-sweep", flow_run_name="sweep {options.models} x {options.datasets}", persist_result=False)
def run_sweep(options: Options) -> Result | State[Result]:
    """Run the missing cells, then the checks, the claims and the report; every step is a task.

    A partial grid is never green: with a failed cell or check the run ends Failed, the results kept.
    """
    request = Request.of(options)
    lake = Lake.open(request.places.lake, create=True)
    report = options.report.resolve() / "index.html"
    with writing_to(report.parent):
        report.parent.mkdir(parents=True, exist_ok=True)
    with lake.alone():
        outcomes = compute_missing(request, lake)
        mistaken = [Outcome(model, "failed", reason) for model, reason in request.selection.failed.items()]
        result = conclude(request.places.lake, report, (*mistaken, *outcomes), request.selection.left_out)
    return result if result.complete else Failed(message=result.summary, data=result)


def compute_missing(request: Request, lake: Lake) -> list[Outcome]:
    """Materialise, fetch, compute the missing cells."""
    fingerprints, reasons = materialise(request.datasets, request.places)
    lost = [
        lose_cell(request, cell, reason)
        for dataset, reason in reasons.items()
        for cell in request.cells({dataset: "unknown"})
    ]
    request, unfetched = fetch(request, fingerprints, lake)
    found, missing = sort_cells(request.cells(fingerprints), lake)
    lake.select(*(cell.id for cell in found))
    lacking = {c.key: unfetched[c.model.id] for c in missing if c.is_trained and c.model.id in unfetched}
    lost += [lose_cell(request, cell, lacking[cell.key]) for cell in missing if cell.key in lacking]
    jobs = plan_jobs(request, [cell for cell in missing if cell.key not in lacking])
    computed = compute(request, jobs) if jobs else []
    return [*lost, *(Outcome(str(cell), "found") for cell in found), *computed]


def compute(request: Request, jobs: list[Job]) -> list[Outcome]:
    """Run cells where the sweep was asked to; they end in any order and are gathered in that of the grid."""
    tell(Announced(count_images(jobs)))
    with workplace(request.where, request.runtime.device) as place, publishing():
        running = [(job, run_cell.submit(job, place)) for job in jobs]
        return [gather_cell(job, future) for job, future in running]


def count_images(jobs: list[Job]) -> dict[str, int]:
    """Return the images of each job by its name; a dataset is opened once."""
    first = {job.cell.dataset.id: job for job in jobs}
    sizes = {dataset: len(select_images(job.open_images(), job.cell.limit)) for dataset, job in first.items()}
    return {job.name: sizes[job.cell.dataset.id] for job in jobs}


def materialise(datasets: Sequence[DatasetEntry], places: Places) -> tuple[dict[str, str], dict[str, str]]:
    """Decode every dataset once; return fingerprints by id, and reasons by the ids of those that are lost."""
    fingerprints, lost = {}, {}
    for dataset in datasets:
        state = materialise_dataset(dataset, places, return_state=True)
        result = state.result(raise_on_failure=False)
        if isinstance(result, str):
            fingerprints[dataset.id] = result
        else:
            lost[dataset.id] = one_line(result)
    return fingerprints, lost


def sort_cells(cells: list[Cell], lake: Lake) -> tuple[list[Cell], list[Cell]]:
    """Tell the cells that the lake holds from those to be run."""
    states = cell_states(cells, lake)
    found = [cell for cell, state in zip(cells, states, strict=True) if state == "done"]
    return found, [cell for cell, state in zip(cells, states, strict=True) if state != "done"]


def fetch(request: Request, fingerprints: dict[str, str], lake: Lake) -> tuple[Request, dict[str, str]]:
    """Fetch the weights that cells need; return the request with their sha256, and reasons by lost model."""
    _, missing = sort_cells(request.cells(fingerprints), lake)
    needed = {cell.model.id: cell.model for cell in missing if cell.is_trained}
    pinned, failed = {}, {}
    for model, entry in needed.items():
        state = fetch_weights(entry, request.runtime.models_dir, return_state=True)
        result = state.result(raise_on_failure=False)
        if isinstance(result, ModelEntry):
            pinned[model] = result
        else:
            failed[model] = one_line(result)
    models = tuple(pinned.get(model.id, model) for model in request.selection.models)
    return replace(request, selection=replace(request.selection, models=models)), failed


def lose_cell(request: Request, cell: Cell, reason: str) -> Outcome:
    """Write down that a cell failed because its images or its weights could not be had."""
    record_failure(Job(cell, request.places, request.runtime), reason)
    return Outcome(str(cell), "failed", reason)


def plan_jobs(request: Request, cells: list[Cell]) -> list[Job]:
    """Make a job of every cell; each knows the preprocessings of the others over the same pictures."""
    wanted: dict[str, dict[Preprocessing, None]] = {}
    for cell in cells:
        wanted.setdefault(cell.dataset.id, {})[preprocessing_of(cell.model)] = None
    return [Job(cell, request.places, request.runtime, tuple(wanted[cell.dataset.id])) for cell in cells]


def gather_cell(job: Job, future: PrefectFuture[None]) -> Outcome:
    """Wait for a cell; write down its error if there is one."""
    error = future.result(raise_on_failure=False)
    if not isinstance(error, BaseException):
        return Outcome(job.name, "computed")
    record_failure(job, one_line(error))
    return Outcome(job.name, "failed", one_line(error))


def conclude(
    lake: Path | str,
    report: Path,
    outcomes: Sequence[Outcome],
    left_out: Mapping[str, str] = MappingProxyType({}),
    counted: str = "cells",
) -> Result:
    """Check the lake, evaluate the claims, write the report, publish the artifacts."""
    said = conclude_lake(lake, report)
    publish([vars(outcome) for outcome in outcomes], said.claims)
    return Result(tuple(outcomes), said.claims, said.failing_checks, report, left_out, counted)


def one_line(error: object) -> str:
    """Return an error as one line; where it is not a user's mistake, with its type and the failed step."""
    text = " ".join(str(error).split())
    if isinstance(error, U1Error):
        return text
    steps = "".join(f", {step}" for step in getattr(error, "__notes__", []))
    return f"{type(error).__name__}{steps}: {text}"
