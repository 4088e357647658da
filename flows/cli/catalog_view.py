"""`u1 catalog list` and `show`: what they print."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from u1core.catalog.catalog import Catalog
from u1core.catalog.datasets import LISTED_KINDS, plugin_kinds
from u1core.catalog.entries import DatasetEntry, ModelEntry
from u1core.common.errors import U1Error
from u1core.networks.identity import identity_of
from u1core.networks.references import select_models

if TYPE_CHECKING:
    from u1core.networks.optical_path import Layer

Entry = TypeVar("Entry", ModelEntry, DatasetEntry)


@dataclass(frozen=True)
class Filter:
    """What a list is narrowed to; every pattern is a glob.

    Attributes:
        pattern: Over ids; or a reference to what a source has.
        labels: Over label spaces.
        source: Over the sources of networks and the kinds of datasets.
        here: Only models whose weights are on this machine.
        models_dir: Folder of weights files.
    """

    pattern: str = "*"
    labels: str = "*"
    source: str = "*"
    here: bool = False
    models_dir: Path | None = None

    def models(self, catalog: Catalog) -> list[ModelEntry]:
        """Return the models it lets through."""
        entries = select_models(catalog, self.pattern) if ":" in self.pattern else self._named(catalog.models)
        return [
            entry
            for entry in entries
            if fnmatchcase(entry.label_space, self.labels)
            and fnmatchcase(entry.architecture.partition(":")[0], self.source)
            and (not self.here or _is_here(entry, self.models_dir))
        ]

    def datasets(self, catalog: Catalog) -> list[DatasetEntry]:
        """Return the datasets it lets through."""
        return [
            entry
            for entry in self._named(catalog.datasets)
            if fnmatchcase(entry.label_space, self.labels)
            and fnmatchcase(entry.kind, self.source)
            and not self.here
        ]

    def _named(self, entries: Mapping[str, Entry]) -> list[Entry]:
        parts = [part.strip() for part in self.pattern.split(",")]
        return [e for name, e in entries.items() if any(fnmatchcase(name, part) for part in parts)]


def _is_here(entry: ModelEntry, models_dir: Path | None) -> bool:
    from u1core.networks.weights import find_weights

    try:
        return entry.weights == "none" or find_weights(entry, models_dir) is not None
    except U1Error:
        return False


def print_list(catalog: Catalog, chosen: Filter, out: Console) -> None:
    """Print the models and datasets as two tables.

    Raises:
        U1Error: Nothing is let through.
    """
    models, datasets = chosen.models(catalog), chosen.datasets(catalog)
    if not models and not datasets:
        raise U1Error("a filter that lets something through", repr(chosen.pattern), "widen it")
    if models:
        out.print(_models_table(models))
    if datasets:
        out.print(_datasets_table(datasets))
    out.print(f"{len(models)} models, {len(datasets)} datasets", highlight=False)


def _models_table(models: Iterable[ModelEntry]) -> Table:
    table = Table(
        "model", "architecture", "weights", "labels", "bottleneck", title="models", title_justify="left"
    )
    for m in models:
        cells = (m.id, m.architecture, m.weights, m.label_space or "?", m.bottleneck or "to be found")
        table.add_row(*map(escape, cells))
    return table


def _datasets_table(datasets: Iterable[DatasetEntry]) -> Table:
    columns = ("dataset", "kind", "labels", "classes", "memory", "query", "from")
    table = Table(*columns, title="datasets", title_justify="left")
    for d in datasets:
        counts = (len(d.class_names) or "?", d.images_memory or "?", d.images_query or "?")
        place = ", ".join(d.sources) or str(d.options.get("path", ""))
        table.add_row(*map(escape, (d.id, d.kind, d.label_space, *map(str, counts), place)))
    return table


def print_entry(catalog: Catalog, name: str, out: Console) -> None:
    """Print one entry whole: a dataset, or a model with its optical path."""
    if name in catalog.datasets or (name not in catalog.models and names_dataset(name)):
        print_dataset(catalog.select_datasets(name)[0], out)
    else:
        _print_model(select_models(catalog, name)[0], out)


def names_dataset(reference: str) -> bool:
    """Tell whether a reference means a dataset; torchvision's datasets are classes, its models functions."""
    scheme, _, rest = reference.partition(":")
    if scheme == "torchvision":
        return rest[:1].isupper()
    return bool(rest) and scheme in (*LISTED_KINDS, *plugin_kinds())


def _print_fields(title: str, fields: dict[str, object], out: Console) -> None:
    table = Table.grid(padding=(0, 2))
    for name, value in fields.items():
        table.add_row(f"[dim]{name}[/]", escape(str(value)))
    out.print(f"[bold]{escape(title)}[/]")
    out.print(table)


def _print_model(entry: ModelEntry, out: Console) -> None:
    # Imported late: torch takes seconds, and a list does not need it.
    from u1core.cells.cost import shape_of
    from u1core.networks.resolve import describe_path, resolve

    fields: dict[str, object] = {"description": entry.description}
    if entry.architecture.startswith("code:"):
        fields["code"] = "a function of the user's own, called only where U1_ALLOW_CODE=1"
        if os.environ.get("U1_ALLOW_CODE") != "1":
            fields |= {"architecture": entry.architecture, "weights": entry.weights}
            return _print_fields(entry.id, fields, out)
    resolved = resolve(entry)
    identity = identity_of(resolved)
    fields |= {name: value for name, value in identity.items() if name != "layers"}
    fields["sha256"] = resolved.sha256 or (
        "taken from the file" if resolved.has_weights else "none: random weights"
    )
    fields["label_space"] = resolved.label_space
    _print_fields(entry.id, fields, out)
    out.print(path_table(describe_path(resolved), resolved.bottleneck))
    out.print(f"{shape_of(resolved).flops / 1e9:.2f} GFLOP per image up to the last layer", highlight=False)


def path_table(layers: Iterable[Layer], bottleneck: str) -> Table:
    """Draw an optical path: one row per resolution, in order of execution."""
    columns = ("H x W", "layer t", "channels N", "non-linearity", "A >= 0", "")
    table = Table(*columns, title="optical path, in order of execution", title_justify="left")
    for layer in layers:
        mark = "bottleneck" if layer.path == bottleneck else ""
        sign = "yes" if layer.non_negative else "no"
        size = f"{layer.height} x {layer.width}"
        cells = (size, layer.path, str(layer.channels), layer.nonlinearity or "none", sign, mark)
        table.add_row(*map(escape, cells), style="bold" if mark else None)
    return table


def print_dataset(entry: DatasetEntry, out: Console) -> None:
    """Print the fields of a dataset."""
    fields: dict[str, object] = {
        "description": entry.description,
        "kind": entry.kind,
        "sources, in turn": ", ".join(entry.sources) or entry.options.get("path", ""),
        "classes": ", ".join(entry.class_names) or "come with the pictures",
        "images": f"memory {entry.images_memory or '?'}, query {entry.images_query or '?'}",
        "fingerprint": entry.fingerprint or "not proven",
        "label_space": entry.label_space,
        "options": dict(entry.options) or "none",
    }
    _print_fields(entry.id, fields, out)
