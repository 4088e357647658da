"""The live picture of a sweep: a bar per running cell, one for all, images per second, time left.

Everything goes through small files under the lake, so the picture is the same whatever process runs the
cells: the flow announces its jobs, each task writes how far it is, a cell's row in `cells` ends it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
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

from tasks.jobs import DECODING, Job, read_progress
from u1core.lake.store import writing_to

_POLL_S = 0.5


@dataclass(frozen=True)
class Announced:
    """One job of a sweep: its name, its images, where it says how far it is, and the file that ends it."""

    name: str
    images: int
    progress: str
    mark: str


def announcement(lake: Path) -> Path:
    """Return the file in which this process's sweep names its jobs."""
    return lake / ".work" / f"sweep-{os.getpid()}.json"


def announce(jobs: Sequence[Job], lake: Path) -> None:
    """Name the jobs of a sweep to whoever watches."""
    path = announcement(lake)
    # Cells of one dataset and limit have the same images: they are opened once.
    samples = {(job.cell.dataset.id, job.cell.limit): job for job in jobs}
    images = {sample: job.images() for sample, job in samples.items()}
    text = json.dumps(
        [
            [job.name, images[job.cell.dataset.id, job.cell.limit], str(job.progress_file), str(job.mark)]
            for job in jobs
        ]
    )
    with writing_to(lake):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(text)
        temporary.replace(path)


class _Rate(ProgressColumn):
    """Images per second over the last half minute."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.0f} img/s" if speed else "", style="cyan")


class Board:
    """Follows a sweep from its files."""

    def __init__(self, lake: Path, console: Console) -> None:
        self.lake, self.console = lake, console
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
        self._whole = self.progress.add_task("[bold]sweep[/]: preparing", total=None)
        self._announced = False
        self._jobs: dict[Announced, float] = {}
        self._bars: dict[Announced, TaskID] = {}
        self._decoding: dict[str, TaskID] = {}
        self._finished = 0

    def poll(self) -> None:
        """Move every bar to where its job is."""
        if not self._announced and not self._read_announcement():
            self._show_decoding()
            return
        moving = 0
        for job, mark_before in list(self._jobs.items()):
            if _modified(job.mark) != mark_before:
                self._finish(job)
                continue
            done, _ = read_progress(Path(job.progress))
            moving += done
            if done and job not in self._bars:
                self._bars[job] = self.progress.add_task(f"  {job.name}", total=job.images)
            if job in self._bars:
                self.progress.update(self._bars[job], completed=done)
        self.progress.update(self._whole, completed=self._finished + moving)

    def _show_decoding(self) -> None:
        """Move the bars of datasets that are being decoded: jobs are announced only after them."""
        for path in (self.lake / ".work").glob(f"{DECODING}*.json"):
            done, total = read_progress(path)
            name = path.stem.removeprefix(DECODING)
            if name not in self._decoding:
                self._decoding[name] = self.progress.add_task(f"  decoding {name}")
            self.progress.update(self._decoding[name], completed=done, total=total or None)

    def _read_announcement(self) -> bool:
        try:
            jobs = [Announced(*fields) for fields in json.loads(announcement(self.lake).read_text())]
        except (OSError, ValueError):
            return False
        self._announced, self._jobs = True, {job: _modified(job.mark) for job in jobs}
        for bar in self._decoding.values():
            self.progress.remove_task(bar)
        self.progress.update(self._whole, total=sum(job.images for job in jobs), description="[bold]sweep[/]")
        return True

    def _finish(self, job: Announced) -> None:
        del self._jobs[job]
        self._finished += job.images
        if job in self._bars:
            self.progress.remove_task(self._bars.pop(job))
        status = pq.ParquetFile(job.mark).read(["status"])["status"][0].as_py()
        self.console.print(f"{status}: {job.name}, {job.images} images", highlight=False)


def _modified(path: str) -> float:
    try:
        return Path(path).stat().st_mtime
    except OSError:
        return 0.0


@contextmanager
def watch(lake: Path, console: Console) -> Iterator[None]:
    """Show the sweep of this process while the block runs."""
    board, stop = Board(lake, console), threading.Event()

    def loop() -> None:
        while not stop.wait(_POLL_S):
            board.poll()

    thread = threading.Thread(target=loop, name="u1-progress", daemon=True)
    with board.progress:
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            board.poll()
            with suppress(OSError):
                announcement(lake).unlink()
