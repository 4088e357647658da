"""The options of a sweep as arguments of commands: declared once, for plan, sweep, retry and serve."""

# No postponed annotations here: the commands' signatures are put together from these.
import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.arguments import (
    BatchSize,
    CatalogFile,
    CellTimeout,
    Cluster,
    ClusterOption,
    DaskAddress,
    DataDir,
    Datasets,
    Device,
    Lake_,
    Limit,
    LocationLimit,
    Models,
    ModelsDir,
    Precision,
    Precision_,
    Report_,
    Runner,
    Runner_,
    Variants,
    catalog_file,
    read_catalog,
)
from u1core.networks.references import select_models

if TYPE_CHECKING:
    from flows.request import Options


def make_options(
    models: Models = "*",
    datasets: Datasets = "*",
    lake: Lake_ = "lake",
    report: Report_ = Path("report"),
    limit: Limit = None,
    location_limit: LocationLimit = 1000,
    variants: Variants = "original",
    precision: Precision_ = Precision.float32,
    device: Device = "auto",
    batch_size: BatchSize = None,
    runner: Runner_ = Runner.local,
    dask_address: DaskAddress = None,
    cluster: Cluster = None,
    cluster_option: ClusterOption = None,
    cell_timeout: CellTimeout = None,
    catalog: CatalogFile = None,
    models_dir: ModelsDir = None,
    data_dir: DataDir = None,
) -> "Options":
    """Return the options of a sweep; unknown names are refused before torch takes seconds to import."""
    loaded = read_catalog(catalog)
    select_models(loaded, models)
    loaded.select_datasets(datasets)
    from flows.clusters import cluster_of
    from flows.request import Options

    return Options(
        models=models,
        datasets=datasets,
        lake=lake,
        report=report,
        limit=limit,
        location_limit=location_limit,
        variants=variants,
        precision=precision.value,
        device=device,
        batch_size=batch_size,
        catalog=catalog_file(catalog),
        models_dir=models_dir,
        data_dir=data_dir,
        cell_timeout=cell_timeout,
        **cluster_of(runner.value, dask_address, cluster, cluster_option or [], catalog_file(catalog)),
    )


def takes_options(*, but: tuple[str, ...] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the arguments of `make_options`, and pass it what that returns as its first one.

    Args:
        but: Arguments that the command does not take.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        asked = [p for p in inspect.signature(make_options).parameters.values() if p.name not in but]
        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]

        @wraps(command)
        def run(**given: Any) -> None:  # noqa: ANN401 (typer checks them)
            options = make_options(**{parameter.name: given.pop(parameter.name) for parameter in asked})
            command(options, **given)

        del run.__wrapped__  # type: ignore[attr-defined]
        run.__signature__ = inspect.Signature([*asked, *own])  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*asked, *own)}
        return run

    return decorate
