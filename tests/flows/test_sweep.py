"""The flow as a flow: a real Prefect server, a real lake, real Dask, real kills."""

import json
import os
import shutil
import signal
import subprocess
import urllib.request

import pytest
from command import MAIN, U1, run_here, wait_until
from PIL import Image

pytestmark = pytest.mark.slow

CELLS = [
    "--models",
    "cifar10_resnet20",
    "--datasets",
    "digits,phantom",
    "--variants",
    "random-init",
    "--limit",
    40,
]
ANSWERS = "select dataset, layer, plane, split, n, round(mww_w, 2) from class_bias order by all"
COUNTS = "select count(*), count(distinct (cell_key, layer, image_id)) from records"


@pytest.fixture(scope="module")
def swept(served, tmp_path_factory):
    """The folder of one registered sweep over the cells, to be read only, and what the sweep said."""
    folder = tmp_path_factory.mktemp("swept")
    assert run_here(["preregister", *CELLS], folder, served).returncode == 0
    return folder, run_here(["sweep", *CELLS], folder, served)


def test_a_sweep_computes_once_and_says_so(u1, ask, marks, swept, tmp_path):
    folder, first = swept
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    assert first.returncode == 0, first.stderr
    assert "2 cells computed, 0 found done, 0 failed" in first.stdout
    assert (tmp_path / "report" / "index.html").stat().st_size > 10_000
    assert ask(COUNTS) == [["640", "640"]]  # 2 datasets x 80 images x 4 layers
    assert ask("select dataset, is_registered from registered_cells order by 1") == [
        ["digits", "true"],
        ["phantom", "true"],
    ]
    before = marks()
    again = u1("sweep", *CELLS)
    assert again.returncode == 0, again.stderr
    assert "0 cells computed, 2 found done, 0 failed: nothing to compute" in again.stdout
    assert marks() == before
    assert ask("select computed, found, failed from sweeps order by concluded_at") == [
        ["2", "0", "0"],
        ["0", "2", "0"],
    ]
    assert "Nothing moved" in (tmp_path / "report" / "digest.md").read_text()
    verified = u1("verify")
    assert (verified.returncode, "2 cells as they were committed" in verified.stdout) == (0, True)
    assert u1("plan", *CELLS).stdout.count(" done ") == 2


