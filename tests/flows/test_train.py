"""`u1 train` as its users run it: a real Prefect server, real kills, and what can be asked afterwards."""

import os
import signal
import subprocess

import pytest
from command import MAIN, wait_until

pytestmark = pytest.mark.slow

SMALL = ["--tasks", "digits", "--network", "small_cnn:16", "--limit", 100, "--epochs", 2, "--batch-size", 32]
TWO = [*SMALL, "--arms", "onehot,onehot+u1", "--seeds", 2, "--sweep-limit", 60]
WEIGHTS = "select arm, seed, weights_sha256 from training_runs order by all"


def test_training_is_done_once_and_flows_back_into_the_sweep(u1, ask, marks, tmp_path):
    first = u1("train", *TWO)
    assert first.returncode == 0, first.stderr
    assert "8 runs and cells computed, 0 found done, 0 failed" in first.stdout
    assert "Test accuracy, and the gain over the one-hot arm of the same seed" in first.stdout
    assert "Training with U(1) labels" in (tmp_path / "report" / "index.html").read_text()
    assert ask("select arm, seeds, pairs from training_effect order by all") == [
        ["onehot", "2", "0"],
        ["onehot+u1", "2", "2"],
    ]
    assert ask("select count(*), count(distinct (run_key, epoch)) from training_epochs") == [["8", "8"]]
    assert ask("select count(*), count(distinct (run_key, image_id)) from training_predictions") == [
        ["400"] * 2
    ]
    assert ask("select count(*) from training_bias where seeds = 2") != [["0"]]
    assert ask("select head_matches, count(*) from cells group by all") == [["true", "4"]]
    before = marks()
    again = u1("train", *TWO)
    assert again.returncode == 0, again.stderr
    assert "0 runs and cells computed, 8 found done, 0 failed: nothing to compute" in again.stdout
    assert marks() == before
    one = "digits.small_cnn-16.onehot-u1.s0.*"
    trained = ["--catalog", tmp_path / "trained" / "catalog.toml", "--models-dir", tmp_path / "trained"]
    swept = u1("sweep", "--models", one, "--datasets", "phantom", "--limit", 40, *trained)
    assert swept.returncode == 0, swept.stderr
    assert "1 cells computed" in swept.stdout


def test_a_kill_costs_an_epoch_and_changes_nothing(u1, ask, warm, served, tmp_path):
    long = [*SMALL[:-4], "--epochs", 20, "--arms", "onehot+u1", "--seeds", 1, "--sweep-limit", 0]
    whole = u1("train", *long, "--lake", "whole", "--to", "whole-trained")
    assert whole.returncode == 0, whole.stderr
    process = warm.start(
        MAIN,
        ["train", *long],
        cwd=tmp_path,
        env=served,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    written = (tmp_path / "lake" / "training_epochs").rglob
    wait_until(lambda: any(written("*.parquet")) or process.poll() is not None)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    epochs = int(ask("select count(*) from training_epochs")[0][0])
    assert 1 <= epochs < 20
    assert ask("select count(*) from training_runs") == [["0"]]
    resumed = u1("train", *long)
    assert resumed.returncode == 0, resumed.stderr
    assert ask("select count(*), count(distinct epoch) from training_epochs") == [["20", "20"]]
    expected = u1("sql", WEIGHTS, "--lake", "whole", "--format", "csv").stdout
    assert u1("sql", WEIGHTS, "--format", "csv").stdout == expected


def test_the_weight_is_chosen_before_the_test_set_is_asked(u1, ask, tmp_path):
    done = u1("train", *SMALL, "--arms", "onehot+u1", "--seeds", 1, "--weight", "0.1,1", "--sweep-limit", 0)
    assert done.returncode == 0, done.stderr
    assert ask("select is_tested, count(*) from training_runs group by all order by all") == [
        ["false", "1"],
        ["true", "1"],
    ]
    assert ask("select count(distinct run_key) from training_predictions") == [["1"]]
    assert len(list((tmp_path / "trained").glob("*.safetensors"))) == 1
    again = u1("train", *SMALL, "--arms", "onehot+u1", "--seeds", 1, "--weight", "0.1,1", "--sweep-limit", 0)
    assert "0 runs and cells computed, 2 found done, 0 failed: nothing to compute" in again.stdout


def test_a_run_that_fails_is_told_and_the_rest_is_kept(u1, ask):
    done = u1(
        "train", *SMALL, "--arms", "onehot", "--seeds", 1, "--learning-rate", "1e30", "--sweep-limit", 0
    )
    assert done.returncode == 1
    assert "0 runs and cells computed, 0 found done, 1 failed" in done.stdout
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("u1:")]
    assert line.startswith("u1: onehot on digits, seed 0 failed: expected finite answers of onehot on digits")
    assert "Traceback" not in done.stderr
    assert ask("select count(*) from training_runs") == [["0"]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tasks", "digit"], "expected a dataset id of the catalog"),
        (["--tasks", "digits", "--arms", "onehot,two"], "expected --arms from onehot, onehot+u1"),
        (["--tasks", "digits", "--weight", "much"], "expected --weight to be numbers"),
        (["--tasks", "digits", "--weight", "0.1,1", "--validation", "0"], "expected held-out images"),
        (["--tasks", "digits", "--validation", "0.9"], "expected --validation to be a share"),
        (["--tasks", "digits", "--network", "small_cnn:5"], "expected an architecture of small_cnn"),
        (
            ["--tasks", "digits", "--angles", "measured"],
            "expected a measured direction for each of 10 classes",
        ),
    ],
)
def test_a_mistake_is_one_line(u1, arguments, said):
    done = u1("train", *arguments)
    assert done.returncode == 1
    assert said in done.stderr and len(done.stderr.strip().splitlines()) == 1
