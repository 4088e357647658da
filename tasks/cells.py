"""The steps of one cell, as tasks. Each resumes: what the lake already holds is not computed again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from tasks.jobs import Job, ProgressFile
from u1core import complete, extract, search
from u1core.errors import U1Error


def worth_retrying(task: Task[Any, Any], run: TaskRun, state: State[Any]) -> bool:
    """Retry what a second try can mend; a user's mistake stays one."""
    try:
        state.result()
    except U1Error:
        return False
    except Exception:
        return True
    return False


class _ProgressArtifact:
    """Progress for those who watch in Prefect's UI, at most one update in five seconds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._id: UUID | None = None
        self._last = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done < total and now - self._last < 5:
            return
        self._last = now
        percent = 100.0 * done / max(total, 1)
        if self._id is None:
            created = create_progress_artifact(percent, description=f"{self.name}: images extracted")
            self._id = created if isinstance(created, UUID) else None
        else:
            update_progress_artifact(self._id, percent)


@task(
    task_run_name="extract {job.name}",
    retries=2,
    retry_delay_seconds=5,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def extract_cell(job: Job) -> None:
    """Write the records and vectors of a cell's missing parts."""
    file, artifact = ProgressFile(job.progress_file), _ProgressArtifact(job.name)

    def progress(done: int, total: int, phases: Mapping[str, float]) -> None:
        file(done, total)
        artifact(done, total)

    extract.extract(job.cell, job.open_images(), job.open_lake(), job.runtime, progress, job.also)


@task(
    task_run_name="fit frames of {job.name}",
    retries=1,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def fit_cell_frames(job: Job) -> None:
    """Write the frames, energy maps and angles of an extracted cell."""
    images, lake = job.open_images(), job.open_lake()
    complete.fit_frames(job.cell, lake, extract.load_sums(job.cell, images, lake), images.class_names)


@task(
    task_run_name="search memory of {job.name}",
    retries=1,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def search_cell_memory(job: Job) -> None:
    """Write the nearest memory images of every query image of a cell."""
    search.search_memory(job.cell, job.open_lake(), job.open_images(), job.runtime.device)


@task(task_run_name="commit {job.name}", retries=1, retry_condition_fn=worth_retrying, cache_policy=NO_CACHE)
def commit_cell(job: Job) -> None:
    """Write the commit mark of a cell: from now on it is readable."""
    images, lake = job.open_images(), job.open_lake()
    complete.commit(job.cell, lake, images, extract.load_sums(job.cell, images, lake), job.runtime)


@task(task_run_name="record failure of {job.name}", cache_policy=NO_CACHE)
def record_failure(job: Job, error: str) -> None:
    """Write down why a cell failed."""
    complete.fail(job.cell, job.open_lake(), error)
