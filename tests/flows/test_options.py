"""Every option is declared once: what the command line, Prefect and the science make of it."""

import dataclasses
import os
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import yaml
from typer.testing import CliRunner

import tasks  # noqa: F401  (before Prefect)
from flows import sweep
from flows.cli import sweep as commands
from flows.cli.app import app
from flows.cli.arguments import arguments_of
from flows.options import Options, TrainOptions
from flows.serve import _absolute
from flows.sweep import run_sweep
from flows.train import TrainRequest
from u1core.cells import cell
from u1core.cells.variants import GROUPS
from u1core.common.errors import U1Error
from u1core.training import arms, objective, run

DEPLOYMENTS = yaml.safe_load((Path(__file__).parents[2] / "prefect.yaml").read_text(encoding="utf-8"))
DEFAULTS = {
    "batch_size": None,
    "catalog": None,
    "cell_timeout": None,
    "cluster": None,
    "cluster_options": {},
    "dask_address": None,
    "data_dir": None,
    "datasets": "*",
    "device": "auto",
    "drift": None,
    "lake": "lake",
    "limit": None,
    "location_limit": 1000,
    "models": "*",
    "models_dir": None,
    "only": [],
    "memory": "official",
    "precision": "float32",
    "report": "report",
    "runner": "local",
    "variants": "original",
}
"""Of deployments that exist: as JSON, what each parameter is if it is not given."""


@pytest.fixture
def typed(monkeypatch):
    """Type a command that stops before it runs; return the options it came to, and how it ended."""
    for name in [name for name in os.environ if name.startswith("U1_")]:
        monkeypatch.delenv(name)

    def run(*arguments):
        seen = []

        def note(options):
            seen.append(options)
            raise U1Error("nothing to run", "a test", "stop here")

        monkeypatch.setattr(commands, "_completed", note)
        ended = CliRunner().invoke(app, [*map(str, arguments)])
        return (seen or [None])[0], ended

    return run


def choices(kind, name):
    annotated = get_type_hints(kind, include_extras=True)[name]
    return get_args(get_args(annotated)[0])


def test_the_parameters_of_deployments_keep_their_names_and_defaults():
    assert run_sweep.serialize_parameters({"options": Options()}) == {"options": DEFAULTS}
    assert run_sweep.validate_parameters({"options": DEFAULTS}) == {
        "options": Options(report=Path("report"), only=[])
    }
    described = run_sweep.parameters.definitions["Options"]["properties"]
    assert described.keys() == DEFAULTS.keys()
    assert all("description" in described[name] for name in DEFAULTS.keys() - {"only"})


@pytest.mark.parametrize("deployment", DEPLOYMENTS["deployments"], ids=lambda each: each["name"])
def test_the_deployments_of_prefect_yaml_have_parameters_that_the_flow_takes(deployment):
    given = deployment["parameters"]["options"]
    taken = run_sweep.validate_parameters({"options": given})["options"]
    assert run_sweep.serialize_parameters({"options": taken})["options"] == DEFAULTS | given


def test_a_served_sweep_is_told_its_places_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    served = _absolute(Options(models="pixels", models_dir=Path("weights"), drift=0.1))
    changed = {name: value for name, value in vars(served).items() if value != getattr(Options(), name)}
    assert changed == {
        "models": "pixels",
        "lake": str(tmp_path / "lake"),
        "report": tmp_path / "report",
        "models_dir": tmp_path / "weights",
        "drift": 0.1,
    }


def test_what_is_not_typed_is_the_default_of_the_field(typed):
    asked, _ = typed("sweep")
    assert asked == Options()


