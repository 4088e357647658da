"""The live picture of a sweep: a bar per running cell, one for all, images per second, time left."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
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

from tasks.jobs import Job, read_progress

_POLL_S = 0.5


class _Rate(ProgressColumn):
    """Images per second over the last half minute."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.0f} img/s" if speed else "", style="cyan")


class Board:
    """Follows jobs through their progress files, whatever process runs them."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            disable=not console.is_terminal,
        )
        self.all_jobs = self.progress.add_task("[bold]sweep[/]: preparing", total=None)
        self._waiting: dict[str, tuple[Job, int]] = {}
        self._running: dict[str, TaskID] = {}
        self._finished = 0

    def announce(self, jobs: Sequence[tuple[Job, int]]) -> None:
        """Take the jobs of the sweep, each with its number of images."""
        self._waiting = {job.cell.key: (job, images) for job, images in jobs}
        self.progress.update(
            self.all_jobs, total=sum(images for _, images in jobs), description="[bold]sweep[/]"
        )

    def finish(self, job: Job, status: str) -> None:
        """Take a job off the board."""
        _, images = self._waiting.pop(job.cell.key)
        self._finished += images
        if (bar := self._running.pop(job.cell.key, None)) is not None:
            self.progress.remove_task(bar)
        self.console.print(f"{status}: {job.name}, {images} images", highlight=False)

    def poll(self) -> None:
        """Move every bar to where its job is."""
        moving = 0
        for key, (job, images) in list(self._waiting.items()):
            done, _ = read_progress(job.progress_file)
            moving += done
            if done and key in self._waiting:
                if key not in self._running:
                    self._running[key] = self.progress.add_task(f"  {job.name}", total=images)
                self.progress.update(self._running[key], completed=done)
        self.progress.update(self.all_jobs, completed=self._finished + moving)


@contextmanager
def watch(console: Console) -> Iterator[Board]:
    """Show a board while the block runs."""
    board, stop = Board(console), threading.Event()

    def loop() -> None:
        while not stop.wait(_POLL_S):
            board.poll()

    thread = threading.Thread(target=loop, name="u1-progress", daemon=True)
    with board.progress:
        thread.start()
        try:
            yield board
        finally:
            stop.set()
            thread.join()
            board.progress.remove_task(board.all_jobs)
