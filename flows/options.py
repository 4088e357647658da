"""What the flows are asked for: every option declared once, with its type, its default and its help.

The command line takes its arguments from the fields below (`flows.cli.arguments`), Prefect the parameters of
the flows and of their deployments. Nothing heavy is imported here, so that `--help` starts at once.
"""

# No postponed annotations here: typer and Prefect read the fields from them.
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from typer.models import OptionInfo

from u1core.common.errors import U1Error


class Option(OptionInfo):
    """An option of the command line; its help describes the parameter in Prefect's forms, too."""

    def __init__(
        self,
        flag: str,
        help: str,
        *,
        min: float | None = None,
        envvar: str | None = None,
        callback: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(
            default=..., param_decls=(flag,), help=help, min=min, envvar=envvar, callback=callback
        )

    def __get_pydantic_json_schema__(
        self, schema: object, handler: Callable[[object], dict[str, Any]]
    ) -> dict[str, Any]:
        plain = (self.help or "").replace("\\[", "[")  # rich's escape
        return handler(schema) | {"description": plain}


def own_catalog(named: Path | None) -> Path | None:
    """Return the catalog named, else the one in the working directory, if there is one."""
    from u1core.catalog.catalog import default_catalog

    return named or default_catalog()


Precision = Literal["float32", "bfloat16", "float16"]
Memory = Literal["official", "held-out"]

# What several commands take.
LakeAddress = Annotated[str, Option("--lake", "Folder of the lake, or s3://bucket/prefix.", envvar="U1_LAKE")]
ReportFolder = Annotated[Path, Option("--report", "Folder of the report.")]
Device = Annotated[str, Option("--device", "auto, cpu, cuda, cuda:1, ...")]
CatalogFile = Annotated[
    Path | None,
    Option(
        "--catalog",
        "TOML file with entries of your own; catalog.toml here, if there is one.",
        envvar="U1_CATALOG",
        callback=own_catalog,
    ),
]
ModelsDir = Annotated[Path | None, Option("--models-dir", "Folder of weights files.", envvar="U1_MODELS")]
DataDir = Annotated[
    Path | None, Option("--data-dir", "Folder of datasets already on this machine.", envvar="U1_DATA")
]
Drift = Annotated[
    float | None,
    Option("--drift", "End with status 1 if a figure moved by more than this; see docs.", min=0),
]


@dataclass(frozen=True)
class What:
    """What is swept and how, in plain values."""

    models: Annotated[
        str,
        Option("--models", "Ids, globs over them, or references such as 'timm:*resnet*'; commas between."),
    ] = "*"
    datasets: Annotated[
        str,
        Option("--datasets", "Ids, globs over them, or references such as folder:PATH; commas between."),
    ] = "*"
    lake: LakeAddress = "lake"
    report: ReportFolder = Path("report")
    limit: Annotated[
        int | None, Option("--limit", "Images per split, class-balanced; all by default.", min=1)
    ] = None
    location_limit: Annotated[
        int, Option("--location-limit", "Images per split for the location memory; 0 for none.", min=0)
    ] = 1000
    variants: Annotated[
        str,
        Option(
            "--variants",
            "original; groups: controls, jitter, attribution, template, occlusion, population (20 seeds of "
            "random weights, with two paddings), gauge; or single ones such as hflip, pad-circular, "
            "random-init:7; commas between.",
        ),
    ] = "original"
    memory: Annotated[
        Memory,
        Option("--memory", "The official memory split, or a half of the query split: held-out."),
    ] = "official"
    precision: Annotated[Precision, Option("--precision", "Arithmetic of the forward pass.")] = "float32"
    device: Device = "auto"
    batch_size: Annotated[int | None, Option("--batch-size", "Images per forward pass.", min=1)] = None


@dataclass(frozen=True)
class Where:
    """Where cells are computed, in plain values.

    Raises:
        U1Error: Two of them contradict each other.
    """

    runner: Annotated[
        Literal["local", "dask"], Option("--runner", "Threads of this process, or a Dask cluster.")
    ] = "local"
    dask_address: Annotated[
        str | None, Option("--dask-address", "Scheduler of a running cluster, tcp://host:port.")
    ] = None
    cluster: Annotated[
        str | None,
        Option(
            "--cluster",
            "module:Class of a cluster to start, such as dask_jobqueue:SLURMCluster; "
            "else `class` of \\[cluster] in the catalog file.",
            envvar="U1_CLUSTER",
        ),
    ] = None
    cluster_options: Annotated[
        Mapping[str, Any], Option("--cluster-option", "name=value for the cluster's class; repeatable.")
    ] = field(default_factory=dict)
    cell_timeout: Annotated[
        float | None,
        Option("--cell-timeout", "Minutes after which a Dask worker still at a step of one cell is killed."),
    ] = None

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
class Options(Where, What):
    """What a sweep is asked for, in plain values: the parameters of the flow and of its deployments.

    Its bases from right to left, then its own fields, are in the order of `--help`.

    Attributes:
        only: Names of the cells to be looked at; empty for all.
    """

    catalog: CatalogFile = None
    models_dir: ModelsDir = None
    data_dir: DataDir = None
    drift: Drift = None
    only: Sequence[str] = ()


@dataclass(frozen=True)
class TrainOptions:
    """What a training is asked for, in plain values: the parameters of the flow.

    Raises:
        U1Error: The weights are no numbers from 0 up.
    """

    tasks: Annotated[str, Option("--tasks", "Data sets: ids, globs or references such as folder:PATH.")]
    network: Annotated[
        str,
        Option(
            "--network",
            "small_cnn:64, cifar_resnet:20, torchvision:NAME, timm:NAME; auto: by the pictures' size.",
        ),
    ] = "auto"
    size: Annotated[int | None, Option("--size", "Pixels it is shown; its usual ones by default.", min=8)] = (
        None
    )
    arms: Annotated[
        str,
        Option(
            "--arms",
            "From onehot, onehot+u1, u1, onehot+shuffled, onehot+plane, onehot+smoothing; commas; all.",
        ),
    ] = "all"
    seeds: Annotated[int, Option("--seeds", "Runs of every arm, from seeds 0, 1, ...", min=1)] = 5
    weight: Annotated[
        str, Option("--weight", "Of the U(1) loss; several, with commas, to choose by validation.")
    ] = "0.3"
    weight_schedule: Annotated[
        Literal["constant", "rising", "falling"], Option("--weight-schedule", "Of that weight over a run.")
    ] = "constant"
    angles: Annotated[
        Literal["random", "equispaced", "measured"],
        Option("--angles", "Of the classes; measured asks the lake."),
    ] = "random"
    site: Annotated[
        Literal["head", "bottleneck"],
        Option("--site", "Two outputs on the pooled bottleneck, or a fixed plane in it."),
    ] = "head"
    epochs: Annotated[int, Option("--epochs", "Passes over the training images.", min=1)] = 30
    batch_size: Annotated[int, Option("--batch-size", "Images per step.", min=2)] = 128
    learning_rate: Annotated[float, Option("--learning-rate", "Its peak; then a cosine to 0.", min=0)] = 0.1
    weight_decay: Annotated[float, Option("--weight-decay", "On every parameter.", min=0)] = 5e-4
    validation: Annotated[
        float, Option("--validation", "Share of the memory split held out to choose the weight.")
    ] = 0.1
    limit: Annotated[
        int | None, Option("--limit", "Images per split, class-balanced; all by default.", min=2)
    ] = None
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        Option("--precision", "auto: bfloat16 on GPUs that have it, else float32."),
    ] = "auto"
    device: Device = "auto"
    lake: LakeAddress = "lake"
    report: ReportFolder = Path("report")
    to: Annotated[Path, Option("--to", "Folder of the trained networks and their catalog.")] = Path("trained")
    sweep_limit: Annotated[
        int, Option("--sweep-limit", "Images per split of their own sweep; 0 for none.", min=0)
    ] = 1000
    catalog: CatalogFile = None
    data_dir: DataDir = None

    def __post_init__(self) -> None:
        if not all(0 <= weight < float("inf") for weight in self.weights):
            raise U1Error("--weight of at least 0", repr(self.weight), "write 0.1,0.3,1")

    @property
    def weights(self) -> tuple[float, ...]:
        """Weights of the U(1) loss, to choose from."""
        try:
            return tuple(dict.fromkeys(float(part) for part in self.weight.split(",")))
        except ValueError as error:
            todo = "write 0.1,0.3,1"
            raise U1Error("--weight to be numbers with commas between", repr(self.weight), todo) from error
