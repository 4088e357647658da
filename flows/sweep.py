"""The sweep: plan, decode, fetch weights, extract, fit frames, search memory, commit, check, report.

    u1 sweep --models 'efficientnet_lite*' --datasets cifar10,digits --limit 400

Three models x two datasets of 2 x 400 images take about three minutes on two cores.
"""

# No postponed annotations here: Prefect reads the flow's parameters from them when it is deployed.
import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed

from flows.options import Options
from flows.progress import publishing
from flows.request import Request
from flows.runners import cells_at_once, check_scheduler, run_to_result, workplace
from tasks.cells import record_failure, run_cell
from tasks.datasets import decode_dataset
from tasks.events import Announced, Waiting, tell
from tasks.jobs import Job, Places
from tasks.results import DIGEST, conclude_lake, publish
from tasks.weights import fetch_weights
from u1core.catalog.entries import DatasetEntry, ModelEntry, Preprocessing
from u1core.cells.cell import Cell, cell_states
from u1core.common.errors import U1Error
from u1core.lake.store import Lake, writing_to
from u1core.networks.preprocess import preprocessing_of


@dataclass(frozen=True)
class Ending:
    """How one cell ended, or a training run, or a model that could not even be named in full."""

    name: str
    status: str  # 'computed', 'found' or 'failed'
    error: str = ""


@dataclass(frozen=True)
class Result:
    """What a sweep gave.

    `left_out` has reasons by the ids of models that a glob matched but that have no optical path; `counted`
    says what the endings are of. `moved` figures moved by more than `drift`, where that was asked for;
    `pictures` says where those of each data set went; `by_cell` what each cell says of each claim.
    """

    endings: tuple[Ending, ...]
    claims: tuple[dict[str, str], ...]
    failing_checks: dict[str, int]
    report: Path
    left_out: Mapping[str, str]
    counted: str = "cells"
    moved: int = 0
    drift: float | None = None
    pictures: tuple[str, ...] = ()
    by_cell: tuple[dict[str, str], ...] = ()

    def count(self, status: str) -> int:
        """Return how many cells ended so."""
        return sum(ending.status == status for ending in self.endings)

    @property
    def complete(self) -> bool:
        """Whether everything asked for was done, and no more moved than was asked for."""
        has_drifted = self.drift is not None and self.moved > 0
        return not self.count("failed") and not self.failing_checks and not has_drifted

    @property
    def digest(self) -> Path:
        """What was done and what moved, as Markdown."""
        return self.report.with_name(DIGEST)

    @property
    def summary(self) -> str:
        """What was done, in one line."""
        return summarise(self.endings, self.counted)


def summarise(endings: Sequence[Ending], counted: str) -> str:
    """Say in one line how many ended how."""
    ends = Counter(ending.status for ending in endings)
    done = f"{ends['computed']} {counted} computed, {ends['found']} found done, {ends['failed']} failed"
    return done if ends["computed"] or ends["failed"] else f"{done}: nothing to compute"


def sweep(options: Options) -> Result:
    """Run a sweep. A failed cell is an ending, never an exception."""
    request = Request.of(options)
    check_scheduler(options)
    Lake.open(request.places.lake, create=True)  # first: the report may lie in the new lake's folder
    report_file(options.report)
    return run_to_result(run_sweep, options, cells_at_once(options, request.runtime.device))


@flow(name="u1-sweep", flow_run_name="sweep {options.models} x {options.datasets}", persist_result=False)
def run_sweep(options: Options) -> State[Result]:
    """Run the missing cells, then the checks, the claims and the report; every step is a task.

    A partial grid is never green: with a failed cell or check the run ends Failed, the results kept.
    """
    request = Request.of(options)
    lake = Lake.open(request.places.lake, create=True)
    report = report_file(options.report)
    with lake.alone(waiting):
        endings = compute_missing(request, lake)
        mistaken = [Ending(model, "failed", reason) for model, reason in request.selection.failed.items()]
        left_out, drift = request.selection.left_out, options.drift
        result = conclude(request.places.lake, report, (*mistaken, *endings), left_out, drift=drift)
    ended = Completed if result.complete else Failed
    return ended(message=result.summary, data=result)


def report_file(folder: Path) -> Path:
    """Return the report's file in a folder, which is made.

    Raises:
        U1Error: Nothing can be written there.
    """
    report = Path(os.path.realpath(folder), "index.html")
    with writing_to(report.parent, "report"):
        report.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=report.parent).close()
    return report


def waiting(taken: U1Error) -> None:
    """Tell that the lake is another sweep's for now."""
    tell(Waiting(taken.got))


