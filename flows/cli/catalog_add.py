"""`u1 catalog add`: look at a model or a dataset, run it once, write it into the user's catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from flows.cli.catalog_check import add_remarks, decode, describe_images, remarks_table
from flows.cli.catalog_view import names_dataset, path_table
from u1core.catalog.catalog import load_catalog
from u1core.catalog.dataset_references import dataset_reference
from u1core.catalog.edit import add_dataset, add_model, check_free
from u1core.catalog.entries import DatasetEntry, ModelEntry
from u1core.cells.examine import Remark, examine_model
from u1core.common.errors import U1Error
from u1core.common.paths import at_home
from u1core.networks.preprocess import preprocessing_of
from u1core.networks.references import model_reference, select_models
from u1core.networks.resolve import describe_path, resolve
from u1core.networks.weights import pin


@dataclass(frozen=True)
class Addition:
    """What is to be added.

    Attributes:
        reference: `<source>:<name>` of a model, `<kind>:<place>` of a dataset.
        name: Id of the entry; None makes one from the reference.
        weights: 'none', 'file:<path>' or 'package:<distribution>'; None for the source's own.
        labels: Label space; None for the source's own.
        preprocessing: Id or reference of a model whose preprocessing this one takes; None for its own.
        size: Side in px at which pictures are kept; datasets only.
        models_dir: Folder of weights files.
        data_dir: Folder of datasets already on this machine.
    """

    reference: str
    name: str | None = None
    weights: str | None = None
    labels: str | None = None
    preprocessing: str | None = None
    size: int | None = None
    models_dir: Path | None = None
    data_dir: Path | None = None


def add_entry(addition: Addition, catalog: Path, out: Console, err: Console) -> None:
    """Add a model or a dataset to a catalog file.

    Raises:
        U1Error: It can't be had, it would not run, or its id is taken; the file is as it was.
    """
    if names_dataset(addition.reference):
        _add_dataset(addition, catalog, out, err)
    else:
        _add_model(addition, catalog, out, err)


def _add_model(addition: Addition, catalog: Path, out: Console, err: Console) -> None:
    if addition.size:
        raise U1Error("--size with a dataset", f"the model {addition.reference}", "leave it out")
    entries = model_reference(addition.reference, _absolute(addition.weights))
    if len(entries) != 1:
        got = f"'{addition.reference}', which is {len(entries)}"
        raise U1Error("one model to add", got, "name one; a sweep takes a glob without an entry")
    entry = entries[0]
    entry = replace(entry, id=addition.name or entry.id, label_space=addition.labels or entry.label_space)
    _check_id(catalog, "models", entry.id)
    if addition.preprocessing:
        other = select_models(load_catalog(catalog if catalog.is_file() else None), addition.preprocessing)[0]
        entry = replace(entry, preprocessing=preprocessing_of(resolve(other)))
    with err.status(f"looking at {entry.architecture}"):
        entry = pin(resolve(entry), addition.models_dir)
        remarks = examine_model(entry, addition.models_dir)
    _stop_at_faults(entry, remarks)
    layers = describe_path(entry)
    add_model(catalog, entry, {layer.path: str(layer) for layer in layers})
    out.print(path_table(layers, entry.bottleneck))
    _conclude(entry, remarks, catalog, f"u1 sweep --models {entry.id}", out)


def _check_id(catalog: Path, table: str, name: str) -> None:
    """Raise U1Error if an id is taken, in the user's file or among the built-in entries."""
    check_free(catalog, table, name)
    if name in getattr(load_catalog(), table):
        raise U1Error("an id that no built-in entry has", f"'{name}'", "give another with --id")


def _absolute(weights: str | None) -> str | None:
    """Make the path of a file absolute: an entry is read from other folders too."""
    if weights is None or not weights.startswith("file:"):
        return weights
    path = at_home(weights.removeprefix("file:"))
    return f"file:{path.resolve()}" if path.is_file() else weights


def _stop_at_faults(entry: ModelEntry, remarks: Sequence[Remark]) -> None:
    faults = [f"{remark.about}: {remark.text}" for remark in remarks if remark.state == "fault"]
    if faults:
        raise U1Error(f"{entry.architecture} to run", "; ".join(faults), "correct that; nothing was written")


def _add_dataset(addition: Addition, catalog: Path, out: Console, err: Console) -> None:
    if addition.weights:
        raise U1Error("--weights with a model", f"the dataset {addition.reference}", "leave it out")
    entry = dataset_reference(addition.reference)
    options = {**entry.options, **({"size": addition.size} if addition.size else {})}
    name = addition.name or entry.id
    labels = addition.labels or (name if entry.label_space == entry.id else entry.label_space)
    entry = replace(entry, id=name, label_space=labels, options=options)
    _check_id(catalog, "datasets", entry.id)
    remarks = describe_images(decode(entry, addition.data_dir, err))
    add_dataset(catalog, entry, remarks[0].text)
    _conclude(entry, remarks, catalog, f"u1 sweep --datasets {entry.id}", out)


def _conclude(
    entry: ModelEntry | DatasetEntry,
    remarks: Sequence[Remark],
    catalog: Path,
    next_command: str,
    out: Console,
) -> None:
    table = remarks_table("entry")
    add_remarks(table, entry.id, remarks)
    out.print(table)
    hint = "" if catalog.name == "catalog.toml" and catalog.parent == Path() else f" --catalog {catalog}"
    out.print(
        f"added {entry.id} to {catalog}; next: {next_command}{hint}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