@pytest.mark.parametrize(
    "arguments",
    [
        "sweep --models pixels --datasets digits --limit 20",
        "train --tasks digits --arms onehot --seeds 1 --epochs 1 --limit 40 --sweep-limit 0",
    ],
)
def test_with_a_server_of_its_own_it_ends_well_and_leaves_nothing_behind(environment, tmp_path, arguments):
    """As in the README: no server is given. With every core, as users have them."""
    own = {name: value for name, value in environment.items() if name != "OMP_NUM_THREADS"}
    process = subprocess.Popen(
        [*U1, *arguments.split()],
        cwd=tmp_path,
        env=own,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert ("0 failed" in said, "Traceback" in errors) == (True, False)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


RUN = "sweep cifar10_resnet20 x digits,phantom"
OF_RUN = {"flow_runs": {"name": {"any_": [RUN]}}}


def kept(server, what, **asked):
    """Return what Prefect's server keeps: flow runs, task runs, artifacts; other tests' runs among them."""
    request = urllib.request.Request(
        f"{server}/{what}/filter", json.dumps(asked).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_a_failed_cell_is_never_hidden(u1, ask, server):
    mixed = [*CELLS[:4], "--variants", "original,random-init", "--limit", 40]
    done = u1("sweep", *mixed)
    assert done.returncode == 1
    assert "2 cells computed, 0 found done, 2 failed" in done.stdout
    (last,) = kept(server, "flow_runs", **OF_RUN, sort="START_TIME_DESC", limit=1)
    assert (last["state"]["name"], last["state"]["message"]) == (
        "Failed",
        "2 cells computed, 0 found done, 2 failed",
    )
    faults = [line for line in done.stderr.splitlines() if "failed:" in line and line.startswith("u1:")]
    assert len(faults) == 2
    assert "expected the weights file cifar10_resnet20.safetensors" in faults[0]
    assert "Traceback" not in done.stderr + done.stdout
    states = ask("select variant, status, count(*) from cells group by all order by all")
    assert states == [["original", "failed", "2"], ["random-init", "done", "2"]]
    assert ask("select distinct variant from records") == [["random-init"]]
    assert u1("plan", *mixed).stdout.count(" failed ") == 2


def test_a_dataset_that_cannot_be_had_costs_only_its_cells(u1, ask, tmp_path):
    (tmp_path / "mine.toml").write_text(
        '[datasets.mine]\nkind = "folder"\nsources = ["directory:' + str(tmp_path / "missing") + '"]\n'
        'label_space = "mine"\noptions = { size = 32 }\n'
    )
    arguments = [*CELLS[:2], "--datasets", "mine,digits", *CELLS[4:], "--catalog", "mine.toml"]
    done = u1("sweep", *arguments)
    assert done.returncode == 1
    assert "u1: cifar10_resnet20 (random-init) on mine failed: expected" in done.stderr
    assert ask("select distinct dataset from records") == [["digits"]]
    assert ask("select dataset, status from cells order by all") == [["digits", "done"], ["mine", "failed"]]
    for name in ("ant", "bee"):
        (tmp_path / "missing" / name).mkdir(parents=True)
        for shade in range(0, 200, 50):
            picture = Image.new("RGB", (32, 32), (shade, 255 - shade, 9))
            picture.save(tmp_path / "missing" / name / f"{shade}.png")
    retried = u1("retry", "--catalog", "mine.toml")
    assert "1 cells computed, 0 found done, 0 failed" in retried.stdout, retried.stderr
    assert ask("select dataset, status from cells order by all") == [["digits", "done"], ["mine", "done"]]
    assert u1("retry", "--catalog", "mine.toml").stdout.startswith("no failed cell in ")


def test_pictures_without_a_model_follow_every_turn_exactly(u1, ask):
    done = u1("sweep", "--models", "pixels", *CELLS[2:4], "--variants", "original,controls", "--limit", 40)
    assert done.returncode == 0, done.stderr
    assert "12 cells computed" in done.stdout  # of the controls, two need a network
    controls = ask(
        "select variant, plane, count(*), max(1 - complex_correlation), max(median_error_rad) "
        "from controls group by all order by all"
    )
    assert [row[:3] for row in controls] == [
        [variant, "image", "4"] for variant in ("gray", "hflip", "rot180", "rot270", "rot90")
    ]
    # Pictures are resized to 32 px in whole grey levels, rows first: a quarter turn meets another rounding.
    for variant, _, _, lost, error_rad in controls:
        quarter_turn = variant in ("rot90", "rot270")
        assert abs(float(lost)) < (1e-4 if quarter_turn else 1e-12)
        assert float(error_rad) < (0.01 if quarter_turn else 1e-9)


def test_a_second_sweep_waits_and_finds_what_the_first_computed(warm, served, tmp_path):
    from u1core.lake.store import Lake

    with Lake.open(tmp_path / "lake", create=True).alone():
        pipes = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started = {"cwd": tmp_path, "env": served, **pipes}
        both = [warm.start(MAIN, ["sweep", *CELLS], **started) for _ in range(2)]
        for sweep in both:
            assert "waiting for another sweep on this lake" in sweep.stderr.readline()
    said = "".join(sweep.communicate(timeout=300)[0] for sweep in both)
    assert [sweep.returncode for sweep in both] == [0, 0]
    assert "2 cells computed, 0 found done" in said
    assert "0 cells computed, 2 found done" in said


def test_ctrl_c_is_one_line(warm, environment, tmp_path):
    pipe = {"stderr": subprocess.PIPE, "text": True}
    sweep = warm.start(MAIN, ["sweep", *CELLS], cwd=tmp_path, env=environment, **pipe)
    wait_until(lambda: any((tmp_path / "lake" / "records").rglob("*.parquet")) or sweep.poll() is not None)
    sweep.send_signal(signal.SIGINT)
    _, errors = sweep.communicate(timeout=120)
    assert sweep.returncode == 1
    assert errors.splitlines()[-1].startswith("u1: interrupted; what is written is kept")
    assert "Traceback" not in errors


def test_dask_gives_the_same_answers(u1, warm, served, ask, swept, tmp_path):
    folder, _ = swept
    local = u1("sql", ANSWERS, "--format", "csv", "--lake", folder / "lake").stdout
    done = warm.run(MAIN, ["sweep", *CELLS, "--runner", "dask"], cwd=tmp_path, env=served)
    assert done.returncode == 0, done.stderr
    assert "2 cells computed" in done.stdout
    assert ask(ANSWERS) == [line.split(",") for line in local.splitlines()[1:]] != []


def test_prefect_shows_readable_runs_and_artifacts(swept, server):
    assert swept[1].returncode == 0
    assert "Completed" in {run["state_name"] for run in kept(server, "flow_runs", **OF_RUN)}
    named = {"name": {"any_": ["cifar10_resnet20 (random-init) on digits"]}}
    assert "Completed" in {run["state_name"] for run in kept(server, "task_runs", task_runs=named)}
    artifacts = {artifact["key"] for artifact in kept(server, "artifacts", **OF_RUN)} - {None}
    assert artifacts == {"claims", "digest", "sweep-cells"}


def test_a_schedule_runs_on_a_server(warm, served, tmp_path):
    """A deployment of the flow gets scheduled runs, and they do the work."""
    serve = ["serve", "--every", "10s", *CELLS[:2], "--datasets", "digits", *map(str, CELLS[4:])]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = warm.start(MAIN, serve, cwd=tmp_path, env=served, start_new_session=True, **quiet)
    try:
        wait_until((tmp_path / "report" / "digest.md").is_file)
        assert "1 cells computed" in (tmp_path / "report" / "digest.md").read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) is not None
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
