"""Progress of a flow run for those who watch it in Prefect's UI.

It follows the sweep's events (`tasks.events`), as the terminal's bars do.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.exceptions import PrefectException

from tasks.events import Ended, Event, Moved, listening, stoppable

_ARTIFACT_S = 5.0


class _Artifacts:
    """Progress artifacts: of what takes long, an update in five seconds."""

    def __init__(self) -> None:
        self._moved: dict[str, Moved] = {}
        self._ids: dict[str, UUID] = {}
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, Moved):
                self._moved[event.name] = event
            elif isinstance(event, Ended) and event.name in self._ids:
                self._moved[event.name] = Moved(event.name, event.status, 1, 1)
            elif isinstance(event, Ended):
                self._moved.pop(event.name, None)

    def publish(self) -> None:
        with self._lock:
            moved, self._moved = list(self._moved.values()), {}
        for event in moved:
            percent = 100.0 * event.done / max(event.total, 1)
            if event.name in self._ids:
                update_progress_artifact(self._ids[event.name], percent, description=str(event))
            else:
                created = create_progress_artifact(percent, description=str(event))
                if isinstance(created, UUID):
                    self._ids[event.name] = created


@contextmanager
def publishing() -> Iterator[None]:
    """Keep progress artifacts of the flow run up to date while the block runs; a signal stops its tasks."""
    artifacts, stop = _Artifacts(), threading.Event()

    def loop() -> None:
        stopped = False
        while not stopped:
            stopped = stop.wait(_ARTIFACT_S)
            # A server that is away for a moment is no reason to stop a sweep.
            with suppress(httpx.HTTPError, PrefectException):
                artifacts.publish()

    with _thread(loop, stop), listening(artifacts), stoppable():
        yield


@contextmanager
def _thread(loop: Callable[[], None], stop: threading.Event) -> Iterator[None]:
    """Run a loop in a thread that belongs to the flow run of this one."""
    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(loop,), name="u1-progress", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
