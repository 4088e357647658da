"""Weights: fetched once per model, before its cells are keyed."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.cells import worth_retrying
from u1core.catalog.entries import ModelEntry
from u1core.networks.weights import pin


@task(
    task_run_name="fetch weights of {entry.id}",
    retries=1,
    retry_delay_seconds=5,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def fetch_weights(entry: ModelEntry, models_dir: Path | None) -> ModelEntry:
    """Fetch a model's weights, or find them here; return its entry with their sha256."""
    return pin(entry, models_dir)
