"""Where the work of a cell is done: in threads of this process, or on a Dask cluster."""

from __future__ import annotations

import functools
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from tasks import steps
from tasks.jobs import Job
from tasks.watchdog import TOPIC, within
from u1core.common.errors import U1Error

if TYPE_CHECKING:
    from distributed import Client


T = TypeVar("T")

_COUNT_S = 1.0
_ATTEMPTS = 2


class Workplace(Protocol):
    """Somewhere that cells are computed.

    Attributes:
        cells_at_once: How many cells may be under way.
    """

    cells_at_once: int

    def compute(self, job: Job) -> None:
        """Extract a cell, finish and commit it; return when that is done."""


class Devices:
    """Devices of this machine, each for one at a time."""

    def __init__(self, names: Sequence[str]) -> None:
        self._free: queue.SimpleQueue[str] = queue.SimpleQueue()
        for name in names:
            self._free.put(name)

    @contextmanager
    def one(self) -> Iterator[str]:
        """Wait for a free device, and have it."""
        device = self._free.get()
        try:
            yield device
        finally:
            self._free.put(device)


class Here:
    """Threads of this process. Each device has one extraction at a time.

    While a GPU extracts, the cell before it is finished by another thread, on the CPU for the most part. A
    CPU has one cell at a time: two threads that extract were slower than one (EfficientNet-Lite0 over digits,
    two cores: 6.5 s against 5.9 s for the same images, medians of 3 alternating rounds).
    """

    def __init__(self, devices: Sequence[str]) -> None:
        self._devices = Devices(devices)
        self.cells_at_once = sum(1 if device == "cpu" else 2 for device in devices)
        self._room = threading.Semaphore(self.cells_at_once)

    def compute(self, job: Job) -> None:
        """Extract on the next free device, then finish."""
        with self._room:
            with self._devices.one() as device:
                steps.extract_images(job.on(device))
            steps.finish(job.on(device))


class OnDask:
    """Workers of a Dask cluster, each cell two calls that a thread here waits for.

    Nine milliseconds a call, where Prefect's Dask runner takes eighty; and a call that kills its workers ends
    Failed instead of pending for ever.

    Args:
        client: Of the cluster.
        resources: What an extraction takes of its worker.
        limit_s: Past so many seconds of a call its worker is killed, and another one tries; None waits.
    """

    # Threads that wait: more than this and a cluster's workers would have to wait for us.
    cells_at_once = 256

    def __init__(self, client: Client, resources: Mapping[str, float], limit_s: float | None = None) -> None:
        self._client, self._resources, self._limit_s = client, dict(resources), limit_s
        self._late: set[str] = set()
        client.subscribe_topic(TOPIC, lambda event: self._late.add(event[1]))
        self._extracting, self._turn = 0, threading.Condition()
        self._counted = 0, -_COUNT_S

    def compute(self, job: Job) -> None:
        """Extract on a worker that has the resources free, then finish on one of the same kind."""
        with self._room():
            device = self._call(steps.extract_images, job, resources=self._resources)
        # Before extractions that wait for the same worker, so that what is extracted becomes readable; and
        # on a worker of the same kind, of which it takes nothing.
        self._call(steps.finish, job.on(device), resources=dict.fromkeys(self._resources, 0.0), priority=1)

    @contextmanager
    def _room(self) -> Iterator[None]:
        """Wait until a worker is free, or as good as.

        Dask holds a worker's death against all cells it was given, not only the one that runs. So it is given
        no more than it can run, and one more, which asks clusters that grow by demand to grow.
        """
        with self._turn:
            while self._extracting > self._workers():
                self._turn.wait(_COUNT_S)
            self._extracting += 1
        try:
            yield
        finally:
            with self._turn:
                self._extracting -= 1
                self._turn.notify()

    def _workers(self) -> int:
        """Return how many extractions the workers can run at once, counted again after a moment."""
        count, at = self._counted
        if time.monotonic() - at >= _COUNT_S:
            workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
            count = sum(
                int(w["resources"].get("GPU", 0) if self._resources else w["nthreads"]) for w in workers
            )
            self._counted = count, time.monotonic()
        return count

    def _call(
        self, step: Callable[[Job], T], job: Job, *, resources: Mapping[str, float], priority: int = 0
    ) -> T:
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        call = functools.partial(_sent, step)
        call = functools.partial(within, self._limit_s, call) if self._limit_s else call
        for attempt in range(_ATTEMPTS):
            key = f"{step.__name__}-{uuid.uuid4().hex}"  # by which Dask's pages call it
            future = self._client.submit(call, job, key=key, resources=dict(resources), priority=priority)
            try:
                return future.result()
            except KilledWorker as e:
                if job.name in self._late:
                    raise _late(job, self._limit_s) from e
                # The first time another cell may have been to blame.
                if attempt + 1 < _ATTEMPTS:
                    continue
                todo = "see the workers' logs: out of memory? Then a smaller --batch-size, or larger workers"
                raise U1Error(f"workers that survive {job.name}", " ".join(str(e).split()), todo) from e
            except FutureCancelledError as e:
                todo = "start the sweep again: what is written is kept"
                raise U1Error("the Dask scheduler to stay", " ".join(str(e).split()), todo) from e
            finally:
                future.release()
        raise AssertionError("unreachable")


def _sent(step: Callable[[Job], T], job: Job) -> T:
    """Run a step in a Dask worker, so that its error reaches the sweep as it is.

    Dask sends an error with its causes and their tracebacks; those of code that called itself without end are
    too deep for that, and an Exception with the error's text would come, to be tried again.
    """
    try:
        return step(job)
    except (U1Error, RecursionError) as e:
        error = e.with_traceback(None)
    error.__cause__ = error.__context__ = None
    raise error


def _late(job: Job, limit_s: float | None) -> U1Error:
    minutes = (limit_s or 0) / 60
    todo = "raise --cell-timeout if it was only slow; what it wrote is kept"
    return U1Error(f"{job.name} to take {minutes:g} minutes at most", "two workers killed for longer", todo)
