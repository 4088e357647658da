"""The sweep: plan, materialise, fetch weights, extract, fit frames, search memory, commit, check, report.

    u1 sweep --models 'efficientnet_lite*' --datasets cifar10,digits --limit 400

Three models x two datasets of 2 x 400 images take about three minutes on two cores.
"""

# No postponed annotations here: Prefect reads the flow's parameters from them when it is deployed.
import gc
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Failed

from flows.progress import announce
from flows.runners import task_runner
from tasks.cells import commit_cell, extract_cell, fit_cell_frames, record_failure, search_cell_memory
from tasks.datasets import materialise_dataset
from tasks.jobs import Job, Places
from tasks.results import conclude_lake, publish
from tasks.weights import fetch_weights
from u1core.catalog import DatasetEntry, ModelEntry, load_catalog
from u1core.cells import PRECISIONS, Cell, cell_states, check_choice
from u1core.datasets import default_cache
from u1core.errors import U1Error
from u1core.extract import Runtime, resolve_device
from u1core.lake.store import Lake, writing_to
from u1core.networks import Selection, select_networks
from u1core.variants import VARIANTS, select_variants
from u1core.weights import pin_if_here


@dataclass(frozen=True)
class Options:
    """What a sweep is asked for, in plain values: the parameters of the flow and of its deployments.

    Attributes:
        models: Model ids, globs or references such as `timm:*resnet*`, separated by commas.
        datasets: Dataset ids or globs.
        lake: Folder of the lake.
        report: Folder of the report.
        limit: Class-balanced images per split; None for all.
        location_limit: Of them, images per split for the location memory; 0 for none.
        variants: Names, globs or groups of variants ('controls', 'jitter'), separated by commas.
        precision: Arithmetic of the forward pass.
        device: A torch device, or 'auto'.
        batch_size: Images per forward pass; None chooses.
        catalog: TOML file with entries of one's own.
        models_dir: Folder of weights files.
        data_dir: Folder of datasets already on this machine.
    """

    models: str = "*"
    datasets: str = "*"
    lake: Path = Path("lake")
    report: Path = Path("report")
    limit: int | None = None
    location_limit: int = 1000
    variants: str = "original"
    precision: str = "float32"
    device: str = "auto"
    batch_size: int | None = None
    catalog: Path | None = None
    models_dir: Path | None = None
    data_dir: Path | None = None


@dataclass(frozen=True)
class Request:
    """A sweep's options, checked and resolved against the catalog and this machine."""

    selection: Selection
    datasets: tuple[DatasetEntry, ...]
    variants: tuple[str, ...]
    precision: str
    limit: int | None
    location_limit: int
    places: Places
    runtime: Runtime

    @classmethod
    def of(cls, options: Options) -> Self:
        """Check every option before anything runs.

        Raises:
            U1Error: An option names something that does not exist.
        """
        catalog = load_catalog(options.catalog)
        check_choice("--precision", options.precision, PRECISIONS)
        # Absolute, because a worker may have another working directory.
        data_dir, models_dir = (
            _folder("--data-dir", options.data_dir),
            _folder("--models-dir", options.models_dir),
        )
        selection = select_networks(catalog, options.models)
        models = tuple(pin_if_here(model, models_dir) for model in selection.models)
        return cls(
            selection=replace(selection, models=models),
            datasets=tuple(catalog.select_datasets(options.datasets)),
            variants=select_variants(options.variants),
            precision=options.precision,
            limit=options.limit,
            location_limit=options.location_limit,
            places=Places(options.lake.resolve(), default_cache().resolve(), data_dir),
            runtime=Runtime(resolve_device(options.device), options.batch_size, models_dir),
        )

    def cells(self, fingerprints: dict[str, str]) -> list[Cell]:
        """Return the grid over the datasets with a known fingerprint, dataset by dataset."""
        return [
            Cell(
                model,
                dataset,
                fingerprints[dataset.id],
                variant,
                VARIANTS[variant].precision or self.precision,
                self.limit,
                # One channel has no direction to compare.
                0 if model.is_baseline else self.location_limit,
            )
            for dataset in self.datasets
            if dataset.id in fingerprints
            for model in self.selection.models
            for variant in self.variants
            if not model.is_baseline or VARIANTS[variant].shows_in_pictures
        ]


def _folder(option: str, path: Path | None) -> Path | None:
    if path is not None and not path.is_dir():
        raise U1Error(f"{option} to name a folder", str(path), "check the name, or leave the option out")
    return None if path is None else path.resolve()


@dataclass(frozen=True)
class Outcome:
    """How one cell, or a model that could not even be named in full, ended."""

    name: str
    status: str  # 'computed', 'found' or 'failed'
    error: str = ""


