"""What a new user gets wrong: one clear line on stderr, exit status 1, nothing on the disk."""

import json

import pytest
from command import run_apart


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sweep", "--models", "resnet51"], "expected a model id"),
        (["sweep", "--datasets", "imagenet"], "expected a data"),
        (["sweep", "--device", "abacus"], "expected --device"),
        (["sweep", "--variants", "upside-down"], "expected --variants"),
        (["sweep", "--limit", "0"], "--limit"),
        (["sweep", "--precision", "float8"], "--precision"),
        (["sweep", "--catalog", "missing.toml"], "missing.toml"),
        (["sweep", "--datasets", "digits", "--lake", "taken"], "holds something else"),
        (["sweep", "--dask-address", "tcp://127.0.0.1:9"], "add --runner dask"),
        (["sweep", "--models-dir", "nowhere"], "expected --models-dir to name a folder"),
        (["sweep", "--device", "meta"], "expected --device"),
        (["sweep", "--models", "cifar10_resnet20", "--datasets", "digits", "--lake", "file"], "file"),
        (["plan", "--lake", "taken"], "holds something else"),
        (["preregister", "--models", "resnet51"], "expected a model id"),
        (["preregister", "--datasets", "digits", "--models", "pixels", "--lake", "taken"], "something else"),
        (["preregister", "--datasets", "digits", "--models", "pixels", "--variants", "pad-*"], "one cell"),
        (["sql", "select 1"], "where none is"),
        (["sql", "select 1", "-f", "query.sql"], "a query or -f FILE"),
        (["sql", "-f", "query.sql"], "query.sql"),
        (["sql", "select 1", "--param", "split"], "name=value"),
        (["report"], "where none is"),
        (["catalog", "show", "resnet51"], "expected a model id"),
        (["frobnicate"], "No such command"),
    ],
)
def test_a_mistake_is_one_line(u1, tmp_path, arguments, said):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").touch()
    (tmp_path / "file").touch()
    done = u1(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("u1: ")
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["retry", "--lake", "taken"],
        ["serve", "--every", "often"],
        ["train", "--tasks", "digit"],
        ["report"],
        ["migrate"],
        ["verify"],
        ["gc"],
        ["validate", "--quick", "--lake", "nowhere"],
        ["catalog", "add", "somewhere:model"],
    ],
    ids=" ".join,
)
def test_a_process_says_what_the_command_says_here(u1, environment, tmp_path, arguments):
    """For the commands that tests/flows/test_imports.py does not run in processes."""
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").touch()
    apart, here = run_apart(arguments, tmp_path, environment), u1(*arguments)
    assert (apart.returncode, apart.stdout, apart.stderr) == (here.returncode, here.stdout, here.stderr)
    assert apart.returncode == 1
    assert apart.stderr.startswith("u1: ") and len(apart.stderr.splitlines()) == 1


def test_a_catalog_with_mistakes_names_entry_field_and_valid_values(u1, tmp_path):
    (tmp_path / "mine.toml").write_text('[models.mine]\narchitecture = "torchvision:resnet51"\nlayers = []\n')
    done = u1("catalog", "list", "--catalog", "mine.toml")
    assert done.returncode == 1
    assert "models.mine" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_catalog_lists_and_shows(u1):
    listed = u1("catalog", "list").stdout
    for name in ("efficientnet_lite0", "cifar10_resnet20", "vgg16", "fashion_mnist", "phantom"):
        assert name in listed
    shown = u1("catalog", "show", "cifar10_resnet20").stdout
    assert "layer3" in shown
    assert "8 x 8" in shown
    assert "bottleneck" in shown
    assert "sklearn" in u1("catalog", "show", "digits").stdout


def test_a_plan_runs_nothing(u1, tmp_path):
    done = u1("plan", "--models", "cifar10_resnet*", "--datasets", "digits,phantom", "--limit", 40)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("to do") == 4
    assert "4 of 4 cells to run" in done.stdout
    # The weights are not there: the plan says so before anything is spent.
    assert "will fail" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_every_command_has_help(u1):
    for command in (
        ["plan"],
        ["preregister"],
        ["sweep"],
        ["sql"],
        ["report"],
        ["doctor"],
        ["catalog", "list"],
        ["catalog", "show"],
    ):
        assert u1(*command, "--help").returncode == 0
    assert u1().returncode == 0


def test_doctor_finds_this_environment_sound(u1, environment, tmp_path):
    for done in (u1("doctor"), run_apart(["doctor"], tmp_path, environment)):
        assert done.returncode == 0, done.stdout + done.stderr
        assert "work together" in done.stdout
    # A server that does not answer is a fault, with what to do.
    broken = u1("doctor", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert broken.returncode == 1
    assert "unset PREFECT_API_URL" in " ".join(broken.stdout.split())


def test_a_prefect_server_that_is_not_there_is_one_line(u1, tmp_path):
    done = u1(
        "sweep",
        "--models",
        "cifar10_resnet20",
        "--datasets",
        "digits",
        PREFECT_API_URL="http://127.0.0.1:9/api",
    )
    assert done.returncode == 1
    assert done.stderr.startswith("u1: expected the Prefect server of PREFECT_API_URL to answer")
    assert len(done.stderr.splitlines()) == 1


def test_a_wrong_dask_address_is_one_line(u1):
    address = ["--runner", "dask", "--dask-address", "tcp://127.0.0.1:9"]
    done = u1("sweep", "--models", "cifar10_resnet20", "--datasets", "digits", *address)
    assert done.returncode == 1
    assert done.stderr.startswith("u1: expected --dask-address to name a running Dask scheduler")
    assert len(done.stderr.splitlines()) == 1


def test_a_damaged_file_is_named(u1, tmp_path):
    from u1core.lake.store import CellId, Lake

    lake = Lake.open(tmp_path / "lake", create=True)
    lake.commit(CellId("k", "digits", "cifar10_resnet20", "original"), {"status": "done"})
    (mark,) = (tmp_path / "lake" / "cells").rglob("*.parquet")
    mark.write_bytes(b"")
    for command in (
        ["report"],
        ["plan", "--models", "cifar10_resnet20", "--datasets", "digits"],
        ["sql", "from cells"],
    ):
        done = u1(*command)
        assert done.returncode == 1
        assert mark.name in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_piped_shell_answers_and_stops_at_a_mistake(environment, tmp_path):
    from u1core.lake.store import Lake

    Lake.open(tmp_path / "lake", create=True)

    def pipe(text):
        return run_apart(["sql"], tmp_path, environment, input=text)

    good = pipe("select 41 + 1 as a;\nselect 'last' as b")
    assert good.returncode == 0
    assert "42" in good.stdout
    assert "last" in good.stdout
    bad = pipe("select 1; select nope;")
    assert bad.returncode == 1
    assert len(bad.stderr.splitlines()) == 1


def test_formats(u1, tmp_path):
    from u1core.lake.store import Lake

    Lake.open(tmp_path / "lake", create=True)
    query = "select 1 as a, null as b, 'x,y' as c"
    assert u1("sql", query, "--format", "csv").stdout.splitlines() == ["a,b,c", '1,,"x,y"']
    assert json.loads(u1("sql", query, "--format", "json").stdout) == [{"a": 1, "b": None, "c": "x,y"}]
    assert "null" in u1("sql", query).stdout
    assert "[/bold]" in u1("sql", 'select 1 as "[/bold]"').stdout
    assert u1("sql", "select $n + 1 as a", "--param", "n=2", "--format", "csv").stdout.splitlines() == [
        "a",
        "3",
    ]
