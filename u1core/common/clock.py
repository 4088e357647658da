"""Where the time of an extraction goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

PHASES = ("decode", "wait", "forward", "reduce", "write")
"""Writing happens in a thread of its own, so does decoding beside a GPU; the rest follow each other."""


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
