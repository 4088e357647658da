"""Ends a Dask worker whose step takes too long: C code that hangs can't be stopped in any other way."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from tasks.jobs import Job

T = TypeVar("T")

TOPIC = "u1-late"
"""Where a worker says which job it is ended for."""

_FAREWELL_S = 1.0


def within(limit_s: float, step: Callable[[Job], T], job: Job) -> T:
    """Run a step in a Dask worker; past the limit say so to the scheduler and end the process.

    Its nanny starts another. Code that keeps Python's lock to itself stops this watch too; such a worker
    sends no heartbeat either, and the scheduler gives it up by its own `worker-ttl`.
    """
    from distributed import get_worker

    worker = get_worker()

    def end() -> None:
        worker.log_event(TOPIC, job.name)
        time.sleep(_FAREWELL_S)
        os._exit(1)

    watch = threading.Timer(limit_s, end)
    watch.daemon = True
    watch.start()
    try:
        return step(job)
    finally:
        watch.cancel()
