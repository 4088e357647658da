"""`u1 catalog check`: entries proven again, one table, faults by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn, track
from rich.table import Table

from u1core.catalog.entries import DatasetEntry, ModelEntry
from u1core.cells.examine import Remark, examine_model
from u1core.common.errors import U1Error
from u1core.images.cache import Images, default_cache, open_images

COLOURS = {"ok": "green", "note": "yellow", "fault": "red"}
SHOWN = 5
"""Failed or foreign files named one by one."""


def check_models(
    entries: Sequence[ModelEntry], models_dir: Path | None, trained: bool, out: Console, err: Console
) -> list[str]:
    """Examine models; print what was found and return the ids of those at fault."""
    table = remarks_table("model")
    faults = []
    for entry in track(entries, "checking models", console=err, transient=True):
        remarks = examine_model(entry, models_dir, trained)
        add_remarks(table, entry.id, remarks)
        if any(remark.state == "fault" for remark in remarks):
            faults.append(entry.id)
    out.print(table)
    return faults


def check_datasets(
    entries: Sequence[DatasetEntry], data_dir: Path | None, out: Console, err: Console
) -> list[str]:
    """Decode every image of datasets; print what was found and return the ids of those at fault."""
    table = remarks_table("dataset")
    faults = []
    for entry in entries:
        try:
            remarks = describe_images(decode(entry, data_dir, err))
        except U1Error as error:
            remarks = [Remark("images", "fault", str(error))]
            faults.append(entry.id)
        add_remarks(table, entry.id, remarks)
    out.print(table)
    return faults


def decode(entry: DatasetEntry, data_dir: Path | None, err: Console) -> Images:
    """Decode a dataset behind a bar, or open it from the cache."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bars:
        bar = bars.add_task(f"decoding {entry.id}", total=None)

        def progress(done: int, total: int) -> None:
            bars.update(bar, completed=done, total=total)

        return open_images(entry, default_cache(), data_dir, progress=progress)


def remarks_table(what: str) -> Table:
    """Make the table that remarks are added to."""
    return Table(what, "", "about", "seen")


def add_remarks(table: Table, name: str, remarks: Sequence[Remark]) -> None:
    """Add the remarks of one entry, its name once."""
    for number, remark in enumerate(remarks):
        state = f"[{COLOURS[remark.state]}]{remark.state}[/]"
        first = "" if number else escape(name)
        last = number == len(remarks) - 1
        table.add_row(first, state, remark.about, escape(remark.text), end_section=last)


def describe_images(images: Images) -> list[Remark]:
    """Say what a dataset holds: counts, classes, fingerprint, and what could not be read."""
    query = int(images.is_query.sum())
    size = "in their files" if images.pixels is None else " x ".join(map(str, images.pixels.shape[1:]))
    counts = f"{len(images)} images: memory {len(images) - query}, query {query}; {size}"
    per_class = np.bincount(images.labels, minlength=len(images.class_names))
    classes = f"{len(images.class_names)} classes of {per_class.min()} to {per_class.max()} images"
    remarks = [
        Remark("images", "ok", counts),
        Remark("classes", "ok", classes),
        Remark("fingerprint", "ok", images.fingerprint),
    ]
    if failures := [*images.failures, *images.undecodable()]:
        reasons = [failure.error for failure in failures]
        total = len(images) + len(images.failures)
        remarks.append(Remark("failures", "note", f"{len(reasons)} of {total} pictures: {_few(reasons)}"))
    if images.unlabelled:
        remarks.append(Remark("labels", "note", f"{images.unlabelled} pictures without a label are left out"))
    if images.ignored.count:
        named = _few(images.ignored.names, images.ignored.count)
        kinds = ", ".join(images.ignored.told)
        remarks.append(Remark("ignored", "note", f"{images.ignored.count} other files ({kinds}): {named}"))
    if images.unlabelled:
        remarks.append(Remark("unlabelled", "note", f"{images.unlabelled} pictures without a label"))
    if (repeats := images.repeats()) and (repeats.across or repeats.within):
        within = f"{repeats.within} pictures repeat one of their own split"
        text = f"{repeats.across} of {query} query pictures are in memory too; {within}"
        remarks.append(Remark("repeated", "note", text))
    return remarks


def _few(texts: Sequence[str], count: int | None = None) -> str:
    more = (count or len(texts)) - len(texts[:SHOWN])
    return "; ".join(texts[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
