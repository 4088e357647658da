"""Dask clusters of a sweep: a local one, one worker per GPU, or any class that is named."""

from __future__ import annotations

import importlib
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from flows.options import Options
from u1core.common.errors import U1Error

GPU = {"GPU": 1.0}
"""The resource of a worker with a GPU of its own: it is given one extraction at a time."""


def local_cluster(**options: Any) -> Any:  # noqa: ANN401
    """Return a cluster of worker processes on this machine, for the CPU; options are LocalCluster's."""
    from distributed import LocalCluster

    # Two workers of one thread against one process of two, EfficientNet-Lite0 over digits on two cores that
    # other work kept busy: 6.05 s against 12.6 s, medians of 7 alternating rounds. Threads of one forward
    # pass wait for each other, processes do not; on idle cores the gain must be smaller. More were not tried.
    workers = options.setdefault("n_workers", 2 if (os.cpu_count() or 1) > 1 else 1)
    return LocalCluster(
        **{
            "threads_per_worker": 1,
            "processes": True,
            "dashboard_address": "127.0.0.1:0",
            "env": _threads(workers),
            **options,
        }
    )


def gpu_cluster(gpus: Sequence[int | str] | None = None, **options: Any) -> Any:  # noqa: ANN401
    """Return a cluster of one worker process per GPU of this machine.

    Each sees its own GPU as the only one and has the resource GPU, which an extraction takes: one at a time.
    Its second thread finishes the cell before.

    Args:
        gpus: Numbers, or ids as CUDA_VISIBLE_DEVICES takes them; None for all that torch sees.
        **options: Of SpecCluster.
    """
    from distributed import Nanny, Scheduler, SpecCluster

    visible = _visible_gpus() if gpus is None else [str(gpu) for gpu in gpus]
    if not visible:
        raise U1Error("a GPU on this machine", "none", "leave --device cuda out, or run `u1 doctor`")
    workers = {
        f"gpu-{gpu}": {
            "cls": Nanny,
            "options": {
                "nthreads": 2,
                "resources": GPU,
                "env": {"CUDA_VISIBLE_DEVICES": gpu, **_threads(len(visible))},
                "host": "127.0.0.1",
            },
        }
        for gpu in visible
    }
    scheduler = {"cls": Scheduler, "options": {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}}
    return SpecCluster(workers=workers, scheduler=scheduler, name="u1-gpus", **options)


def _threads(workers: int) -> dict[str, str]:
    """Return the environment that shares this machine's cores between workers; Dask would give each one."""
    count = str(max(1, (os.cpu_count() or 1) // max(workers, 1)))
    return {f"{library}_NUM_THREADS": count for library in ("OMP", "MKL", "OPENBLAS")}


def _visible_gpus() -> list[str]:
    """Return the GPUs as CUDA_VISIBLE_DEVICES names them: that variable, else all by number."""
    if named := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return [gpu.strip() for gpu in named.split(",") if gpu.strip()]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def with_own_cluster(options: Options) -> Options:
    """Return the options with what the table [cluster] of the catalog file adds to them: class and arguments.

    What was asked for otherwise stays; so does everything where no cluster is to be started.
    """
    if options.runner != "dask" or options.dask_address:
        return options
    table = _cluster_table(options.catalog)
    own_class = table.pop("class", None)
    return replace(
        options,
        cluster=options.cluster or own_class,
        cluster_options=table | dict(options.cluster_options),
    )


def _cluster_table(catalog: Path | None) -> dict[str, Any]:
    """Return the table [cluster] of the user's catalog file: `class` and its keyword arguments."""
    if catalog is None or not catalog.is_file():
        return {}
    table = tomllib.loads(catalog.read_text(encoding="utf-8")).get("cluster", {})
    if not isinstance(table, dict) or not isinstance(table.get("class", ""), str):
        todo = 'write [cluster], class = "module:Class" and its keyword arguments'
        raise U1Error(f"a table [cluster] with a class in {catalog}", str(table), todo)
    return table


def named_cluster(name: str, options: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Call what `module:Class` names with the options and return the cluster.

    Raises:
        U1Error: There is nothing of that name, or it refuses the options.
    """
    try:
        return _factory(name)(**options)
    except U1Error:
        raise
    except (TypeError, ValueError, OSError, RuntimeError) as e:
        todo = "correct its options: --cluster-option name=value, or [cluster] in the catalog file"
        raise U1Error(
            f"{name} to start with its options ({', '.join(options) or 'none'})",
            " ".join(str(e).split()),
            todo,
        ) from e


def _factory(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    try:
        factory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as e:
        todo = "name one such as dask_jobqueue:SLURMCluster, and install its package"
        raise U1Error("--cluster to name module:Class", f"'{name}' ({e})", todo) from e
    if not callable(factory):
        raise U1Error("--cluster to name a class or a function", f"'{name}'", "name one")
    return factory  # type: ignore[no-any-return]
