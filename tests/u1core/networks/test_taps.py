"""Taps: every layer in one pass, nothing behind the last, the same numbers as the untouched network."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from u1core.catalog.catalog import load_catalog
from u1core.common.errors import U1Error
from u1core.networks.build import build_network
from u1core.networks.taps import Taps

CATALOG = load_catalog()


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()
        self.tail, self.head = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 2)

    def forward(self, x):
        x = self.act(self.tail(self.act(self.conv(x))))
        return self.head(functional.relu(x - 0.1).mean((2, 3)))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Plain().eval()


@pytest.fixture
def x():
    return torch.randn(2, 3, 8, 8)


@pytest.fixture(autouse=True)
def _inference():
    with torch.inference_mode():
        yield


def test_modules_functions_and_second_calls(network, x):
    found = Taps(network, ["act", "act_1", "relu", "mean"], head="")(x)
    first = functional.relu(network.conv(x))
    second = functional.relu(network.tail(first))
    expected = {
        "act": first,
        "act_1": second,
        "relu": functional.relu(second - 0.1),
        "mean": functional.relu(second - 0.1).mean((2, 3)),
        "head": network(x),
    }
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(("layers", "runs"), [(["act"], 0), (["act", "act_1"], 1), (["sub"], 1)])
def test_nothing_behind_the_last_layer_runs(network, x, layers, runs):
    calls = []
    network.tail.register_forward_hook(lambda *_: calls.append("tail"))
    network.head.register_forward_hook(lambda *_: calls.append("head"))
    assert list(Taps(network, layers)(x)) == layers
    assert calls == ["tail"] * runs


def test_a_head_by_name_may_come_before_the_layers(network, x):
    found = Taps(network, ["act_1"], head="conv")(x)
    assert torch.equal(found["head"], network.conv(x))


def test_no_hook_is_left_even_after_an_error(network, x):
    taps = Taps(network, ["act", "relu"])
    taps(x)
    with pytest.raises(RuntimeError):
        taps(x[:, :2])
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert torch.equal(taps(x)["act"], functional.relu(network.conv(x)))


def test_a_wrong_name_is_told_the_nearest(network, x):
    for name in ("atc", "act_2", "act_7"):
        with pytest.raises(U1Error, match=rf"'{name}'; nearest: .*act"):
            Taps(network, ["act", name])(x)


@pytest.mark.parametrize("model", ["resnet50", "densenet201", "inception_v3", "efficientnet_lite0"])
def test_the_same_numbers_as_torchvisions_symbolic_cut(model):
    import timm.layers
    from torchvision.models.feature_extraction import create_feature_extractor

    entry = CATALOG.models[model]
    network = build_network(entry, trained=False)
    tracing = {
        "leaf_modules": timm.layers.get_notrace_modules(),
        "autowrap_functions": timm.layers.get_notrace_functions(),
    }
    reference = create_feature_extractor(
        network, list(entry.layers), tracer_kwargs=tracing, suppress_diff_warning=True
    )
    x = torch.randn(1, 3, 96, 96)
    found, expected = Taps(network, entry.layers, head="")(x), reference.eval()(x)
    assert all(torch.equal(found[name], expected[name]) for name in entry.layers)
    assert torch.equal(found["head"], network(x))
