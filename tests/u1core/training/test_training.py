"""Training: angles, losses, the loop that may be stopped anywhere, and what a run leaves."""

import io
import json
import math
import tomllib
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from u1core.catalog.catalog import load_catalog
from u1core.catalog.dataset_references import dataset_reference
from u1core.catalog.entries import ModelEntry
from u1core.common.errors import U1Error
from u1core.images.cache import open_images
from u1core.images.resize import resize
from u1core.networks.build import build_network
from u1core.networks.preprocess import preprocessing_of, preprocessor
from u1core.networks.resolve import resolve
from u1core.training import kept
from u1core.training.arms import ARMS, planned_angles, planned_points
from u1core.training.augment import may_mirror, shift_and_mirror
from u1core.training.loop import CHECKPOINT, FORMER_CHECKPOINT, Training, train
from u1core.training.objective import Centre, PlaneHead, circle_loss, nearest_angle, plane_loss
from u1core.training.run import SCHEDULES, Division, Recipe, Run

RECIPE = Recipe(epochs=2, batch_size=32, limit=120, mirror=False)
angles = st.floats(-math.pi, math.pi)


@pytest.fixture(scope="module")
def network():
    return resolve(ModelEntry("network", "small_cnn:16", "none", "", None, (), "", None, "none"))


@pytest.fixture
def run(catalog, digits, network):
    """Make a run of the digits."""

    def make(arm="onehot+u1", weight=0.5, seed=0, recipe=RECIPE):
        return Run(catalog.datasets["digits"], digits.fingerprint, network, recipe, arm, weight, seed)

    return make


def weights_of(lake, run):
    """Return the network's tensors in a run's checkpoint."""
    return torch.load(io.BytesIO(lake.load_state(run.id, CHECKPOINT)), weights_only=True)["network"]


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def point(angle_rad):
    return torch.tensor([[math.cos(angle_rad), math.sin(angle_rad)]], dtype=torch.float64)


# --- angles ---


def test_planned_angles_lie_in_the_half_open_interval_and_belong_to_the_seed():
    drawn = planned_angles("random", 1000, 0)
    assert drawn.min() > -math.pi and drawn.max() <= math.pi
    assert np.array_equal(drawn, planned_angles("random", 1000, 0))
    assert not np.array_equal(drawn, planned_angles("random", 1000, 1))
    even = planned_angles("equispaced", 8, 3)
    assert even.min() > -math.pi and even.max() <= math.pi
    assert np.allclose(np.diff(np.sort(even)), math.pi / 4)
    assert not np.array_equal(even, np.sort(even)), "classes that follow each other are not neighbours"


def test_measured_angles_are_taken_as_they_are_or_refused():
    assert planned_angles("measured", 2, 0, np.array([0.5, -3.0])).tolist() == [0.5, -3.0]
    for wrong in (None, np.array([0.5]), np.array([0.5, np.nan])):
        with pytest.raises(U1Error, match="a measured direction for each of 2 classes"):
            planned_angles("measured", 2, 0, wrong)
    with pytest.raises(U1Error, match="angles as one of random, equispaced, measured; got 'even'"):
        planned_angles("even", 2, 0)


def test_every_arm_gives_images_the_points_it_says():
    labels = np.arange(4000) % 4
    planned = planned_angles("random", 4, 7)
    of_class = np.stack([np.cos(planned), np.sin(planned)], axis=1)
    assert np.array_equal(planned_points(ARMS["onehot+u1"], planned, labels, 7), of_class[labels])
    shuffled = planned_points(ARMS["onehot+shuffled"], planned, labels, 7)
    assert np.array_equal(np.sort(shuffled, axis=0), np.sort(of_class[labels], axis=0))
    assert np.mean((shuffled == of_class[labels]).all(axis=1)) == pytest.approx(0.25, abs=0.03)
    plane = planned_points(ARMS["onehot+plane"], planned_angles("random", 4000, 1), np.arange(4000), 7)
    assert np.mean(np.sum(plane**2, axis=1)) == pytest.approx(1, abs=0.05)
    assert np.std(np.hypot(*plane.T)) > 0.3, "off the circle"


# --- losses ---


@given(angles, angles, st.floats(0.1, 10))
def test_the_circle_loss_is_one_minus_the_cosine_whatever_the_length(seen, planned, length):
    loss = circle_loss(length * point(seen), point(planned))
    assert loss.item() == pytest.approx(1 - math.cos(seen - planned), abs=1e-12)
    half_chord = (point(seen) - point(planned)).square().sum() / 2
    assert loss.item() == pytest.approx(half_chord.item(), abs=1e-12)


@pytest.mark.parametrize("loss", [circle_loss, plane_loss])
def test_gradients_agree_with_finite_differences(loss):
    draw = torch.Generator().manual_seed(0)
    points = torch.randn(20, 2, dtype=torch.float64, generator=draw).requires_grad_()
    targets = torch.nn.functional.normalize(torch.randn(20, 2, dtype=torch.float64, generator=draw))
    assert torch.autograd.gradcheck(lambda p: loss(p, targets), (points,))


