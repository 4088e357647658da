"""What happens in a sweep, told to whoever listens: the terminal's bars, Prefect's artifacts.

In the sweep's own process listeners are called at once. A Dask worker sends its events to the scheduler, and
the sweep's process, which subscribes to them there, tells them on.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field

TOPIC = "u1-events"


@dataclass(frozen=True)
class Moved:
    """A job got further.

    Attributes:
        name: Of the job: a cell, or a dataset that is decoded.
        step: What is being done: 'decode', 'extract', 'fit frames', 'search memory' or 'commit'.
        done: Images done.
        total: Images in all; 0 where unknown.
        phases: Seconds of the step so far by phase, where it is told.
    """

    name: str
    step: str
    done: int
    total: int
    phases: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        total_s = sum(self.phases.values())
        shares = ", ".join(f"{name} {100 * s / total_s:.0f} %" for name, s in self.phases.items() if total_s)
        return f"{self.name}: {self.step}" + (f" ({shares})" if shares else "")


@dataclass(frozen=True)
class Announced:
    """The sweep knows its jobs: images by name of the cell."""

    images: Mapping[str, int]


@dataclass(frozen=True)
class Ended:
    """A cell ended: 'done' or 'failed'."""

    name: str
    status: str


@dataclass(frozen=True)
class Waiting:
    """The lake is another sweep's for now: whose."""

    whose: str


Event = Moved | Announced | Ended | Waiting
Listener = Callable[[Event], None]

_listeners: list[Listener] = []
_lock = threading.Lock()
_stop = threading.Event()


class Stopped(BaseException):
    """The sweep was interrupted: whatever tells an event ends there, with what it wrote kept."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Stop the work of other threads at their next event if the block ends by a signal or another error.

    Python gives signals to the main thread alone; a pool's threads would work on to the end of their cells.
    They stay stopped until `begin`.
    """
    try:
        yield
    except BaseException:
        _stop.set()
        raise


def begin() -> None:
    """Let a new sweep tell events, whatever became of the one before it in this process."""
    _stop.clear()


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call the listener with every event while the block lasts, from whatever thread has it."""
    with _lock:
        _listeners.append(listener)
    try:
        yield
    finally:
        with _lock:
            _listeners.remove(listener)


def tell(event: Event) -> None:
    """Tell an event to the listeners, or send it to the scheduler if this is a worker without any.

    Raises:
        Stopped: The work is to end here.
    """
    if _stop.is_set():
        raise Stopped
    with _lock:
        listeners = list(_listeners)
    for listener in listeners:
        listener(event)
    if not listeners and isinstance(event, Moved) and "distributed" in sys.modules:
        _send(event)


def _send(event: Moved) -> None:
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:  # no worker: nobody wants to know
        return
    worker.log_event(TOPIC, list(astuple(event)))


def receive(message: tuple[float, list[object]]) -> None:
    """Tell on what a worker sent: (time, fields), as Dask hands it out."""
    tell(Moved(*message[1]))  # type: ignore[arg-type]


class Teller:
    """Tells how far a step is, at most twice a second and at its end."""

    def __init__(self, name: str, step: str, interval_s: float = 0.5) -> None:
        self._name, self._step, self._interval_s = name, step, interval_s
        self._last = -interval_s

    def __call__(self, done: int, total: int, phases: Mapping[str, float] | None = None) -> None:
        """Tell that `done` of `total` images are through."""
        now = time.monotonic()
        if done < total and now - self._last < self._interval_s:
            return
        self._last = now
        tell(Moved(self._name, self._step, int(done), int(total), dict(phases or {})))
