"""Pixels: decoded once per dataset, shared by every model."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.cells import worth_retrying
from tasks.events import Progress
from tasks.jobs import Places
from u1core.catalog import DatasetEntry
from u1core.datasets import materialise


@task(
    task_run_name="materialise {entry.id}",
    retries=1,
    retry_delay_seconds=5,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def materialise_dataset(entry: DatasetEntry, places: Places) -> str:
    """Decode a dataset into the cache, or find it there; return its fingerprint."""
    progress = Progress(entry.id, "decode")
    return materialise(entry, places.cache, places.data_dir, report=progress).fingerprint