def test_the_minimum_is_the_class_angle_across_pi_too():
    around = torch.linspace(-math.pi, math.pi, 721, dtype=torch.float64)
    circle = torch.stack([torch.cos(around), torch.sin(around)], dim=1)
    for planned in (0.0, 2.0, math.pi, -3.1):
        best = around[circle_loss(circle, point(planned).expand(721, 2)).argmin()]
        assert abs(math.remainder(float(best) - planned, 2 * math.pi)) < math.pi / 720 + 1e-9
    just_over, just_under = (
        circle_loss(point(math.pi - 0.01), point(-math.pi + 0.01)),
        circle_loss(point(0.01), point(-0.01)),
    )
    assert just_over.item() == pytest.approx(just_under.item(), abs=1e-12)


def test_nearest_angle_takes_the_shorter_way_round():
    of_classes = torch.cat([point(a) for a in (3.0, 0.0, -1.0)])
    assert nearest_angle(torch.cat([point(-3.0), point(-0.4), point(-0.6)]), of_classes).tolist() == [0, 1, 2]


def test_the_plane_at_the_bottleneck_stands_on_the_medial_vector():
    head = PlaneHead(64, "bottleneck", 3)
    assert list(head.parameters()) == []
    plane = head.plane.double()
    assert torch.allclose(plane.T @ plane, torch.eye(2, dtype=torch.float64), atol=1e-6)
    assert torch.allclose(plane.sum(dim=0), torch.zeros(2, dtype=torch.float64), atol=1e-6)
    maps = torch.rand(5, 64, 4, 4)
    head.eval()
    assert torch.allclose(head(maps), head(maps + 3.0), atol=1e-5), (
        "brightness along the medial vector is unseen"
    )
    assert PlaneHead(64, "head", 3)(maps).shape == (5, 2)


def test_points_are_read_about_the_mean_of_the_images():
    centre = Centre(3)
    seen = centre(torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 5.0]]))
    assert seen.tolist() == [[-1, 0, -1], [1, 0, 1]]
    for _ in range(200):
        centre(torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 5.0]]))
    assert torch.allclose(centre.eval()(torch.zeros(1, 3)), torch.tensor([[-2.0, -2.0, -4.0]]), atol=1e-4)


# --- recipe ---


def test_the_learning_rate_rises_then_falls_to_nothing():
    recipe = Recipe(learning_rate=0.4, warm_up=0.1)
    assert [recipe.learning_rate_at(p) for p in (0, 0.05, 0.1)] == pytest.approx([0, 0.2, 0.4])
    assert recipe.learning_rate_at(0.55) == pytest.approx(0.2)
    assert recipe.learning_rate_at(1) == pytest.approx(0, abs=1e-12)


def test_the_weight_follows_its_schedule():
    at = {name: [Recipe(schedule=name).weight_at(2, p) for p in (0, 0.5, 1)] for name in SCHEDULES}
    assert at["constant"] == [2, 2, 2]
    assert at["rising"] == pytest.approx([0, 1, 2])
    assert at["falling"] == pytest.approx([2, 1, 0])


@pytest.mark.parametrize(
    "wrong", [{"precision": "float16"}, {"angles": "even"}, {"site": "tail"}, {"schedule": "up"}]
)
def test_a_recipe_refuses_what_it_does_not_know(wrong):
    with pytest.raises(U1Error, match=f"got {next(iter(wrong.values()))!r}"):
        Recipe(**wrong)


def test_held_out_images_are_the_same_share_of_every_class_and_for_every_seed(digits):
    division = Division.of(digits, replace(RECIPE, limit=None, validation=0.2))
    everything = np.concatenate([division.train, division.validation, division.test])
    assert np.array_equal(np.sort(everything), np.arange(len(digits)))
    assert digits.is_query[division.test].all() and not digits.is_query[division.train].any()
    counts = np.bincount(digits.labels[division.validation])
    memory = np.bincount(digits.labels[~digits.is_query])
    assert (np.abs(counts / memory - 0.2) < 0.01).all()
    assert len(Division.of(digits, replace(RECIPE, validation=0)).validation) == 0


# --- augmentation ---


def test_pictures_are_shifted_and_mirrored_as_a_hand_would():
    pictures = torch.arange(2 * 16 * 16 * 3).reshape(2, 16, 16, 3).to(torch.uint8)
    seen = {
        bytes(row.numpy())
        for seed in range(400)
        for row in shift_and_mirror(pictures, torch.Generator().manual_seed(seed), mirror=True)[:1]
    }
    padded = np.pad(pictures[0].numpy(), ((2, 2), (2, 2), (0, 0)))
    by_hand = {
        np.ascontiguousarray(cut).tobytes()
        for y in range(5)
        for x in range(5)
        for cut in (padded[y : y + 16, x : x + 16], padded[y : y + 16, x : x + 16][:, ::-1])
    }
    assert seen == by_hand


def test_characters_and_phantoms_are_never_mirrored(catalog):
    assert [
        may_mirror(catalog.datasets[name]) for name in ("digits", "phantom", "fashion_mnist", "cifar10")
    ] == [
        False,
        False,
        True,
        True,
    ]
    svhn = replace(catalog.datasets["digits"], kind="torchvision", options={"class": "SVHN"})
    assert not may_mirror(svhn)


