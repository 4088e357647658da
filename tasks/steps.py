"""The steps of one cell, as plain functions that run in any process. Nothing here needs Prefect.

Each resumes or is run again: what the lake holds is not computed twice, and the same rows are written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tasks.events import Moved, Teller, tell
from tasks.jobs import Job
from u1core.cells.extract import extract, load_sums
from u1core.cells.finish import commit, fit_frames
from u1core.cells.search import search_memory
from u1core.common.errors import U1Error
from u1core.common.runtime import resolve_device


def extract_images(job: Job) -> str:
    """Write the records and vectors of a cell's missing parts: what needs the device to itself.

    Returns:
        The device it ran on.
    """
    with _named(job, "extract"):
        device = resolve_device(job.runtime.device)
        runtime, progress = job.on(device).runtime, Teller(job.name, "extract")
        extract(job.open(), runtime, progress, job.also)
    return device


def finish(job: Job) -> None:
    """Fit the frames of an extracted cell, search its memory, and commit it: from then on it is readable.

    Args:
        job: With the device that extracted it; where that is missing, the CPU searches.
    """
    with _named(job, "open"):
        opened = job.open()
        sums = load_sums(opened)
    with _named(job, "fit frames", sums.rows):
        fit_frames(opened, sums)
    with _named(job, "search memory", sums.rows):
        located = search_memory(opened, _here_or_cpu(job.runtime.device))
    with _named(job, "commit", sums.rows):
        commit(opened, sums, located, job.runtime)


def _here_or_cpu(device: str) -> str:
    try:
        return resolve_device(device)
    except U1Error:
        return "cpu"


@contextmanager
def _named(job: Job, step: str, images: int = 0) -> Iterator[None]:
    """Let the errors of a step say which it was; tell that it begins where its images are known."""
    if images:
        tell(Moved(job.name, step, images, images))
    try:
        yield
    except Exception as e:
        e.add_note(step)
        raise
