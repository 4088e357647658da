"""The unit-channel gauge: one network, one set of figures, however its channels are scaled."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from u1core.measures.gauge import ChannelSizes, scaled

PICTURES = torch.randn(10, 3, 6, 6, generator=torch.Generator().manual_seed(0))


def scales_of(activations, batch=4):
    sizes = ChannelSizes()
    for part in activations.split(batch):
        sizes.add(part)
    return sizes.unit_scales()


def test_by_hand():
    # Channel 0: root of (9 + 0 + 0 + 16) / 4; channel 1: 2; channel 2 is silent.
    a = torch.tensor([[[[3.0, 0]], [[2, 2]], [[0, 0]]], [[[0, 4]], [[2, -2]], [[0, 0]]]])
    assert scales_of(a).tolist() == pytest.approx([1 / 2.5, 0.5, 0])


def test_channels_far_below_the_median_are_left_out():
    a = torch.ones(2, 5, 1, 1) * torch.tensor([1, 1, 1, 1.1e-6, 0.9e-6]).view(1, 5, 1, 1)
    assert scales_of(a).tolist() == pytest.approx([1, 1, 1, 1 / 1.1e-6, 0])
    assert scales_of(torch.zeros(2, 3)).tolist() == [0, 0, 0]


@settings(max_examples=15)
@given(batch=st.integers(1, 10))
def test_batches_make_no_difference(batch):
    torch.testing.assert_close(scales_of(PICTURES, batch), scales_of(PICTURES), rtol=1e-12, atol=0)


@settings(max_examples=15)
@given(factors=st.lists(st.floats(1e-2, 1e2), min_size=5, max_size=5))
def test_scaling_a_channel_and_unscaling_its_readers_changes_nothing(factors):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = nn.Conv2d(3, 5, 3), nn.Conv2d(5, 4, 3)
    factor = torch.tensor(factors)
    with torch.no_grad():
        layer = first(PICTURES).relu()
        answer = second(layer)
        first.weight *= factor.view(-1, 1, 1, 1)
        first.bias *= factor
        second.weight /= factor.view(1, -1, 1, 1)
        other = first(PICTURES).relu()
        torch.testing.assert_close(second(other), answer, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(
        scaled(other, scales_of(other)), scaled(layer, scales_of(layer)), rtol=1e-5, atol=1e-6
    )
