"""The loop that may be stopped anywhere."""

import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from runs import RECIPE

from u1core.common.errors import U1Error
from u1core.networks.preprocess import preprocessing_of
from u1core.training import kept
from u1core.training.arms import ARMS
from u1core.training.loop import CHECKPOINT, FORMER_CHECKPOINT, Training, train
from u1core.training.run import Division


def weights_of(lake, run):
    """Return the network's tensors in a run's checkpoint."""
    return torch.load(io.BytesIO(lake.load_state(run.id, CHECKPOINT)), weights_only=True)["network"]


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_weight_zero_is_the_onehot_arm_bit_for_bit(run, digits, lake):
    plain, zero, more = run("onehot", 0.0), run("onehot+u1", 0.0), run("onehot+u1", 0.5)
    for one in (plain, zero, more):
        train(one, digits, lake, "cpu")
    assert same(weights_of(lake, plain), weights_of(lake, zero))
    assert not same(weights_of(lake, plain), weights_of(lake, more))


def test_smooth_labels_are_a_loss_of_their_own_and_leave_the_start_alone(run, digits, lake):
    plain, smooth = run("onehot", 0.0), run("onehot+smoothing", 0.0)
    for one in (plain, smooth):
        train(one, digits, lake, "cpu")
    assert not same(weights_of(lake, plain), weights_of(lake, smooth))
    # With all logits equal both losses are ln 10; later that of smooth labels has a floor above 0.
    (first, *_), (other, *_) = (lake.read("training_epochs", one.id).to_pylist() for one in (plain, smooth))
    assert other["loss_onehot"] > first["loss_onehot"]


def test_arms_of_a_seed_begin_alike(run, digits, network):
    with digits.open_pixels(preprocessing_of(network)) as source:
        begun = {
            (arm, seed): Training(run(arm, seed=seed), digits, source, "cpu")
            for arm in ARMS
            for seed in (0, 1)
        }
    states = {key: training.network.state_dict() for key, training in begun.items()}
    assert all(same(states["onehot", 0], states[arm, 0]) for arm in ARMS)
    assert not same(states["onehot", 0], states["onehot", 1])
    assert torch.equal(begun["u1", 0].of_classes, begun["onehot+u1", 0].of_classes)


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("at", [0, 2])
def test_a_run_that_was_stopped_ends_with_the_same_weights(run, digits, lake, monkeypatch, at):
    whole, stopped = run(recipe=replace(RECIPE, epochs=3)), run(recipe=replace(RECIPE, epochs=3))
    train(whole, digits, lake, "cpu")
    expected, rows = weights_of(lake, whole), lake.read("training_epochs", whole.id).to_pylist()
    lake.drop_work(whole.id)
    epoch = Training.epoch

    def stop_in_the_middle(self, report):
        if len(self.rows) == at:
            epoch(self, lambda seen: (_ for _ in ()).throw(StoppedError()))
        epoch(self, report)

    monkeypatch.setattr(Training, "epoch", stop_in_the_middle)
    with pytest.raises(StoppedError):
        train(stopped, digits, lake, "cpu")
    monkeypatch.setattr(Training, "epoch", epoch)
    seen = []
    train(stopped, digits, lake, "cpu", lambda rows, done, total: seen.append((len(rows), done, total)))
    assert same(expected, weights_of(lake, stopped))
    again = lake.read("training_epochs", stopped.id).to_pylist()
    timings = {"seconds", "images_per_second"}
    assert [{k: v for k, v in row.items() if k not in timings} for row in again] == [
        {k: v for k, v in row.items() if k not in timings} for row in rows
    ]
    assert seen[0][0] == at and seen[-1][2] == 3 * len(Division.of(digits, RECIPE).train)


def stop_after(epochs):
    """Return a `progress` that stops a run in the epoch after so many."""

    def progress(rows, done, total):
        if len(rows) == epochs:
            raise StoppedError

    return progress


