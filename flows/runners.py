"""Where tasks run: threads of this process, or a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

RUNNERS = ("local", "dask")


@contextmanager
def task_runner(name: str, device: str, dask_address: str | None = None) -> Iterator[TaskRunner[Any]]:
    """Yield the task runner of a sweep.

    local: one thread, because a forward pass already uses every core (or the one GPU).
    dask: a cluster at `dask_address`, or a local one. Its workers are processes, and each would start
    an embedded Prefect server of its own, so one server is started here and its address handed down.
    """
    if name == "local":
        yield ThreadPoolTaskRunner(max_workers=1)
        return
    from prefect_dask import DaskTaskRunner

    with _shared_server():
        yield (
            DaskTaskRunner(address=dask_address)
            if dask_address
            else DaskTaskRunner(cluster_kwargs=_local_cluster(device))
        )


def _local_cluster(device: str) -> dict[str, Any]:
    """One worker per GPU, or two on a CPU with the cores shared between them."""
    import torch

    workers = max(torch.cuda.device_count(), 1) if device.startswith("cuda") else min(2, os.cpu_count() or 1)
    return {
        "n_workers": workers,
        "threads_per_worker": 1,
        "processes": True,
        "dashboard_address": "127.0.0.1:0",
        "env": {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // workers))},
    }


@contextmanager
def _shared_server() -> Iterator[None]:
    if PREFECT_API_URL.value():
        yield
        return
    from prefect.server.api.server import SubprocessASGIServer

    server = SubprocessASGIServer()
    server.start(timeout=90)
    os.environ["PREFECT_API_URL"] = server.api_url
    try:
        with temporary_settings({PREFECT_API_URL: server.api_url}):
            yield
    finally:
        del os.environ["PREFECT_API_URL"]
        server.stop()
