"""Re-estimated batch norms: the statistics of their inputs to the letter, layer by layer."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from u1core.common.errors import U1Error
from u1core.networks.padding import padded
from u1core.networks.reestimate import MOST_PICTURES, moments, move, observe, pictures_for, reestimate
from u1core.networks.sources.cifar_resnet import CifarResNet

PICTURES = torch.randn(150, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 3 + 1


def small():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            *(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU()),
            *(nn.Conv2d(6, 5, 3, stride=2), nn.BatchNorm2d(5, affine=False), nn.Flatten(), nn.Linear(45, 4)),
            nn.BatchNorm1d(4, eps=1e-9),
        ).eval()


def test_every_norm_has_the_statistics_of_its_input():
    network = small()
    assert reestimate(network, PICTURES, "it") == 3
    inputs = {}
    for path in ("1", "4", "7"):
        norm = network.get_submodule(path)
        norm.register_forward_pre_hook(lambda norm, x, path=path: inputs.__setitem__(path, x[0]))
    with torch.no_grad():
        output = network(PICTURES)  # the norms before have their new statistics now
    for path, x in inputs.items():
        by_channel = x.transpose(0, 1).flatten(1).double().numpy()
        norm = network.get_submodule(path)
        np.testing.assert_allclose(norm.running_mean, by_channel.mean(1), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(norm.running_var, by_channel.var(1), rtol=1e-6)
    np.testing.assert_allclose(output.mean(0), np.zeros(4), atol=1e-5)
    np.testing.assert_allclose(output.var(0, correction=0), np.ones(4), rtol=1e-5)


def test_in_training_mode_torch_normalises_the_same():
    network = small()
    reestimate(network, PICTURES, "it")
    with torch.no_grad():
        torch.testing.assert_close(network(PICTURES), small().train()(PICTURES), rtol=1e-4, atol=1e-5)


def statistics(network):
    return {name: value.clone() for name, value in network.state_dict().items() if "running" in name}


def of_other_pictures():
    """A network whose norms were made for other pictures, as training's augmented ones are."""
    network = small()
    reestimate(network, PICTURES * 0.5 - 2, "it")
    return network


def test_norms_that_nothing_moved_stay_to_the_last_bit():
    network = of_other_pictures()
    before = statistics(network)
    assert move(network, PICTURES, "it", observe(network, PICTURES, "it")) == 3
    assert all(torch.equal(before[name], value) for name, value in statistics(network).items())


def test_norms_are_moved_by_what_the_padding_alone_moves_layer_by_layer():
    network = of_other_pictures()
    stored, built = statistics(network), observe(network, PICTURES, "it")
    with padded("circular"):
        move(network, PICTURES, "it", built)
        changed = observe(network, PICTURES, "it")  # the norms before have moved by now
    for path in ("1", "4", "7"):
        (mean, variance), (old_mean, old_variance) = changed[path], built[path]
        norm = network.get_submodule(path)
        assert not torch.allclose(mean, old_mean, rtol=1e-3, atol=0)
        expected = stored[f"{path}.running_mean"] + mean - old_mean
        torch.testing.assert_close(norm.running_mean, expected.float(), rtol=1e-5, atol=1e-5)
        expected = stored[f"{path}.running_var"] * variance / old_variance
        torch.testing.assert_close(norm.running_var, expected.float(), rtol=1e-5, atol=1e-6)


def test_a_channel_that_never_varied_keeps_its_variance():
    network = nn.Sequential(nn.BatchNorm2d(3)).eval()
    before = observe(network, torch.zeros(4, 3, 2, 2), "it")
    move(network, torch.randn(4, 3, 2, 2), "it", before)
    assert torch.equal(network[0].running_var, torch.ones(3))


@settings(max_examples=20)
@given(order=st.permutations(range(150)), scale=st.floats(1e-3, 1e3), offset=st.floats(-1e4, 1e4))
def test_groups_make_no_difference(order, scale, offset):
    x = (torch.randn(150, 2, 3, generator=torch.Generator().manual_seed(1)).double() + offset / scale) * scale
    mean, variance = moments(x[list(order)])
    values = x.transpose(0, 1).flatten(1)
    torch.testing.assert_close(mean, values.mean(1), rtol=1e-9, atol=1e-9 * scale)
    torch.testing.assert_close(variance, values.var(1, correction=0), rtol=1e-6, atol=0)


def test_how_many_pictures_is_a_matter_of_the_network_alone():
    assert pictures_for(CifarResNet(20).eval(), 32) == MOST_PICTURES
    wide = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1)).eval()
    assert pictures_for(wide, 224) == 2**30 // (4 * 64 * 224 * 224) == 83


def test_frozen_norms_are_norms_and_a_network_without_any_stays():
    from torchvision.ops import FrozenBatchNorm2d

    network = nn.Sequential(FrozenBatchNorm2d(3, eps=0.0)).eval()
    assert reestimate(network, PICTURES, "it") == 1
    assert network(PICTURES).var(correction=0).item() == pytest.approx(1, rel=1e-5)
    assert reestimate(nn.Sequential(nn.Conv2d(3, 1, 1)), PICTURES, "it") == 0


def test_a_norm_that_runs_twice_is_named():
    norm = nn.BatchNorm2d(3)
    with pytest.raises(U1Error, match="batch norms of it that run once each; got 0 runs again"):
        reestimate(nn.Sequential(norm, nn.ReLU(), norm).eval(), PICTURES, "it")


def test_statistics_that_are_not_finite_are_refused():
    with pytest.raises(U1Error, match="not finite before 0"):
        reestimate(nn.Sequential(nn.BatchNorm2d(3)).eval(), PICTURES / 0, "it")
