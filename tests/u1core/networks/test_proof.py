"""What a network must show before any cell: each here goes wrong in one way, and one line names it."""

import contextlib
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from u1core.catalog.entries import ModelEntry, Preprocessing
from u1core.common.errors import U1Error
from u1core.networks import proof
from u1core.networks.build import build_network
from u1core.networks.optical_path import find_path
from u1core.networks.proof import prove
from u1core.networks.resolve import resolve
from u1core.networks.taps import Taps

CODE = """
import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self, norm=nn.BatchNorm2d, classes=10):
        super().__init__()
        self.c1, self.n1 = nn.Conv2d(3, 8, 3, padding=1), norm(8)
        self.c2, self.n2 = nn.Conv2d(8, 16, 3, 2, 1), norm(16)
        self.c3, self.fc = nn.Conv2d(16, 16, 3, 2, 1), nn.Linear(16, classes)

    def maps(self, x):
        return F.relu(self.c3(F.relu(self.n2(self.c2(F.relu(self.n1(self.c1(x))))))))

    def logits(self, x):
        return self.fc(self.maps(x).mean((2, 3)))

    forward = logits


def of(forward, norm=nn.BatchNorm2d):
    return lambda: type("Other", (Net,), {"forward": forward})(norm)


def in_train_mode():
    net = Net()
    net.n2.train = lambda mode: net.n2
    return net


def counting(net, x):
    net.count = getattr(net, "count", 0) + 1
    return net.logits(x * net.count)


def now_and_then(net, x):
    return net.logits(2 * x if torch.rand(()) < 1e-6 else x)


def seeded(net, x):
    torch.manual_seed(0)
    return net.logits(F.dropout(x))


def over_a_view(net, x):
    maps = net.maps(x)
    maps.data.view(len(maps), -1).sub_(0.5)  # where autograd, and so the trace, does not look
    return net.fc(maps.mean((2, 3)))


def by_index(net, x):
    maps = net.maps(x)
    logits = net.fc(maps.mean((2, 3)))
    maps.data[:, 0] = 7
    return logits


def cropped(net, x):
    at = int(torch.randint(0, 4, ()))
    return net.logits(x[:, :, at : at + 28, at : at + 28])


def damaged():
    net = Net()
    net.n2.running_var[3] = float("nan")
    return net


def two_heads(net, x):
    early = F.relu(net.n1(net.c1(x)))
    maps = F.relu(net.c3(F.relu(net.n2(net.c2(early)))))
    return net.fc(maps.mean((2, 3))), F.linear(early.mean((2, 3)), net.fc.weight[:, :8])


def both(net, x):
    pooled = net.maps(x).mean((2, 3))
    return net.fc(pooled), pooled


def grey():
    net = Net()
    net.c1 = nn.Conv2d(1, 8, 3)
    return net


def lazy():
    net = Net()
    net.fc = nn.LazyLinear(10)
    return net


good = Net
by_batch = lambda: Net(lambda channels: nn.BatchNorm2d(channels, track_running_stats=False))
by_group = lambda: Net(lambda channels: nn.GroupNorm(2, channels))
by_instance = lambda: Net(nn.InstanceNorm2d)
dropping = of(lambda net, x: net.logits(F.dropout(x)))
sometimes, counted, reseeded, viewed, indexed, cropping, heads = map(
    of, (now_and_then, counting, seeded, over_a_view, by_index, cropped, two_heads)
)
centred = of(lambda net, x: net.logits(x - x.mean(0)))
own_scaling = of(lambda net, x: net.logits(x.sub_(0.3).div_(2)))
nothing = of(lambda net, x: net.logits(x) * float("nan"))
dropping_logits = of(lambda net, x: F.dropout(net.logits(x)))
pair = of(both)
named = of(lambda net, x: dict(zip(("logits", "pooled"), both(net, x))))
parallel = lambda: nn.DataParallel(Net())
"""