def test_every_field_with_an_option_is_an_argument_and_is_read(typed, tmp_path):
    asked, ended = typed(
        *("sweep", "--models", "a", "--datasets", "b", "--lake", "s3://c/d", "--report", "e", "--limit", 2),
        *("--location-limit", 0, "--variants", "controls", "--precision", "bfloat16", "--device", "cpu"),
        *("--batch-size", 3, "--runner", "dask", "--cluster", "f:G", "--cluster-option", "n=4"),
        *("--cluster-option", "q=gpu", "--cell-timeout", 5, "--catalog", "h.toml", "--models-dir", "i"),
        *("--data-dir", "j", "--drift", 0.5),
    )
    assert asked == Options(
        models="a", datasets="b", lake="s3://c/d", report=Path("e"), limit=2, location_limit=0,
        variants="controls", precision="bfloat16", device="cpu", batch_size=3, runner="dask", cluster="f:G",
        cluster_options={"n": 4, "q": "gpu"}, cell_timeout=5.0, catalog=Path("h.toml"), models_dir=Path("i"),
        data_dir=Path("j"), drift=0.5,
    ), ended.output  # fmt: skip
    left = {field.name for field in dataclasses.fields(Options)} - {a.name for a in arguments_of(Options)}
    assert left == {"only"}


def test_the_environment_stands_in_for_what_is_not_typed(typed, monkeypatch):
    names = {"U1_LAKE": "a", "U1_CATALOG": "b", "U1_MODELS": "c", "U1_DATA": "d"}
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    places = {"catalog": Path("b"), "models_dir": Path("c"), "data_dir": Path("d")}
    assert typed("sweep")[0] == Options(lake="a", **places)
    assert typed("sweep", "--lake", "e")[0] == Options(lake="e", **places)
    monkeypatch.setenv("U1_CLUSTER", "f:G")
    assert typed("sweep", "--runner", "dask")[0].cluster == "f:G"


def test_a_command_takes_no_argument_that_it_leaves_out(typed):
    asked, _ = typed("plan", "--limit", 2)
    assert asked == Options(limit=2)
    for option in ("--runner", "--drift", "--report"):
        asked, ended = typed("plan", option, "dask")
        assert asked is None and ended.exit_code == 2
    # Those of `retry` say by what failed models are found, not what is swept.
    assert typed("retry", "--models", "timm:a*")[0] == Options()
    # A schedule has another default, told after what it is for.
    assert typed("serve", "--every", "6h")[0] == Options()


def test_the_catalog_of_the_folder_is_taken_where_none_is_named(typed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("catalog.toml").touch()
    assert typed("sweep")[0].catalog == Path("catalog.toml")
    assert typed("sweep", "--catalog", "mine.toml")[0].catalog == Path("mine.toml")


def test_the_choices_are_those_of_the_science():
    assert choices(Options, "precision") == cell.PRECISIONS
    assert choices(Options, "memory") == cell.MEMORIES
    assert choices(TrainOptions, "precision") == ("auto", *run.PRECISIONS)
    assert choices(TrainOptions, "angles") == arms.ANGLES
    assert choices(TrainOptions, "site") == objective.SITES
    assert choices(TrainOptions, "weight_schedule") == run.SCHEDULES


def test_the_help_names_every_group_of_variants():
    _, option = get_args(get_type_hints(Options, include_extras=True)["variants"])
    assert [group for group in GROUPS if group not in option.help] == []


def test_a_training_is_by_the_recipe_that_runs_have_by_default():
    request = TrainRequest.of(TrainOptions("digits", device="cpu"))
    assert request.recipe == run.Recipe()
    assert request.options.weights == (0.3,)


@pytest.mark.parametrize("weight", ["much", "0.1,-1", "inf", ""])
def test_weights_that_are_none_are_refused(weight):
    with pytest.raises(U1Error, match="--weight"):
        TrainOptions("digits", weight=weight)


def test_the_report_may_lie_in_the_folder_of_a_new_lake(monkeypatch, tmp_path):
    monkeypatch.setattr(sweep, "run_to_result", lambda flow, options, threads: "ran")
    options = Options(
        models="pixels", datasets="digits", lake=str(tmp_path / "out"), report=tmp_path / "out/report"
    )
    assert sweep.sweep(options) == "ran"
