"""Work that is done before its result is asked for, in threads, in order."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from typing import TypeVar

from u1core.clock import Clock

T = TypeVar("T")
R = TypeVar("R")

_NICENESS = 10


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


def map_ahead(function: Callable[[T], R], items: Iterable[T], workers: int, depth: int = 64) -> Generator[R]:
    """Yield `function(item)` in order, `depth` items ahead of whoever asks; close it to end early.

    Threads, not processes: Pillow and torch let go of the interpreter while they decode and resize, nothing
    has to be copied from one process to another, and none outlives this one. They give way to forward passes.
    """
    pool = ThreadPoolExecutor(workers, "u1-decode", initializer=_yield_to_others)
    try:
        waiting = iter(items)
        due = deque(pool.submit(function, item) for item in islice(waiting, depth))
        while due:
            result = due.popleft().result()
            due.extend(pool.submit(function, item) for item in islice(waiting, 1))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)


def _yield_to_others() -> None:
    """Lower the priority of this thread: two that share the cores evenly make every forward pass wait."""
    with suppress(AttributeError, OSError):  # a thread has a priority of its own on Linux only
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
