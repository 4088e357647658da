"""What a sweep or a plan is asked for, checked. Prefect is not imported: a plan does without it."""

# No postponed annotations here: Prefect reads the fields of Options from them.
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from tasks.jobs import Places
from u1core.catalog.catalog import load_catalog
from u1core.catalog.entries import DatasetEntry
from u1core.cells.cell import PRECISIONS, Cell, check_choice
from u1core.cells.variants import VARIANTS, select_variants
from u1core.common.errors import U1Error
from u1core.common.runtime import Runtime, resolve_device
from u1core.images.cache import default_cache
from u1core.lake.storage import resolve
from u1core.networks.resolve import Selection, select_networks
from u1core.networks.weights import pin_if_here


@dataclass(frozen=True)
class Options:
    """What a sweep is asked for, in plain values: the parameters of the flow and of its deployments.

    Attributes:
        models: Model ids, globs or references such as `timm:*resnet*`, separated by commas.
        datasets: Dataset ids or globs.
        lake: Folder of the lake, or s3://bucket/prefix.
        report: Folder of the report.
        limit: Class-balanced images per split; None for all.
        location_limit: Of them, images per split for the location memory; 0 for none.
        variants: Names, globs or groups of variants ('controls', 'jitter'), separated by commas.
        precision: Arithmetic of the forward pass.
        device: A torch device, or 'auto'.
        batch_size: Images per forward pass; None chooses.
        catalog: TOML file with entries of one's own.
        models_dir: Folder of weights files.
        data_dir: Folder of datasets already on this machine.
        drift: Shift of a figure above which the sweep does not end well; None for any.
        only: Names of the cells to be looked at; empty for all.
        runner: Where cells are computed: 'local' or 'dask'.
        dask_address: Scheduler of a running cluster.
        cluster: `module:Class` of a cluster to start.
        cluster_options: Its keyword arguments.
        cell_timeout: Minutes after which a worker is killed that is still at a step of one cell.
    """

    models: str = "*"
    datasets: str = "*"
    lake: Path | str = Path("lake")
    report: Path = Path("report")
    limit: int | None = None
    location_limit: int = 1000
    variants: str = "original"
    precision: str = "float32"
    device: str = "auto"
    batch_size: int | None = None
    catalog: Path | None = None
    models_dir: Path | None = None
    data_dir: Path | None = None
    drift: float | None = None
    only: Sequence[str] = ()
    runner: str = "local"
    dask_address: str | None = None
    cluster: str | None = None
    cluster_options: Mapping[str, Any] = field(default_factory=dict)
    cell_timeout: float | None = None


@dataclass(frozen=True)
class Where:
    """Where cells are computed, in plain values.

    Attributes:
        runner: 'local' or 'dask'.
        dask_address: Scheduler of a running cluster.
        cluster: `module:Class` of a cluster to start.
        cluster_options: Its keyword arguments.
        cell_timeout: Minutes after which a worker is killed that is still at a step of one cell.
    """

    runner: str = "local"
    dask_address: str | None = None
    cluster: str | None = None
    cluster_options: Mapping[str, Any] = field(default_factory=dict)
    cell_timeout: float | None = None

    def __post_init__(self) -> None:
        if self.runner not in ("local", "dask"):
            raise U1Error("--runner to be local or dask", repr(self.runner), "name one of them")
        options = {
            "--dask-address": self.dask_address,
            "--cluster": self.cluster,
            "--cell-timeout": self.cell_timeout,
        }
        for option, value in options.items():
            if value and self.runner != "dask":
                raise U1Error(
                    f"{option} to go with --runner dask", f"--runner {self.runner}", "add --runner dask"
                )
        if self.cell_timeout is not None and self.cell_timeout <= 0:
            raise U1Error(
                "--cell-timeout above 0 minutes", f"{self.cell_timeout:g}", "raise it or leave it out"
            )
        if "@" in (self.dask_address or ""):
            todo = "leave them out, addresses are stored; Dask takes certificates: `distributed.comm.tls`"
            raise U1Error("--dask-address without user and password", str(self.dask_address), todo)
        if self.dask_address and self.cluster:
            raise U1Error("--dask-address or --cluster", "both", "leave one of them out")

    @property
    def elsewhere(self) -> bool:
        """Whether cells may be computed on other machines than this one."""
        return bool(self.dask_address or self.cluster)


@dataclass(frozen=True)
class Request:
    """A sweep's options, checked and resolved against the catalog and this machine."""

    selection: Selection
    datasets: tuple[DatasetEntry, ...]
    variants: tuple[str, ...]
    precision: str
    limit: int | None
    location_limit: int
    places: Places
    runtime: Runtime
    where: Where
    only: Sequence[str] = ()

    @classmethod
    def of(cls, options: Options) -> Self:
        """Check every option before anything runs.

        Raises:
            U1Error: An option names something that does not exist.
        """
        catalog = load_catalog(options.catalog)
        check_choice("--precision", options.precision, PRECISIONS)
        where = Where(
            options.runner,
            options.dask_address,
            options.cluster,
            options.cluster_options,
            options.cell_timeout,
        )
        # Other machines have other devices: their workers look for themselves.
        device = options.device if where.elsewhere else resolve_device(options.device)
        # Absolute, because a worker may have another working directory.
        data_dir, models_dir = (
            _folder("--data-dir", options.data_dir),
            _folder("--models-dir", options.models_dir),
        )
        selection = select_networks(catalog, options.models)
        models = tuple(pin_if_here(model, models_dir) for model in selection.models)
        return cls(
            selection=replace(selection, models=models),
            datasets=tuple(catalog.select_datasets(options.datasets)),
            variants=select_variants(options.variants),
            precision=options.precision,
            limit=options.limit,
            location_limit=options.location_limit,
            places=Places(resolve(options.lake), default_cache().resolve(), data_dir),
            runtime=Runtime(device, options.batch_size, models_dir),
            where=where,
            only=options.only,
        )

    def cells(self, fingerprints: dict[str, str]) -> list[Cell]:
        """Return the grid over the datasets with a known fingerprint, dataset by dataset."""
        grid = (
            Cell(
                model,
                dataset,
                fingerprints[dataset.id],
                variant,
                VARIANTS[variant].precision or self.precision,
                self.limit,
                # One channel has no direction to compare.
                0 if model.is_baseline else self.location_limit,
            )
            for dataset in self.datasets
            if dataset.id in fingerprints
            for model in self.selection.models
            for variant in self.variants
            if not model.is_baseline or VARIANTS[variant].shows_in_pictures
        )
        return [cell for cell in grid if not self.only or str(cell) in self.only]


def _folder(option: str, path: Path | None) -> Path | None:
    if path is not None and not path.is_dir():
        raise U1Error(f"{option} to name a folder", str(path), "check the name, or leave the option out")
    return None if path is None else path.resolve()