@dataclass(frozen=True)
class Result:
    """What a sweep gave.

    `left_out` has reasons by the ids of models that a glob matched but that have no optical path.
    """

    outcomes: tuple[Outcome, ...]
    claims: tuple[dict[str, str], ...]
    failing_checks: dict[str, int]
    report: Path
    left_out: dict[str, str]

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
        done = f"{computed} cells computed, {found} found done, {failed} failed"
        return done if computed or failed else f"{done}: nothing to compute"


def sweep(options: Options, runner: str = "local", dask_address: str | None = None) -> Result:
    """Run a sweep on the runner asked for. A failed cell is an outcome, never an exception."""
    request = Request.of(options)
    Lake.open(request.places.lake, create=True)
    with task_runner(runner, request.runtime.device, dask_address) as chosen:
        state = run_sweep.with_options(task_runner=chosen)(options, return_state=True)
    result = state.result(raise_on_failure=False)
    if isinstance(result, U1Error):
        # A copy: the original's traceback would hold DuckDB's objects beyond the end of the interpreter.
        result, state = U1Error(result.expected, result.got, result.todo), None
        gc.collect()
    if isinstance(result, BaseException):
        raise result
    return result


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
        result = run_cells(request, lake, report)
    return result if result.complete else Failed(message=result.summary, data=result)


def run_cells(request: Request, lake: Lake, report: Path) -> Result:
    """Materialise, fetch, extract, fit, search, commit, conclude."""
    fingerprints, lost = materialise(request)
    request, unfetched = fetch(request, fingerprints, lake)
    found, missing = sort_cells(request.cells(fingerprints), lake)
    for cell in found:
        lake.select(cell.id)
    reasons = {c.key: unfetched[c.model.id] for c in missing if c.is_trained and c.model.id in unfetched}
    lost += [lose_cell(request, cell, reasons[cell.key]) for cell in missing if cell.key in reasons]
    jobs = [Job(cell, request.places, request.runtime) for cell in missing if cell.key not in reasons]
    announce(jobs, request.places.lake)
    running = [(job, submit_cell(job)) for job in jobs]
    computed = [gather_cell(job, futures) for job, futures in running]
    outcomes = (*lost, *(Outcome(str(cell), "found") for cell in found), *computed)
    return conclude(request, report, outcomes)


def materialise(request: Request) -> tuple[dict[str, str], list[Outcome]]:
    """Decode every dataset once; return fingerprints by id, and the datasets that could not be had."""
    futures = [(d.id, materialise_dataset.submit(d, request.places)) for d in request.datasets]
    fingerprints, lost = {}, []
    for dataset, future in futures:
        result = future.result(raise_on_failure=False)
        if isinstance(result, str):
            fingerprints[dataset] = result
        else:
            cells, reason = request.cells({dataset: "unknown"}), one_line(result)
            lost += [lose_cell(request, cell, reason) for cell in cells]
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
    futures = [(id_, fetch_weights.submit(m, request.runtime.models_dir)) for id_, m in needed.items()]
    pinned, failed = {}, {}
    for model, future in futures:
        result = future.result(raise_on_failure=False)
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


def submit_cell(job: Job) -> list[PrefectFuture[Any]]:
    """Chain the steps of one cell; a step runs only when the one before it succeeded."""
    extracted = extract_cell.submit(job)
    fitted = fit_cell_frames.submit(job, wait_for=[extracted])
    searched = search_cell_memory.submit(job, wait_for=[fitted])
    return [extracted, fitted, searched, commit_cell.submit(job, wait_for=[searched])]


def gather_cell(job: Job, futures: Iterable[PrefectFuture[Any]]) -> Outcome:
    """Wait for a cell; write down the first error of its chain."""
    results = (future.result(raise_on_failure=False) for future in futures)
    error = next((result for result in results if isinstance(result, BaseException)), None)
    if error is None:
        return Outcome(job.name, "computed")
    record_failure(job, one_line(error))
    return Outcome(job.name, "failed", one_line(error))


def conclude(request: Request, report: Path, outcomes: tuple[Outcome, ...]) -> Result:
    """Check the lake, evaluate the claims, write the report, publish the artifacts."""
    said = conclude_lake(request.places.lake, report)
    mistaken = [Outcome(model, "failed", reason) for model, reason in request.selection.failed.items()]
    outcomes = (*mistaken, *outcomes)
    publish([vars(outcome) for outcome in outcomes], said.claims)
    return Result(outcomes, said.claims, said.failing_checks, report, request.selection.left_out)


def one_line(error: object) -> str:
    """Return an error as one line, with its type where it is not a user's mistake."""
    text = " ".join(str(error).split())
    return text if isinstance(error, U1Error) else f"{type(error).__name__}: {text}"
