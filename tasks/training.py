"""Training runs: one task trains one run, another keeps what it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.cells import worth_retrying
from tasks.events import Ended, Moved, tell
from tasks.jobs import Places
from tasks.workplace import Devices
from u1core.images.cache import Images, open_images
from u1core.lake.store import Lake
from u1core.training import kept, loop
from u1core.training.run import Run

if TYPE_CHECKING:
    from u1core.catalog.entries import ModelEntry
    from u1core.training.loop import EpochRow


@dataclass(frozen=True)
class RunJob:
    """One run to train, somewhere."""

    run: Run
    places: Places

    @property
    def name(self) -> str:
        """Name of the run in run names and bars."""
        return str(self.run)

    def open_lake(self) -> Lake:
        """Open the job's lake."""
        return Lake.open(self.places.lake)

    def open_images(self) -> Images:
        """Open the decoded pixels."""
        return open_images(self.run.task, self.places.cache, self.places.data_dir)


@task(
    task_run_name="train {job.name}",
    retries=1,
    retry_delay_seconds=5,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def train_run(job: RunJob, devices: Devices) -> None:
    """Train a run to its last epoch, from wherever an earlier try was stopped."""
    images, lake = job.open_images(), job.open_lake()

    def progress(rows: list[EpochRow], done: int, total: int) -> None:
        tell(Moved(job.name, _told(rows), done, total))

    with devices.one() as device:
        loop.train(job.run, images, lake, device, progress)
    tell(Ended(job.name, "trained"))


def _told(rows: list[EpochRow]) -> str:
    """Say how the last epoch went."""
    if not rows:
        return "epoch 1"
    last = rows[-1]
    losses = [f"{last[name]:.3f}" for name in ("loss_onehot", "loss_point") if last[name] is not None]
    validation = last["validation_accuracy"]
    held_out = "" if validation is None else f", held-out {100 * validation:.1f} %"
    return f"epoch {len(rows) + 1}, loss {' and '.join(losses)}{held_out}"


@task(task_run_name="keep {job.name}", cache_policy=NO_CACHE)
def keep_run(job: RunJob, device: str, folder: Path, *, is_tested: bool) -> ModelEntry | None:
    """Ask the test set if the run's weight was chosen, keep its network, write its row."""
    return kept.conclude(job.run, job.open_images(), job.open_lake(), device, folder, is_tested=is_tested)
