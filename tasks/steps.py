"""The steps of one cell, as plain functions that run in any process. Nothing here needs Prefect.

Each resumes or is run again: what the lake holds is not computed twice, and the same rows are written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tasks.events import Moved, Progress, tell
from tasks.jobs import Job
from u1core.cells import extract, search
from u1core.cells import finish as finishing
from u1core.common.errors import U1Error
from u1core.common.runtime import resolve_device


def extract_images(job: Job) -> str:
    """Write the records and vectors of a cell's missing parts: what needs the device to itself.

    Returns:
        The device it ran on.
    """
    with _named(job, "extract"):
        device = resolve_device(job.runtime.device)
        runtime, progress = job.on(device).runtime, Progress(job.name, "extract")
        extract.extract(job.cell, job.open_images(), job.open_lake(), runtime, progress, job.also)
    return device


def finish(job: Job) -> None:
    """Fit the frames of an extracted cell, search its memory, and commit it: from then on it is readable.

    Args:
        job: With the device that extracted it; where that is missing, the CPU searches.
    """
    with _named(job, "open"):
        images, lake = job.open_images(), job.open_lake()
        sums = extract.load_sums(job.cell, images, lake)
    with _named(job, "fit frames", sums.rows):
        finishing.fit_frames(job.cell, lake, sums, images.class_names)
    with _named(job, "search memory", sums.rows):
        search.search_memory(job.cell, lake, images, _here_or_cpu(job.runtime.device))
    with _named(job, "commit", sums.rows):
        finishing.commit(job.cell, lake, images, sums, job.runtime)


def _here_or_cpu(device: str) -> str:
    try:
        return resolve_device(device)
    except U1Error:
        return "cpu"


@contextmanager
def _named(job: Job, step: str, images: int = 0) -> Iterator[None]:
    """Tell that a step begins, and let its errors say which it was."""
    if images:
        tell(Moved(job.name, step, images, images))
    try:
        yield
    except Exception as e:
        e.add_note(step)
        raise
