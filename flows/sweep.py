"""The sweep: plan, materialise, extract, fit frames, search memory, commit, check, report.

    u1 sweep --models 'efficientnet_lite*' --datasets cifar10,digits --limit 400

Three models x two datasets of 2 x 400 images take about three minutes on two cores.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import tasks  # noqa: F401  (its defaults must be set before prefect is imported)
from prefect import flow
from prefect.futures import PrefectFuture

from flows.runners import task_runner
from tasks.cells import commit_cell, extract_cell, fit_cell_frames, record_failure, search_cell_memory
from tasks.datasets import materialise_dataset
from tasks.jobs import Job, Places
from tasks.results import check_lake, evaluate_claims, publish, render_report
from u1core.catalog import DatasetEntry, ModelEntry
from u1core.cells import Cell, cell_states
from u1core.errors import U1Error
from u1core.extract import Runtime
from u1core.lake.store import Lake


@dataclass(frozen=True)
class Request:
    """What a sweep is asked for."""

    models: tuple[ModelEntry, ...]
    datasets: tuple[DatasetEntry, ...]
    places: Places
    report: Path
    runtime: Runtime = field(default_factory=Runtime)
    variants: tuple[str, ...] = ("original",)
    precision: str = "float32"
    limit: int | None = None

    @property
    def name(self) -> str:
        """A readable run name."""
        return f"{len(self.models)} models x {len(self.datasets)} datasets"

    def cells(self, fingerprints: dict[str, str]) -> list[Cell]:
        """Return the grid over the datasets that could be materialised, dataset by dataset."""
        return [
            Cell(model, dataset, fingerprints[dataset.id], variant, self.precision, self.limit)
            for dataset in self.datasets
            if dataset.id in fingerprints
            for model in self.models
            for variant in self.variants
        ]


@dataclass(frozen=True)
class Outcome:
    """How one cell, or one dataset that could not be had, ended."""

    name: str
    status: str  # 'computed', 'found' or 'failed'
    error: str = ""


@dataclass(frozen=True)
class Result:
    """What a sweep gave."""

    outcomes: tuple[Outcome, ...]
    claims: tuple[dict[str, str], ...]
    failing_checks: dict[str, int]
    report: Path | None


class Watcher(Protocol):
    """Whoever wants to follow a sweep."""

    def announce(self, jobs: Sequence[tuple[Job, int]]) -> None:
        """Learn the jobs to run and the images of each."""

    def finish(self, job: Job, status: str) -> None:
        """Learn how a job ended."""


def sweep(
    request: Request, runner: str = "local", dask_address: str | None = None, watcher: Watcher | None = None
) -> Result:
    """Run a sweep on the runner asked for. A failed cell is an outcome, never an exception."""
    Lake.open(request.places.lake, create=True)
    with task_runner(runner, request.runtime.device, dask_address) as chosen:
        return run_sweep.with_options(task_runner=chosen)(request, watcher)


@flow(name="u1-sweep", flow_run_name="sweep {request.name}", validate_parameters=False, persist_result=False)
def run_sweep(request: Request, watcher: Watcher | None = None) -> Result:
    """Read like a method section; every step is a task."""
    fingerprints, lost = materialise(request)
    cells = request.cells(fingerprints)
    lake = Lake.open(request.places.lake)
    found = [cell for cell, state in zip(cells, cell_states(cells, lake), strict=True) if state == "done"]
    for cell in found:
        lake.select(cell.id)
    jobs = [Job(cell, request.places, request.runtime) for cell in cells if cell not in found]
    if watcher:
        watcher.announce([(job, job.images()) for job in jobs])
    running = [(job, submit_cell(job)) for job in jobs]
    computed = [gather_cell(job, futures, watcher) for job, futures in running]
    outcomes = (*lost, *(Outcome(str(cell), "found") for cell in found), *computed)
    return conclude(request, outcomes)


def materialise(request: Request) -> tuple[dict[str, str], list[Outcome]]:
    """Decode every dataset once; return fingerprints by id, and the datasets that could not be had."""
    futures = [(d.id, materialise_dataset.submit(d, request.places)) for d in request.datasets]
    fingerprints, lost = {}, []
    for dataset, future in futures:
        result = future.result(raise_on_failure=False)
        if isinstance(result, str):
            fingerprints[dataset] = result
        else:
            lost.append(Outcome(f"dataset {dataset}", "failed", one_line(result)))
    return fingerprints, lost


def submit_cell(job: Job) -> list[PrefectFuture[Any]]:
    """Chain the steps of one cell; a step runs only when the one before it succeeded."""
    extracted = extract_cell.submit(job)
    fitted = fit_cell_frames.submit(job, wait_for=[extracted])
    searched = search_cell_memory.submit(job, wait_for=[fitted])
    return [extracted, fitted, searched, commit_cell.submit(job, wait_for=[searched])]


def gather_cell(job: Job, futures: Iterable[PrefectFuture[Any]], watcher: Watcher | None) -> Outcome:
    """Wait for a cell; write down the first error of its chain."""
    results = (future.result(raise_on_failure=False) for future in futures)
    error = next((result for result in results if isinstance(result, BaseException)), None)
    outcome = Outcome(job.name, "failed", one_line(error)) if error else Outcome(job.name, "computed")
    if error:
        record_failure(job, outcome.error)
    if watcher:
        watcher.finish(job, outcome.status)
    return outcome


def conclude(request: Request, outcomes: tuple[Outcome, ...]) -> Result:
    """Check the lake, evaluate the claims, write the report, publish the artifacts."""
    lake = request.places.lake
    failing = check_lake(lake)
    claims = evaluate_claims(lake)
    report = render_report(lake, request.report)
    publish([vars(outcome) for outcome in outcomes], claims)
    return Result(outcomes, tuple(claims), failing, report)


def one_line(error: object) -> str:
    """Return an error as one line, with its type where it is not a user's mistake."""
    text = " ".join(str(error).split())
    return text if isinstance(error, U1Error) else f"{type(error).__name__}: {text}"
