"""`u1 catalog list` and `show`."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from u1core.catalog import Catalog, DatasetEntry, ModelEntry


def print_list(catalog: Catalog, out: Console) -> None:
    """Print the models and datasets as two tables."""
    models = Table(
        "model", "architecture", "weights", "labels", "bottleneck", title="models", title_justify="left"
    )
    for m in catalog.models.values():
        models.add_row(m.id, m.architecture, m.weights, m.label_space, m.bottleneck)
    datasets = Table(
        "dataset", "classes", "memory", "query", "sources", title="datasets", title_justify="left"
    )
    for d in catalog.datasets.values():
        counts = (len(d.class_names) or "?", d.images_memory or "?", d.images_query or "?")
        datasets.add_row(d.id, *map(str, counts), ", ".join(d.sources))
    for table in (models, datasets):
        out.print(table)


def print_entry(catalog: Catalog, name: str, out: Console) -> None:
    """Print one entry whole: a dataset, or a model with its optical path."""
    if name in catalog.datasets:
        _print_dataset(catalog.datasets[name], out)
    else:
        _print_model(catalog.select_models(name)[0], out)


def _print_fields(title: str, fields: dict[str, object], out: Console) -> None:
    table = Table.grid(padding=(0, 2))
    for name, value in fields.items():
        table.add_row(f"[dim]{name}[/]", str(value).replace("[", "\\["))
    out.print(f"[bold]{title}[/]")
    out.print(table)


def _print_model(entry: ModelEntry, out: Console) -> None:
    identity = entry.identity()
    fields = {"description": entry.description, **identity, "label_space": entry.label_space}
    fields.pop("layers")
    _print_fields(entry.id, fields, out)
    # Imported late: torch takes seconds, and a list does not need it.
    from u1core.cost import shape_of

    shape = shape_of(entry)
    table = Table(
        "layer t",
        "channels N",
        "H x W",
        "",
        title="optical path, in order of execution",
        title_justify="left",
    )
    for layer, (channels, height, width) in shape.layers.items():
        mark = "bottleneck" if layer == entry.bottleneck else ""
        table.add_row(layer, str(channels), f"{height} x {width}", mark)
    out.print(table)
    out.print(f"{shape.flops / 1e9:.2f} GFLOP per image up to the last layer", highlight=False)


def _print_dataset(entry: DatasetEntry, out: Console) -> None:
    fields = {
        "description": entry.description,
        "kind": entry.kind,
        "sources, in turn": ", ".join(entry.sources),
        "classes": ", ".join(entry.class_names) or "read from the folder",
        "images": f"memory {entry.images_memory or '?'}, query {entry.images_query or '?'}",
        "fingerprint": entry.fingerprint or "not proven",
        "options": dict(entry.options) or "none",
    }
    _print_fields(entry.id, fields, out)
