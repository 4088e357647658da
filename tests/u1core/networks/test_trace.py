"""The record of a forward pass: names, in-place work, and what the whole signal passes through."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from u1core.networks.trace import cut_points, on_meta, record


class Forked(nn.Module):
    """A residual block, a function, one module called twice, and an auxiliary way that comes to nothing."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.body = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Identity())
        self.act = nn.ReLU()
        self.side = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        x = self.act(self.stem(x))
        self.side(x)
        x = self.act(x + self.body(x))
        return functional.relu(x.mean((2, 3)))


class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.act(self.conv(x))
        x += 1
        return x


def meta_record(network, size=8):
    return record(on_meta(lambda: network), torch.zeros(2, 3, size, size, device="meta"))


def named(values, name):
    return next(value for value in values if name in value.names)


def test_modules_name_what_they_return_and_functions_what_they_make():
    values = meta_record(Forked())
    assert named(values, "stem").operation == "conv2d"
    assert named(values, "act").names == ["act.relu", "act"]
    assert named(values, "act_1").names == ["act.relu_1", "act_1"]
    assert named(values, "body.1").names == [
        "body.1.relu",
        "body.1",
        "body.2",
        "body",
    ]  # identity: no new value
    assert named(values, "add").operation == "add"
    assert named(values, "relu").names == ["relu", "output"]
    assert named(values, "mean").shape == (2, 4)


def test_the_whole_signal_passes_neither_a_branch_nor_a_dead_end():
    cuts = cut_points(meta_record(Forked()))
    assert [value.names[-1] for value in cuts] == ["image", "stem", "act", "add", "act_1", "mean", "output"]


def test_what_is_overwritten_in_place_is_said():
    values = meta_record(InPlace())
    assert named(values, "conv").overwritten_by == "relu"
    assert named(values, "act").overwritten_by == "add"
    assert values[-1].operation == "add" and not values[-1].overwritten_by


def cleared_in_a_slice(x):
    x[:, 0] = 0


def halved_in_a_view(x):
    x.flatten(1).mul_(0.5)


@pytest.mark.parametrize("work", [cleared_in_a_slice, halved_in_a_view])
def test_what_is_overwritten_in_part_is_said(work):
    class Overwriting(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.act = nn.Conv2d(3, 4, 1), nn.ReLU()

        def forward(self, x):
            x = self.act(self.conv(x))
            work(x)
            return x.sum((2, 3))

    values = meta_record(Overwriting())
    assert named(values, "act").overwritten_by == "work on a part of it in place"
    assert not named(values, "conv").overwritten_by and not values[-1].overwritten_by


def test_what_no_torch_function_makes_comes_from_the_modules_inputs():
    class Scripted(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.swish = nn.Conv2d(3, 4, 1), Hidden()

        def forward(self, x):
            return self.swish(self.conv(x)).flatten(1)

    class Hidden(nn.Module):
        def forward(self, x):
            with torch._C.DisableTorchFunction():
                return x * x.sigmoid()

    values = meta_record(Scripted())
    assert named(values, "swish").operation == "unknown"
    assert [value.names[-1] for value in cut_points(values)] == ["image", "conv", "swish", "output"]


def test_recording_changes_no_number():
    network, x = Forked().eval(), torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        before = network(x)
        record(network, x)
        assert torch.equal(network(x), before)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_networks_without_memory():
    network = on_meta(lambda: nn.Linear(200_000, 200_000))  # 160 GB
    assert network.weight.is_meta and not network.training


def test_a_constructor_that_reads_numbers_back():
    def build():
        width = int(torch.arange(3).sum().item())  # impossible on the meta device
        return nn.Sequential(nn.Linear(width, 30_000), nn.Linear(30_000, 30_000), nn.BatchNorm1d(5))

    network = on_meta(build)
    assert network[0].in_features == 3
    assert all(tensor.is_meta for tensor in network.state_dict().values())
    assert not nn.Linear(2, 2).weight.is_meta  # nothing is left of the patch


def test_a_constructor_that_fails_tells_its_own_reason():
    with pytest.raises(ValueError, match="no such width"):
        on_meta(lambda: (_ for _ in ()).throw(ValueError("no such width")))


def test_no_numbers_are_drawn_for_tensors_without_any():
    """torch draws nothing for them, but takes a second for a large network; others keep their numbers."""
    kept = []

    def build():
        kept.append(torch.empty(100, device="cpu").normal_(5.0, 0.1))
        return nn.Linear(4, 4)

    state = torch.random.get_rng_state()
    assert on_meta(build).weight.shape == (4, 4)
    assert kept[0].mean() == pytest.approx(5.0, abs=0.1)
    torch.random.set_rng_state(state)
    assert torch.equal(kept[0], torch.empty(100).normal_(5.0, 0.1))


class Rows(nn.Module):
    """Reads a map's rows by an LSTM, between two normalisations."""

    def __init__(self, **how):
        super().__init__()
        self.before, self.after = nn.BatchNorm2d(3), nn.BatchNorm1d(8)
        self.rows = nn.LSTM(3 * 8, 5, **how)

    def forward(self, x):
        x = self.before(x).permute(0, 2, 1, 3).flatten(2)
        out, (hidden, cell) = self.rows(x)
        return self.after(out), hidden, cell


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"batch_first": True},
        {"bidirectional": True, "num_layers": 2},
        {"proj_size": 4},
        {"proj_size": 4, "bidirectional": True, "bias": False},
    ],
)
def test_shapes_without_numbers_are_those_of_numbers(how):
    """Batch norms and LSTMs take a way of their own on the meta device."""
    network = Rows(**how).eval()
    computed = record(network, torch.zeros(8, 3, 8, 8))
    followed = record(network.to("meta"), torch.zeros(8, 3, 8, 8, device="meta"))
    seen, expected = (
        [(v.operation, v.shape, v.inputs, v.names) for v in made] for made in (followed, computed)
    )
    assert seen == expected
    assert [name for name, *_ in seen].count("lstm") == 3
