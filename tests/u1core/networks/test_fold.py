"""Folding changes nothing but rounding, folds whatever may be folded, and leaves alone what is looked at."""

import copy

import pytest
import torch
from torch import nn

from u1core.networks.fold import deviation, fold_batch_norms
from u1core.networks.taps import Taps


def with_statistics(network):
    """Give every batch normalisation statistics and weights that are not the neutral ones."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.bias.data):
                tensor.copy_(torch.randn(tensor.shape, generator=generator))
            for tensor in (module.running_var, module.weight.data):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return network.eval()


def both(network, layers, size=16):
    """Run a network before and after folding: layers, layers, how many were folded."""
    folded = copy.deepcopy(network)
    count = fold_batch_norms(folded, layers, size)
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        return Taps(network, layers)(x), Taps(folded, layers)(x), count


class Shared(nn.Module):
    """A convolution read twice, one that is called twice, and one that goes into its norm alone."""

    def __init__(self):
        super().__init__()
        self.twice, self.norm_of_twice = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.again, self.norm_of_again = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.alone, self.norm_of_alone = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.act = nn.ReLU()

    def forward(self, x):
        x = self.twice(x)
        x = x + self.norm_of_twice(x)
        x = self.norm_of_again(self.again(x)) + self.again(x)
        return self.act(self.norm_of_alone(self.alone(x)))


def test_only_what_nothing_else_reads_is_folded():
    with torch.random.fork_rng():
        torch.manual_seed(0)  # a draw with small outputs has larger rounding, relative to them
        network = with_statistics(Shared())
    before, after, count = both(network, ["act"])
    assert count == 1
    assert 0 < deviation(before, after) < 1e-5


def test_a_tapped_convolution_is_left_alone():
    network = with_statistics(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()))
    before, after, count = both(network, ["0", "2"])
    assert count == 0 and deviation(before, after) == 0
    assert both(network, ["1", "2"])[2] == 1  # the folded convolution's output goes by the norm's name


@pytest.mark.parametrize(
    ("build", "layers", "folded"),
    [
        ("torchvision:resnet18", ["layer1", "layer4"], 20),
        ("torchvision:mobilenet_v2", ["features.18"], 52),
        # Its last norms stand before a pool and a ReLU, most others before the next convolution.
        ("torchvision:densenet121", ["features.norm5"], 59),
        ("timm:tf_efficientnet_lite0", ["bn2"], 49),
    ],
)
def test_real_networks_answer_the_same(build, layers, folded):
    from u1core.networks.sources import registry

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = with_statistics(registry.build(build, ""))
    before, after, count = both(network, layers, size=64)
    assert count == folded
    assert deviation(before, after) < 1e-3


def test_a_normalisation_by_the_statistics_of_the_batch_is_left_alone():
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    before, after, count = both(nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.ReLU()).eval(), ["2"])
    assert count == 0 and deviation(before, after) == 0


def test_a_layer_that_is_no_number_deviates_wherever_it_stands():
    fine, broken = torch.ones(2, 3), torch.full((2, 3), torch.nan)
    for after in ({"a": fine, "b": broken}, {"a": broken, "b": fine}):
        assert not deviation({"a": fine, "b": fine}, after) <= 1e9
