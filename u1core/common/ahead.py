"""Work that is done before its result is asked for, in threads, in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from u1core.common.clock import Clock

T = TypeVar("T")
R = TypeVar("R")


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


def read_in_turn(items: Iterator[T], clock: Clock, turn: threading.Event) -> Generator[T]:
    """Yield items; `turn` is set while one is waited for, and in the end.

    Where forward passes and decoding want the same processors, two that take turns are faster than two that
    interrupt each other.
    """
    end = object()
    try:
        while True:
            turn.set()
            with clock.phase("decode"):
                item = next(items, end)
            turn.clear()
            if item is end:
                return
            yield item  # type: ignore[misc]
    finally:
        turn.set()


def map_ahead(
    function: Callable[[T], R],
    items: Iterable[T],
    workers: int,
    depth: int = 64,
    turn: threading.Event | None = None,
) -> Generator[R]:
    """Yield `function(item)` in order, `depth` items ahead of whoever asks; close it to end early.

    Threads, not processes: Pillow and torch let go of the interpreter while they decode and resize, nothing
    has to be copied from one process to another, and none outlives this one. No item is begun unless `turn`
    is set.
    """

    def take(item: T) -> R:
        if turn is not None:
            turn.wait()
        return function(item)

    pool = ThreadPoolExecutor(workers, "u1-decode")
    try:
        waiting = iter(items)
        due = deque(pool.submit(take, item) for item in islice(waiting, depth))
        while due:
            result = due.popleft().result()
            due.extend(pool.submit(take, item) for item in islice(waiting, 1))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)