# --- the loop ---


def test_weight_zero_is_the_onehot_arm_bit_for_bit(run, digits, lake):
    plain, zero, more = run("onehot", 0.0), run("onehot+u1", 0.0), run("onehot+u1", 0.5)
    for one in (plain, zero, more):
        train(one, digits, lake, "cpu")
    assert same(weights_of(lake, plain), weights_of(lake, zero))
    assert not same(weights_of(lake, plain), weights_of(lake, more))


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


# --- what is left ---


def test_what_a_run_leaves_can_be_used_at_once(run, digits, lake, tmp_path):
    done = run()
    train(done, digits, lake, "cpu")
    entry = kept.conclude(done, digits, lake, "cpu", tmp_path / "trained", is_tested=True)
    assert kept.kept_entry(done, lake) == entry
    assert lake.load_state(done.id, CHECKPOINT) is None
    known = load_catalog(tmp_path / "trained" / "catalog.toml").models[done.model_id]
    assert known.label_space == "digits" and known.bottleneck == "stage3"
    network = build_network(known, models_dir=tmp_path / "trained").eval()
    rows = lake.read("training_predictions", done.id).to_pylist()
    positions = np.flatnonzero(np.isin(digits.image_ids, [row["image_id"] for row in rows]))
    pictures = resize(torch.from_numpy(digits.pixels[positions]), preprocessing_of(known))
    with torch.inference_mode():
        predicted = network(preprocessor(known, is_prepared=True)(pictures)).argmax(dim=1)
    assert predicted.tolist() == [row["predicted_label"] for row in rows]
    (row,) = lake.read("training_runs", done.id).to_pylist()
    assert row["planned_angles_rad"] == done.angles(10).tolist()
    assert (row["images_train"], row["images_validation"], row["images_test"]) == (110, 10, 120)


def test_a_network_that_is_trained_again_replaces_its_entry(run, digits, lake, tmp_path):
    done = run("onehot", 0.0)
    train(done, digits, lake, "cpu")
    for _ in range(2):
        kept.conclude(done, digits, lake, "cpu", tmp_path, is_tested=True)
        train(done, digits, lake, "cpu")
    entries = tomllib.loads((tmp_path / "catalog.toml").read_text())["models"]
    assert list(entries) == [done.model_id]


def test_a_weight_that_is_not_chosen_keeps_its_state_and_never_meets_the_test_set(
    run, digits, lake, tmp_path
):
    done = run()
    train(done, digits, lake, "cpu")
    assert kept.conclude(done, digits, lake, "cpu", tmp_path, is_tested=False) is None
    assert kept.kept_entry(done, lake) is None and kept.is_trained(done, lake)
    assert lake.parts("training_predictions", done.id) == []
    assert lake.load_state(done.id, CHECKPOINT) is not None
    assert list(tmp_path.glob("*.safetensors")) == []
    lake.drop_work(done.id)
    assert not kept.is_trained(done, lake), "without its state it could never be tested"


def test_folders_of_large_pictures_are_trained_on_and_one_that_is_torn_costs_itself(lake, tmp_path):
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 5)):
        for name, grey in (("dark", 40), ("light", 210)):
            (tmp_path / "set" / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = rng.normal(grey, 10, (48, 40 + i, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / "set" / split / name / f"{i}.png")
    torn = tmp_path / "set" / "test" / "dark" / "3.png"
    torn.write_bytes(torn.read_bytes()[:200])
    task = dataset_reference(f"folder:{tmp_path / 'set'}")
    images = open_images(task, tmp_path / "cache")
    assert images.pixels is None
    network = resolve(ModelEntry("network", "small_cnn:8", "none", "", None, (), "", None, "none"))
    recipe = Recipe(epochs=8, batch_size=8, learning_rate=0.05, validation=0)
    done = Run(task, images.fingerprint, network, recipe, "onehot+u1", 0.3, 0)
    train(done, images, lake, "cpu")
    kept.conclude(done, images, lake, "cpu", tmp_path / "trained", is_tested=True)
    rows = lake.read("training_predictions", done.id).to_pylist()
    assert len(rows) == 9
    assert all(row["predicted_label"] == row["label"] for row in rows)
    assert lake.read("training_runs", done.id)["images_test"].to_pylist() == [9]


def test_an_unfinished_run_is_not_concluded(run, digits, lake, tmp_path):
    with pytest.raises(U1Error, match=r"expected 2 epochs of .*; got 0; run `u1 train` again"):
        kept.conclude(run(), digits, lake, "cpu", tmp_path, is_tested=True)


def test_runs_are_keyed_by_all_that_decides_them(run):
    keys = {
        run().key,
        run("onehot").key,
        run(weight=0.1).key,
        run(seed=1).key,
        run(recipe=replace(RECIPE, epochs=3)).key,
    }
    assert len(keys) == 5
    assert (
        run("onehot", 0.0, 4).experiment
        == run().experiment
        != run(recipe=replace(RECIPE, site="bottleneck")).experiment
    )
