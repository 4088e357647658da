"""Where the work of a cell is done: in threads of this process, or on a Dask cluster."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from tasks import steps
from tasks.jobs import Job
from u1core.errors import U1Error

if TYPE_CHECKING:
    from distributed import Client


T = TypeVar("T")


class Workplace(Protocol):
    """Somewhere that cells are computed.

    Attributes:
        cells_at_once: How many cells may be under way.
    """

    cells_at_once: int

    def compute(self, job: Job) -> None:
        """Extract a cell, finish and commit it; return when that is done."""


class Here:
    """Threads of this process. Each device has one extraction at a time.

    While a GPU extracts, the cell before it is finished by another thread, on the CPU for the most part. On a
    CPU nothing is gained so.
    """

    def __init__(self, devices: Sequence[str]) -> None:
        self._free: queue.SimpleQueue[str] = queue.SimpleQueue()
        for device in devices:
            self._free.put(device)
        self.cells_at_once = sum(1 if device == "cpu" else 2 for device in devices)
        self._room = threading.Semaphore(self.cells_at_once)

    def compute(self, job: Job) -> None:
        """Extract on the next free device, then finish."""
        with self._room:
            device = self._free.get()
            try:
                steps.extract_images(job.on(device))
            finally:
                self._free.put(device)
            steps.finish(job.on(device))


class OnDask:
    """Workers of a Dask cluster, each cell two calls that a thread here waits for.

    Nine milliseconds a call, where Prefect's Dask runner takes eighty; and a call that kills its workers ends
    Failed instead of pending for ever.
    """

    # Threads that wait: more than this and a cluster's workers would have to wait for us.
    cells_at_once = 256

    def __init__(self, client: Client, resources: Mapping[str, float]) -> None:
        self._client, self._resources = client, dict(resources)

    def compute(self, job: Job) -> None:
        """Extract on a worker that has the resources free, then finish on any."""
        device = self._call(steps.extract_images, job, resources=self._resources)
        # Before extractions that wait for the same worker, so that what is extracted becomes readable; and
        # on a worker of the same kind, of which it takes nothing.
        self._call(steps.finish, job.on(device), resources=dict.fromkeys(self._resources, 0.0), priority=1)

    def _call(
        self, step: Callable[[Job], T], job: Job, *, resources: Mapping[str, float], priority: int = 0
    ) -> T:
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        future = self._client.submit(step, job, pure=False, resources=dict(resources), priority=priority)
        try:
            return future.result()
        except KilledWorker as e:
            todo = "see the workers' logs: out of memory? Then a smaller --batch-size, or larger workers"
            raise U1Error(f"workers that survive {job.name}", " ".join(str(e).split()), todo) from e
        except FutureCancelledError as e:
            todo = "start the sweep again: what is written is kept"
            raise U1Error("the Dask scheduler to stay", " ".join(str(e).split()), todo) from e
        finally:
            future.release()
