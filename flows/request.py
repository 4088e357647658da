"""What a sweep or a plan is asked for, checked. Prefect is not imported: a plan does without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from flows.options import Options
from tasks.jobs import Places
from u1core.catalog.catalog import load_catalog
from u1core.catalog.entries import DatasetEntry, ModelEntry
from u1core.cells.cell import PRECISIONS, Cell
from u1core.cells.variants import VARIANTS, select_variants
from u1core.common.errors import U1Error, check_choice
from u1core.common.runtime import Runtime, resolve_device
from u1core.images.cache import default_cache
from u1core.lake.storage import resolve_address
from u1core.networks.resolve import Selection, select_networks
from u1core.networks.weights import pin_if_here


@dataclass(frozen=True)
class Request:
    """A sweep's options, and what they stand for in the catalog and on this machine."""

    options: Options
    selection: Selection
    datasets: tuple[DatasetEntry, ...]
    variants: tuple[str, ...]
    places: Places
    runtime: Runtime

    @classmethod
    def of(cls, options: Options) -> Self:
        """Check every option before anything runs.

        Raises:
            U1Error: An option names something that does not exist.
        """
        catalog = load_catalog(options.catalog)
        check_choice("--precision", options.precision, PRECISIONS)
        # Other machines have other devices: their workers look for themselves.
        device = options.device if options.elsewhere else resolve_device(options.device)
        # Absolute, because a worker may have another working directory.
        data_dir = _folder("--data-dir", options.data_dir)
        models_dir = _folder("--models-dir", options.models_dir)
        selection = select_networks(catalog, options.models)
        models = tuple(pin_if_here(model, models_dir) for model in selection.models)
        return cls(
            options,
            selection=replace(selection, models=models),
            datasets=tuple(catalog.select_datasets(options.datasets)),
            variants=select_variants(options.variants),
            places=Places(resolve_address(options.lake), default_cache().resolve(), data_dir),
            runtime=Runtime(device, options.batch_size, models_dir),
        )

    def with_models(self, models: Mapping[str, ModelEntry]) -> Self:
        """Return the request with other entries of models, by id."""
        chosen = tuple(models.get(model.id, model) for model in self.selection.models)
        return replace(self, selection=replace(self.selection, models=chosen))

    def cells(self, fingerprints: dict[str, str]) -> list[Cell]:
        """Return the grid over the datasets with a known fingerprint, dataset by dataset."""
        grid = (
            Cell(
                model,
                dataset,
                fingerprints[dataset.id],
                variant,
                VARIANTS[variant].precision or self.options.precision,
                self.options.limit,
                # One channel has no direction to compare.
                0 if model.is_baseline else self.options.location_limit,
                self.options.memory,
            )
            for dataset in self.datasets
            if dataset.id in fingerprints
            for model in self.selection.models
            for variant in self.variants
            if not model.is_baseline or VARIANTS[variant].shows_in_pictures
        )
        only = self.options.only
        return [cell for cell in grid if not only or str(cell) in only]


def _folder(option: str, path: Path | None) -> Path | None:
    if path is not None and not path.is_dir():
        raise U1Error(f"{option} to name a folder", str(path), "check the name, or leave the option out")
    return None if path is None else path.resolve()