def test_the_state_is_the_optimisers_own_whatever_it_keeps(run, digits, lake, monkeypatch):
    # Adam keeps two averages and a count where SGD keeps one momentum: any of them left out, weights differ.
    def adam(parameters, *, lr, weight_decay, **_):
        return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay)

    monkeypatch.setattr(torch.optim, "SGD", adam)
    three = run(recipe=replace(RECIPE, epochs=3, learning_rate=1e-3))
    train(three, digits, lake, "cpu")
    expected = weights_of(lake, three)
    lake.drop_work(three.id)
    with pytest.raises(StoppedError):
        train(three, digits, lake, "cpu", stop_after(2))
    train(three, digits, lake, "cpu")
    assert same(expected, weights_of(lake, three))


def test_a_run_that_an_older_version_left_goes_on_to_the_same_weights(run, digits, lake):
    three = run(recipe=replace(RECIPE, epochs=3))
    train(three, digits, lake, "cpu")
    expected = weights_of(lake, three)
    lake.drop_work(three.id)
    with pytest.raises(StoppedError):
        train(three, digits, lake, "cpu", stop_after(2))
    state = torch.load(io.BytesIO(lake.load_state(three.id, CHECKPOINT)), weights_only=True)
    rows = torch.frombuffer(bytearray(json.dumps(state["rows"]).encode()), dtype=torch.uint8)
    momenta = {f"momentum.{i}": s["momentum_buffer"] for i, s in state["optimiser"]["state"].items()}
    parts = {f"{name}.{key}": t for name in ("network", "head") for key, t in state[name].items()}
    former = {name: tensor.contiguous() for name, tensor in (parts | momenta | {"rows": rows}).items()}
    lake.drop_work(three.id)
    lake.save_state(three.id, FORMER_CHECKPOINT, safetensors.torch.save(former))
    seen = []
    train(three, digits, lake, "cpu", lambda rows, done, total: seen.append(len(rows)))
    assert set(seen) == {2}
    assert same(expected, weights_of(lake, three))


def test_a_kill_between_the_state_and_its_rows_loses_no_row(run, digits, lake):
    stopped = run()
    train(stopped, digits, lake, "cpu")
    (file,) = lake.root.glob("training_epochs/**/*.parquet")
    file.unlink()
    train(stopped, digits, lake, "cpu")
    assert lake.read("training_epochs", stopped.id)["epoch"].to_pylist() == [1, 2]


def test_a_loss_that_is_not_finite_is_one_line(run, digits, lake):
    wild = run(recipe=replace(RECIPE, learning_rate=1e30, warm_up=0.01))
    with pytest.raises(
        U1Error, match=r"expected a finite loss in epoch \d of onehot\+u1 0.5 on digits, seed 0"
    ):
        train(wild, digits, lake, "cpu")


@pytest.mark.parametrize(("arm", "site"), [("u1", "head"), ("onehot+u1", "bottleneck")])
def test_the_angle_is_learned(run, digits, lake, tmp_path, arm, site):
    recipe = replace(RECIPE, epochs=30, limit=None, learning_rate=0.3, site=site, angles="equispaced")
    taught = run(arm, 1.0, recipe=recipe)
    train(taught, digits, lake, "cpu")
    kept.conclude(taught, digits, lake, "cpu", tmp_path, is_tested=True)
    rows = lake.read("training_predictions", taught.id).to_pylist()
    planned = taught.angles(10)
    cosines = [math.cos(row["theta_rad"] - planned[row["label"]]) for row in rows]
    by_chance = [math.cos(row["theta_rad"] - angle) for row in rows for angle in planned]
    assert abs(np.mean(by_chance)) < 0.01, "the angles are spread evenly"
    assert np.mean(cosines) > 0.8


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"x" * len(b), lambda b: b"\x80" + b[1:]]
)
def test_a_damaged_state_is_one_line_that_says_what_to_do(run, digits, lake, damage):
    one = run()
    train(one, digits, lake, "cpu")
    lake.save_state(one.id, CHECKPOINT, damage(lake.load_state(one.id, CHECKPOINT)))
    with pytest.raises(
        U1Error, match=rf"readable state of the run {one.id.key}.*delete .*begins anew"
    ) as raised:
        train(one, digits, lake, "cpu")
    assert "\n" not in str(raised.value)
