"""The live picture of a sweep: a bar per running cell, one for all, images per second, time left.

It follows the sweep's events (`tasks.events`), which come from threads here and from Dask workers alike.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from flows.cli.terminal import plain
from tasks.events import Announced, Ended, Event, Moved, Waiting, listening


class _Rate(ProgressColumn):
    """Images per second over the last half minute."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.0f} img/s" if speed else "", style="cyan")


class Board:
    """Shows what happens as bars; called with events from any thread."""

    def __init__(self, console: Console, whole: str = "sweep") -> None:
        self.console, self._title = console, f"[bold]{whole}[/]"
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._whole = self.progress.add_task(f"{self._title}: preparing", total=None)
        self._images: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._bars: dict[str, TaskID] = {}
        self._waiting: Waiting | None = None
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Move the bars."""
        with self._lock:
            if isinstance(event, Announced):
                self._announce(event)
            elif isinstance(event, Moved):
                self._move(event)
            elif isinstance(event, Waiting):
                self._wait(event)
            else:
                self._end(event)

    def _wait(self, event: Waiting) -> None:
        if event != self._waiting:
            self.console.print(f"waiting for another sweep on this lake: {event.whose}", highlight=False)
        self._waiting = event

    def _announce(self, event: Announced) -> None:
        self._images, self._done = dict(event.images), {}
        for bar in self._bars.values():
            self.progress.remove_task(bar)
        self._bars = {}
        self.progress.update(self._whole, total=sum(self._images.values()), description=self._title)

    def _move(self, event: Moved) -> None:
        if event.name not in self._bars:
            self._bars[event.name] = self.progress.add_task("")
        self.progress.update(
            self._bars[event.name],
            description=f"  {plain(event)}",
            completed=event.done,
            total=event.total or None,
        )
        if event.name in self._images:
            self._done[event.name] = min(event.done, self._images[event.name])
            self._show_whole()

    def _end(self, event: Ended) -> None:
        if event.name in self._bars:
            self.progress.remove_task(self._bars.pop(event.name))
        line = f"{event.status}: {event.name}"
        if event.name in self._images:
            images = self._done[event.name] = self._images[event.name]
            self._show_whole()
            line += f", {images} images"
        self.console.print(line, highlight=False, markup=False)

    def _show_whole(self) -> None:
        self.progress.update(self._whole, completed=sum(self._done.values()))


@contextmanager
def watch(console: Console, whole: str = "sweep") -> Iterator[None]:
    """Show the sweep, or whatever the whole is, of this process while the block runs."""
    board = Board(console, whole)
    with board.progress, listening(board):
        yield
