"""Networks that train with several heads: the main one learns; what can't is one line before any epoch."""

import sys
from dataclasses import replace

import pytest
import torch
from runs import RECIPE
from torch.nn import functional

from u1core.catalog.entries import ModelEntry, Preprocessing
from u1core.common.errors import U1Error
from u1core.networks.resolve import resolve
from u1core.training import loop
from u1core.training.loop import Training, train

CODE = """
from collections import namedtuple

from torch import nn
from torch.nn import functional as F

Outputs = namedtuple("Outputs", "logits aux")


class Net(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.c1, self.n1 = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8)
        self.c2, self.fc, self.aux = nn.Conv2d(8, 8, 3, 2, 1), nn.Linear(8, classes), nn.Linear(8, 10)

    def forward(self, x):
        early = F.relu(self.n1(self.c1(x)))
        logits = self.fc(F.relu(self.c2(early)).mean((2, 3)))
        return self.together(logits, self.aux(early.mean((2, 3)))) if self.training else logits

    def together(self, logits, aux):
        return Outputs(logits, aux)


class Unclear(Net):
    def together(self, logits, aux):
        return logits, aux


class Maps(Net):
    def together(self, logits, aux):
        return logits[:, :, None, None]


class Failing(Net):
    def together(self, logits, aux):
        raise RuntimeError("no")


class ByBatch(Net):
    def __init__(self):
        super().__init__()
        self.n1 = nn.BatchNorm2d(8, track_running_stats=False)


def seven():
    return Net(7)
"""


@pytest.fixture(scope="module", autouse=True)
def _code(tmp_path_factory):
    folder = tmp_path_factory.mktemp("code")
    (folder / "networks_of_heads.py").write_text(CODE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("U1_ALLOW_CODE", "1")
        yield
        sys.modules.pop("networks_of_heads", None)


@pytest.fixture
def run_of(run):
    """Make a run of a network over the digits."""

    def make(architecture, size=28, recipe=RECIPE, arm="onehot"):
        half = (0.5, 0.5, 0.5)
        numbers = Preprocessing(size, 1.0, "bilinear", half, half)
        network = resolve(ModelEntry("network", architecture, "none", preprocessing=numbers))
        return replace(run(arm, recipe=recipe), network=network)

    return make


def test_the_main_head_learns_and_no_auxiliary_one(run_of, digits, lake):
    one = run_of("code:networks_of_heads:Net", recipe=replace(RECIPE, epochs=1))
    before = {}

    def note(training, real=Training.check):
        before.update({name: tensor.clone() for name, tensor in training.network.state_dict().items()})
        real(training)
        same = training.network.state_dict()
        assert all(torch.equal(same[name], tensor) for name, tensor in before.items())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "check", note)
        train(one, digits, lake, "cpu")
    with digits.open_pixels(one.network.preprocessing) as source:
        training = Training(one, digits, source, "cpu")
        training.restore(lake)
    after = training.network.state_dict()
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert {"fc.weight", "fc.bias", "c1.weight", "c2.weight"} <= moved
    assert not {"aux.weight", "aux.bias"} & moved


def test_googlenets_loss_is_the_main_heads(run_of, digits):
    one = run_of("torchvision:googlenet", 32)
    with digits.open_pixels(one.network.preprocessing) as source:
        training = Training(one, digits, source, "cpu")
        training.network.train()
        pictures = torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8)
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            logits = training.network(training._scale(pictures)).logits
            torch.manual_seed(0)
            found = training.taps(training._scale(pictures))["head"]
        torch.testing.assert_close(found, logits)
        positions = torch.arange(4)
        onehot, _, _ = training._step(pictures, positions, 0.5)
    network = training.network
    assert network.fc.weight.grad.abs().sum() > 0
    assert network.aux1.fc2.weight.grad is None and network.aux2.fc2.weight.grad is None
    chance = functional.cross_entropy(torch.zeros(1, 10), torch.zeros(1, dtype=torch.long))
    assert float(onehot) / 4 == pytest.approx(float(chance), rel=0.5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Unclear", r"one tensor of logits \(2, K\).* got tuple: 0 \(2, 10\), 1 \(2, 10\)"),
        ("Maps", r"one tensor of logits \(2, K\).* got Tensor: \(2, 10, 1, 1\)"),
        ("ByBatch", r"on the rest of the batch; got .* from n1.batch_norm on"),
        ("Failing", "to train on pictures 3 x 28 x 28; got RuntimeError: no"),
        ("seven", r"10 logits of code:networks_of_heads:seven in evaluation for the task digits; got 7"),
    ],
)
def test_what_can_not_learn_the_task_is_one_line_before_any_epoch(run_of, digits, lake, name, message):
    one = run_of(f"code:networks_of_heads:{name}")
    with pytest.raises(U1Error, match=message) as refused:
        train(one, digits, lake, "cpu")
    assert "\n" not in str(refused.value)
    assert lake.states(one.id) == [] and not lake.parts("training_epochs", one.id)


def test_answers_that_are_not_finite_are_no_class(run_of, digits, lake, monkeypatch):
    """A last step that breaks the weights would leave class 0 for every picture of the test set."""
    one = run_of("code:networks_of_heads:Net", recipe=replace(RECIPE, epochs=1))
    step = Training._step

    def breaking(training, *arguments):
        sums = step(training, *arguments)
        with torch.no_grad():
            training.network.fc.bias.fill_(torch.nan)
        return torch.nan_to_num(sums)

    monkeypatch.setattr(loop.Training, "_step", breaking)
    with pytest.raises(U1Error, match="finite answers of onehot on digits, seed 0"):
        train(one, digits, lake, "cpu")


def test_keys_of_runs_change_where_an_auxiliary_head_was_trained(run_of, run):
    """A run of before that a lake holds as GoogLeNet's is not taken for one of now; others are."""
    for architecture in ("torchvision:googlenet", "torchvision:inception_v3"):
        network = replace(run().network, architecture=architecture)
        assert replace(run(), network=network)._shared()["network"]["loss"] == "main head"
    assert run()._shared()["network"].keys() == {"architecture", "preprocessing", "bottleneck"}
