"""The networks that come with the package: what their records say is what the files hold."""

import hashlib
import json

import pytest
import torch

from u1core.catalog.catalog import load_catalog
from u1core.networks.weights import EMBEDDED, load_network, read_state
from u1core.training.arms import planned_angles
from u1core.training.run import Recipe

NAMES = sorted(path.stem for path in EMBEDDED.glob("*.safetensors"))


def record(name):
    return json.loads((EMBEDDED / f"{name}.json").read_text())


def test_both_arms_come_with_the_package():
    assert {record(name)["arm"] for name in NAMES} == {"onehot", "onehot+u1"}


@pytest.mark.parametrize("name", NAMES)
def test_the_record_is_of_these_weights(name):
    said, entry = record(name), load_catalog().models[name]
    content = (EMBEDDED / f"{name}.safetensors").read_bytes()
    assert hashlib.sha256(content).hexdigest() == said["embedded_sha256"] == entry.sha256
    assert (entry.weights, entry.objective) == (f"embedded:{name}", said["arm"])
    assert f"{100 * said['test_accuracy']:.2f} %" in entry.description
    assert Recipe(**said["recipe"]).epochs == len(said["epochs"])
    if said["arm"] == "onehot+u1":
        planned = planned_angles(said["angles"], 10, said["seed"], ())
        assert said["planned_angles_rad"] == pytest.approx(list(planned))


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_half_precision_and_load(name):
    state = read_state(EMBEDDED / f"{name}.safetensors")
    assert {t.dtype for t in state.values()} == {torch.float16, torch.int64}
    network = load_network(load_catalog().models[name]).eval()
    with torch.inference_mode():
        logits = network(torch.zeros(2, 3, 32, 32))
    assert logits.shape == (2, 10) and logits.dtype == torch.float32 and logits.isfinite().all()
