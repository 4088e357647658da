"""One cell as one task: its steps in order, wherever they run."""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from tasks.events import Ended, tell
from tasks.jobs import Job
from tasks.workplace import Workplace
from u1core.cells import finish
from u1core.common.errors import U1Error
from u1core.common.text import harmless


def worth_retrying(task: Task[Any, Any], run: TaskRun, state: State[Any]) -> bool:
    """Retry what a second try can mend; a user's mistake stays one, and so does code that calls itself."""
    try:
        state.result()
    except (U1Error, RecursionError):
        return False
    except Exception:
        return True
    return False


@task(
    task_run_name="{job.name}",
    retries=2,
    retry_delay_seconds=5,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def run_cell(job: Job, place: Workplace) -> None:
    """Extract a cell's missing parts, fit its frames, search its memory, commit it.

    One task and not four: each would open images and lake again, and cost the server as much as a cell.
    """
    place.compute(job)
    tell(Ended(job.name, "done"))


@task(task_run_name="record failure of {job.name}", cache_policy=NO_CACHE)
def record_failure(job: Job, error: str) -> None:
    """Write down why a cell failed."""
    finish.fail(job.cell, job.open_lake(), harmless(error))
    tell(Ended(job.name, "failed"))
