"""Where cells are computed: threads here, or a Dask cluster; and how a flow is run to its result."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import httpx
from prefect.client.schemas.objects import State
from prefect.flows import Flow
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.clusters import GPU, gpu_cluster, local_cluster, named_cluster
from flows.options import Where
from flows.server import prefect_server
from tasks import events
from tasks.workplace import Here, OnDask, Workplace
from u1core.common.errors import U1Error

if TYPE_CHECKING:
    from distributed import Client


T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def workplace(where: Where, device: str) -> Iterator[Workplace]:
    """Open the place where cells are computed.

    local: one cell at a time on the CPU, because a forward pass uses every core; on GPUs one extraction each.
    dask: a cluster at an address, of a class that is named, or on this machine.

    Args:
        where: The place asked for.
        device: A torch device; 'cuda' takes all GPUs.

    Raises:
        U1Error: The cluster can't be started, does not answer, or has no GPU that is asked for.
    """
    if where.runner == "local":
        yield Here(devices_of(device))
        return
    with ExitStack() as stack:
        client = stack.enter_context(_client(where, device, stack))
        client.subscribe_topic(events.TOPIC, events.receive)
        limit_s = None if where.cell_timeout is None else where.cell_timeout * 60
        yield OnDask(client, _resources(client, device), limit_s)


def check_scheduler(where: Where) -> None:
    """Raise U1Error unless the scheduler at the address, if one is named, answers."""
    if where.dask_address:
        with ExitStack() as stack:
            stack.enter_context(_client(where, "auto", stack))


def cells_at_once(where: Where, device: str) -> int:
    """Return how many cells will be under way at most."""
    return OnDask.cells_at_once if where.runner == "dask" else Here(devices_of(device)).cells_at_once


def devices_of(device: str) -> list[str]:
    """Return the devices that a name stands for: 'cuda' is every GPU of this machine."""
    import torch

    count = torch.cuda.device_count() if device == "cuda" else 0
    return [f"cuda:{number}" for number in range(count)] if count > 1 else [device]


@contextmanager
def _client(where: Where, device: str, stack: ExitStack) -> Iterator[Client]:
    """Connect to the cluster, which is started first and stopped at the end where none is running."""
    import dask
    from distributed import Client

    # A cell that killed two workers would kill the third. And a worker that is paused at 80 % of its memory
    # stays so where a library holds that: cells would wait for ever. At 95 % it is ended, which is told.
    settings = {"distributed.scheduler.allowed-failures": 1, "distributed.worker.memory.pause": False}
    stack.enter_context(dask.config.set(settings))
    if where.dask_address:
        target: Any = where.dask_address
    elif where.cluster:
        target = stack.enter_context(named_cluster(where.cluster, where.cluster_options))
    else:
        on_gpus = device.startswith("cuda")
        make = gpu_cluster if on_gpus else local_cluster
        target = stack.enter_context(make(**where.cluster_options))
    try:
        client = Client(target, timeout=10, set_as_default=False)
    except (OSError, TimeoutError, ValueError, TypeError) as e:
        why = " ".join(str(e).split())
        todo = "start one with `dask scheduler`, or leave --dask-address out for a local cluster"
        raise U1Error("--dask-address to name a running Dask scheduler", f"{target} ({why})", todo) from e
    with client:
        yield client


def _resources(client: Client, device: str) -> Mapping[str, float]:
    """Return what an extraction takes of its worker: the GPU, where one is asked for or there to be had."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    with_gpu = [worker for worker in workers if worker["resources"].get("GPU")]
    if device.startswith("cuda") and workers and not with_gpu:
        todo = "start them with `dask worker --nthreads 2 --resources GPU=1`, or leave --device cuda out"
        raise U1Error("workers with the resource GPU", f"{len(workers)} without it", todo)
    return GPU if device.startswith("cuda") or (device == "auto" and with_gpu) else {}


def run_to_result(flow: Flow[[T], State[R]], options: T, threads: int) -> R:
    """Run a flow with a server to hear of it; return the result of its state, also where that is Failed.

    Args:
        flow: Its one parameter is `options`.
        options: What it is asked for.
        threads: As many as tasks under way, so that a task that Prefect shows as running does run.

    Raises:
        U1Error: A user's mistake that the flow met, or the server went away.
    """
    runner = cast("TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner(max_workers=threads))
    events.begin()
    with prefect_server() as url:
        try:
            state = flow.with_options(task_runner=runner)(options, return_state=True)
        except httpx.HTTPError as e:
            todo = "run the same command again, with a server or no PREFECT_API_URL: it goes on from here"
            raise U1Error("the Prefect server to stay", f"no answer from {url} ({e})", todo) from e
    # A flow that returns a state ends in it.
    result = cast("R | BaseException", state.result(raise_on_failure=False))
    if isinstance(result, U1Error):
        # A copy: the original's traceback would hold DuckDB's objects beyond the end of the interpreter.
        result = U1Error(result.expected, result.got, result.todo)
        del state
        gc.collect()
    if isinstance(result, BaseException):
        raise result
    return result
