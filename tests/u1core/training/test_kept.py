"""What a trained run leaves."""

import tomllib

import numpy as np
import pytest
import torch
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
from u1core.training.loop import CHECKPOINT, train
from u1core.training.run import Recipe, Run


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