def compute_missing(request: Request, lake: Lake) -> list[Ending]:
    """Decode, fetch, compute the missing cells."""
    fingerprints, reasons = decode(request.datasets, request.places)
    lost = [
        lose_cell(request, cell, reason)
        for dataset, reason in reasons.items()
        for cell in request.cells({dataset: "unknown"})
    ]
    found, missing = sort_cells(request.cells(fingerprints), lake)
    pinned, unfetched = fetch(missing, request.runtime.models_dir)
    if pinned:
        # Their cells have other keys now that the weights' sha256 is known: the lake may hold those.
        found, missing = sort_cells(request.with_models(pinned).cells(fingerprints), lake)
    lake.select(*(cell.id for cell in found))
    lacking = {c.key: unfetched[c.model.id] for c in missing if c.is_trained and c.model.id in unfetched}
    lost += [lose_cell(request, cell, lacking[cell.key]) for cell in missing if cell.key in lacking]
    jobs = plan_jobs(request, [cell for cell in missing if cell.key not in lacking])
    computed = compute(request, jobs) if jobs else []
    return [*lost, *(Ending(str(cell), "found") for cell in found), *computed]


def compute(request: Request, jobs: list[Job]) -> list[Ending]:
    """Run cells where the sweep was asked to; they end in any order and are gathered in that of the grid."""
    tell(Announced(count_images(jobs)))
    with workplace(request.options, request.runtime.device) as place, publishing():
        running = [(job, run_cell.submit(job, place)) for job in jobs]
        return [gather_cell(job, future) for job, future in running]


def count_images(jobs: list[Job]) -> dict[str, int]:
    """Return the images of each job by its name; a dataset is opened once."""
    first = {job.cell.dataset.id: job for job in jobs}
    sizes = {dataset: len(job.open().positions) for dataset, job in first.items()}
    return {job.name: sizes[job.cell.dataset.id] for job in jobs}


def decode(datasets: Sequence[DatasetEntry], places: Places) -> tuple[dict[str, str], dict[str, str]]:
    """Decode every dataset once; return fingerprints by id, and reasons by the ids of those that are lost."""
    fingerprints, lost = {}, {}
    for dataset in datasets:
        state = decode_dataset(dataset, places, return_state=True)
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


def fetch(cells: Sequence[Cell], models_dir: Path | None) -> tuple[dict[str, ModelEntry], dict[str, str]]:
    """Fetch what cells need; return the models whose sha256 is known only now, and reasons by lost model."""
    pinned, lost = {}, {}
    for model, entry in {cell.model.id: cell.model for cell in cells if cell.is_trained}.items():
        state = fetch_weights(entry, models_dir, return_state=True)
        result = state.result(raise_on_failure=False)
        if not isinstance(result, ModelEntry):
            lost[model] = one_line(result)
        elif result != entry:
            pinned[model] = result
    return pinned, lost


def lose_cell(request: Request, cell: Cell, reason: str) -> Ending:
    """Write down that a cell failed because its images or its weights could not be had."""
    record_failure(Job(cell, request.places, request.runtime), reason)
    return Ending(str(cell), "failed", reason)


def plan_jobs(request: Request, cells: list[Cell]) -> list[Job]:
    """Make a job of every cell; each knows the preprocessings of the others over the same pictures."""
    wanted: dict[str, dict[Preprocessing, None]] = {}
    for cell in cells:
        wanted.setdefault(cell.dataset.id, {})[preprocessing_of(cell.model)] = None
    return [Job(cell, request.places, request.runtime, tuple(wanted[cell.dataset.id])) for cell in cells]


def gather_cell(job: Job, future: PrefectFuture[None]) -> Ending:
    """Wait for a cell; write down its error if there is one."""
    error = future.result(raise_on_failure=False)
    if not isinstance(error, BaseException):
        return Ending(job.name, "computed")
    record_failure(job, one_line(error))
    return Ending(job.name, "failed", one_line(error))


def conclude(
    lake: Path | str,
    report: Path,
    endings: Sequence[Ending],
    left_out: Mapping[str, str] = MappingProxyType({}),
    counted: str = "cells",
    drift: float | None = None,
) -> Result:
    """Check the lake, evaluate the claims, write report and digest, publish the artifacts."""
    rows = [vars(ending) for ending in endings]
    said = conclude_lake(lake, report, summarise(endings, counted), rows, drift)
    publish(rows, said.claims, said.digest)
    return Result(
        tuple(endings),
        said.claims,
        said.failing_checks,
        report,
        left_out,
        counted,
        said.moved,
        drift,
        said.pictures,
        said.by_cell,
    )


def one_line(error: object) -> str:
    """Return an error as one line; where it is not a user's mistake, with its type and the failed step."""
    text = " ".join(str(error).split())
    if isinstance(error, U1Error):
        return text
    steps = "".join(f", {step}" for step in getattr(error, "__notes__", []))
    return f"{type(error).__name__}{steps}: {text}"
