"""Pixels: decoded once per dataset, shared by every model."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.cells import worth_retrying
from tasks.events import Teller
from tasks.jobs import Places
from u1core.catalog.entries import DatasetEntry
from u1core.images.cache import open_images


@task(
    task_run_name="decode {entry.id}",
    retries=1,
    retry_delay_seconds=5,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def decode_dataset(entry: DatasetEntry, places: Places) -> str:
    """Decode a dataset into the cache, or find it there; return its fingerprint."""
    progress = Teller(entry.id, "decode")
    return open_images(entry, places.cache, places.data_dir, progress=progress).fingerprint
