"""Where tasks run: threads of this process, or a Dask cluster; and the Prefect server that hears of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
    temporary_settings,
)
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from u1core.errors import U1Error


@contextmanager
def task_runner(name: str, device: str, dask_address: str | None = None) -> Iterator[TaskRunner[Any]]:
    """Yield the task runner of a sweep.

    local: one thread, because a forward pass already uses every core (or the one GPU).
    dask: a cluster at `dask_address`, or a local one.

    Raises:
        U1Error: No Prefect server can be had, or the scheduler does not answer.
    """
    with prefect_server():
        if name == "local":
            yield ThreadPoolTaskRunner(max_workers=1)
            return
        from prefect_dask import DaskTaskRunner

        if dask_address:
            _check_scheduler(dask_address)
            yield DaskTaskRunner(address=dask_address)
        else:
            yield DaskTaskRunner(cluster_kwargs=_local_cluster(device))


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


def _check_scheduler(address: str) -> None:
    from distributed import Client

    try:
        Client(address, timeout=10, set_as_default=False).close()
    except (OSError, TimeoutError, ValueError, TypeError) as e:
        why = " ".join(str(e).split())
        todo = "start one with `dask scheduler`, or leave --dask-address out for a local cluster"
        raise U1Error("--dask-address to name a running Dask scheduler", f"{address} ({why})", todo) from e


@contextmanager
def prefect_server() -> Iterator[None]:
    """Have one Prefect server: the configured one, or an embedded one whose address is handed down.

    Prefect would start an embedded server by itself, but then each Dask worker would start another.
    """
    if configured := PREFECT_API_URL.value():
        _check_server(configured)
        yield
        return
    server = SubprocessASGIServer()
    try:
        server.start(timeout=int(PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS.value()))
    except RuntimeError as e:
        todo = "run `u1 doctor`, or start a server with `prefect server start` and set PREFECT_API_URL"
        raise U1Error("Prefect's embedded server to start", " ".join(str(e).split()), todo) from e
    os.environ["PREFECT_API_URL"] = server.api_url
    try:
        with temporary_settings({PREFECT_API_URL: server.api_url}):
            yield
    finally:
        # The server stops itself when the process exits, after Prefect has sent it the last logs.
        del os.environ["PREFECT_API_URL"]


def _check_server(url: str) -> None:
    try:
        httpx.get(f"{url}/health", timeout=10).raise_for_status()
    except httpx.HTTPError as e:
        todo = "start it with `prefect server start`, or unset PREFECT_API_URL to use an embedded one"
        raise U1Error("the Prefect server of PREFECT_API_URL to answer", f"{url} ({e})", todo) from e