@pytest.fixture(scope="module", autouse=True)
def _code(tmp_path_factory):
    folder = tmp_path_factory.mktemp("code")
    (folder / "unruly_networks.py").write_text(CODE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("U1_ALLOW_CODE", "1")
        yield
        sys.modules.pop("unruly_networks", None)


def entry(name):
    half = (0.5, 0.5, 0.5)
    numbers = Preprocessing(32, 1.0, "bilinear", half, half)
    return resolve(ModelEntry(name, f"code:unruly_networks:{name}", "none", preprocessing=numbers))


def proven(name, head=None):
    return prove(build_network(entry(name)), entry(name), head)


@pytest.mark.parametrize("name", ["good", "by_group", "by_instance", "own_scaling", "named", "parallel"])
def test_a_sound_network_has_its_classes(name):
    assert proven(name) is None
    assert proven(name, "") == 10


REFUSED = {
    "dropping": "the same values twice; got relu, relu_1, relu_2, mean: drawn anew by dropout;",
    "sometimes": "the same values twice; got .* drawn anew by rand;",
    "counted": "the same values twice; got relu, .* drawn anew by mul;",
    "cropping": "the same values twice; got .* drawn anew by randint;",
    "in_train_mode": "on the rest of the batch; got relu_1, .* alone than in a batch, from n2.batch_norm on;",
    "by_batch": "on the rest of the batch; got relu, .* from n1.batch_norm on;",
    "centred": "on the rest of the batch; got relu, .* from mean on;",
    "reseeded": "on the rest of the batch; got relu, .* from dropout on;",
    "damaged": "finite values; got relu_1: 6% are not finite;",
    "viewed": "layers that last; got relu_2: overwritten",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_hold_is_one_line_that_names_it(name):
    with pytest.raises(U1Error, match=REFUSED[name]) as refused:
        proven(name)
    assert "\n" not in str(refused.value)


REFUSED_LOGITS = {
    "nothing": "finite values; got logits: 100% are not finite",
    "dropping_logits": "the same values twice; got logits: drawn anew by dropout",
    "pair": r"one tensor of logits \(2, K\), or one called 'logits'; got tuple: 0 \(2, 10\), 1 \(2, 16\)",
    "indexed": "layers that last; got relu_2: overwritten",
}


@pytest.mark.parametrize("name", REFUSED_LOGITS)
def test_logits_are_proven_where_they_are_asked_for(name):
    assert proven(name) is None
    with pytest.raises(U1Error, match=REFUSED_LOGITS[name]):
        proven(name, "")


def test_logits_that_are_named_need_not_be_returned_alone():
    assert proven("pair", "fc") == 10
    with pytest.raises(U1Error, match=r"logits: \(2, 16, 8, 8\) for 2 pictures"):
        proven("pair", "c3")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lazy", "whose layers have shapes; got fc.weight has none yet"),
        ("grey", "pictures 3 x 32 x 32.*first convolution takes 1 channels"),
    ],
)
def test_what_can_not_be_looked_at_is_refused_before_it_is_built(name, message):
    with pytest.raises(U1Error, match=message):
        entry(name)


def test_the_path_leads_to_the_deepest_of_several_heads():
    assert entry("heads").layers == entry("good").layers == ("relu", "relu_1", "relu_2", "mean")


def test_a_layer_before_one_in_place_is_what_it_was_or_is_refused():
    class InPlace(nn.Sequential):
        def __init__(self):
            conv = torch.nn.Conv2d
            super().__init__(
                conv(3, 4, 3), torch.nn.ReLU(inplace=True), conv(4, 4, 3, 2), torch.nn.ReLU(True)
            )

    network, x = InPlace().eval(), torch.randn(2, 3, 16, 16)
    path = find_path(network, 16).names
    assert path == ("1", "3")
    with torch.inference_mode():
        found = Taps(network, path)(x)
        first = torch.relu(network[0](x))
        assert torch.equal(found["1"], first) and torch.equal(found["3"], torch.relu(network[2](first)))


def test_a_network_is_proven_once_for_each_head(monkeypatch):
    of, calls = replace(entry("good"), id="once"), []
    monkeypatch.setattr(proof, "_proven", {})
    network = build_network(of)
    network.register_forward_hook(lambda *_: calls.append(1))
    for _ in range(3):
        prove(network, of), prove(network, of, "")
    assert len(calls) == 3  # without a head the pass ends at the last layer
    prove(network, of, "", trained=False)
    assert len(calls) == 6


def test_the_global_random_numbers_stay_as_they_were():
    before = torch.random.get_rng_state()
    for name in ("good", "dropping", "reseeded"):
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(U1Error):
            patch.setattr(proof, "_proven", {})
            proven(name)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_rounding_is_far_below_what_counts_as_dependence():
    """What the batch's size does to a deep network of random weights in float32."""
    (of,) = [resolve(ModelEntry("r", "cifar_resnet:56", "none", preprocessing=entry("good").preprocessing))]
    network, x = build_network(of), torch.randn(4, 3, 32, 32)
    with torch.inference_mode():
        together, alone = network(x), torch.cat([network(x[i : i + 1]) for i in range(4)])
    assert proof.deviation(alone, together) < 0.01 * proof.TOLERANCE
