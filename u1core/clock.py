"""Where the time of an extraction goes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

PHASES = ("decode", "wait", "forward", "reduce", "write")
"""Making pixels ready and writing happen in threads of their own; the other three follow each other."""


class Clock:
    """Seconds by phase; each phase is timed by one thread at a time.

    Attributes:
        phases: Seconds so far.
    """

    def __init__(self) -> None:
        self.phases = dict.fromkeys(PHASES, 0.0)
        self._lap = (time.perf_counter(), dict(self.phases))

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to a phase."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.phases[name] += time.perf_counter() - start

    def lap(self) -> tuple[float, dict[str, float]]:
        """Return the seconds since the last lap, as a whole and by phase."""
        start, before = self._lap
        self._lap = (time.perf_counter(), dict(self.phases))
        return self._lap[0] - start, {name: self._lap[1][name] - before[name] for name in PHASES}


def read_ahead(items: Iterator[T], clock: Clock, depth: int = 2) -> Generator[T]:
    """Yield items that a thread takes from an iterator `depth` ahead; close it to end the thread early."""
    end = object()

    def take() -> T | object:
        with clock.phase("decode"):
            return next(items, end)

    pool = ThreadPoolExecutor(1, "u1-pixels")
    try:
        due = deque(pool.submit(take) for _ in range(depth))
        while True:
            with clock.phase("wait"):
                item = due.popleft().result()
            if item is end:
                return
            due.append(pool.submit(take))
            yield item  # type: ignore[misc]
    finally:
        pool.shutdown(cancel_futures=True)
