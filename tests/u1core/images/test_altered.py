"""Altered pictures: what each keeps, to the grey level, and that only a picture's id draws anything."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from u1core.images import altered
from u1core.images.draws import rolls

CHANGES = [
    altered.roll,
    altered.flatten,
    altered.scramble_phases,
    altered.shuffle_pixels,
    altered.hide_centre,
    altered.hide_ring,
]
SIDE = 16


def pictures(n, colours=3, low=0, high=256, side=SIDE):
    generator = torch.Generator().manual_seed(n)
    return torch.randint(low, high, (n, side, side, colours), dtype=torch.uint8, generator=generator)


def pixels(picture):
    """The pixels of one picture, sorted by their colours."""
    return sorted(picture.flatten(0, 1).tolist())


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("change", CHANGES)
def test_neither_batches_nor_order_change_a_picture(change, colours):
    before, ids = pictures(5, colours), [7, 0, 49_999, 3, 8]
    together = change(before, ids)
    assert together.dtype == torch.uint8 and together.shape == before.shape
    for row, image_id in enumerate(ids):
        assert torch.equal(change(before[row : row + 1], [image_id])[0], together[row])
    assert torch.equal(change(before.flip(0), ids[::-1]).flip(0), together)
    assert torch.equal(change(before, ids), together)


@pytest.mark.parametrize("change", [altered.roll, altered.scramble_phases, altered.shuffle_pixels])
def test_what_is_random_differs_from_id_to_id(change):
    same = pictures(1).expand(6, -1, -1, -1)
    assert len({change(same, range(6))[row].numpy().tobytes() for row in range(6)}) == 6


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 24))
def test_a_roll_is_a_bijection_by_the_shift_that_is_told(image_id, side):
    picture = pictures(1, side=side)
    rolled = altered.roll(picture, [image_id])[0]
    ((right, up),) = rolls([image_id], side)
    assert -side // 2 <= min(right, up) and max(right, up) < side / 2
    row, column = 1, side - 1
    assert torch.equal(rolled[(row - up) % side, (column + right) % side], picture[0, row, column])
    assert torch.equal(rolled.roll((int(up), -int(right)), (0, 1)), picture[0])


def test_rolls_are_uniform_over_the_torus_and_alike_for_all_sizes():
    small, large = rolls(range(4000), 8), rolls(range(4000), 224)
    counts = np.unique(small, axis=0, return_counts=True)[1]
    assert len(counts) == 64
    # 64 places of 62.5 each: chi-square with 63 degrees of freedom has its 99.9 % quantile at 104.
    assert ((counts - 62.5) ** 2 / 62.5).sum() < 104
    assert np.abs(large / 224 - small / 8).max() <= 1 / 8


def test_a_flat_picture_is_its_mean_colour():
    before = pictures(4)
    flat = altered.flatten(before, range(4))
    assert torch.equal(flat, flat[:, :1, :1].expand_as(flat))
    difference = flat[:, 0, 0].double() - before.double().mean(dim=(1, 2))
    assert difference.abs().max() <= 0.5
    assert torch.equal(altered.flatten(flat, range(4)), flat)


def test_phase_noise_keeps_the_amplitudes_but_for_rounding():
    before = pictures(6, low=110, high=146)  # too flat for anything to be clipped
    noise = altered.scramble_phases(before, range(6))
    assert noise.min() > 0 and noise.max() < 255
    old, new = (torch.fft.fft2(p.double(), dim=(1, 2)) for p in (before, noise))
    # Rounding adds a field of at most 1/2: at any frequency at most S^2 / 2, 8 S on the root mean square.
    assert (old.abs() - new.abs()).abs().max() <= SIDE**2 / 2
    assert (old.abs() - new.abs()).square().mean().sqrt() <= SIDE / 12**0.5 * 1.05
    assert (old[:, 0, 0] - new[:, 0, 0]).abs().max() / SIDE**2 < 0.1  # the mean, but for rounding
    turn = (new / old).angle()[:, 1:8, 1:8]
    assert turn.cos().mean().abs() < 5 * (2 * 6 * 49) ** -0.5  # uniform: 49 frequencies of six fields


def test_phase_noise_turns_all_colours_alike():
    grey = pictures(3, colours=1)
    noise = altered.scramble_phases(grey.expand(-1, -1, -1, 3), range(3))
    assert torch.equal(noise[..., :1].expand_as(noise), noise)


def test_phase_noise_of_a_flat_picture_is_flat():
    flat = torch.full((2, SIDE, SIDE, 3), 77, dtype=torch.uint8)
    assert torch.equal(altered.scramble_phases(flat, [0, 1]), flat)


def test_white_noise_is_the_same_pixels_in_another_order():
    before = pictures(3)
    noise = altered.shuffle_pixels(before, range(3))
    assert [pixels(p) for p in noise] == [pixels(p) for p in before]
    assert not torch.equal(noise, before)


def test_the_order_is_white():
    """Every frequency has one expected power: sum of squares / (S^2 - 1), whatever was in the picture."""
    lit = torch.zeros(1, 8, 8, 1, dtype=torch.uint8)
    lit[:, :4] = 255
    noise = altered.shuffle_pixels(lit.expand(800, -1, -1, -1), range(800)).double()[..., 0]
    power = torch.fft.fft2(noise - noise.mean(dim=(1, 2), keepdim=True)).abs().square().mean(dim=0)
    expected = 64 * 64 * 127.5**2 / 63
    assert (power.flatten()[1:] / expected - 1).abs().max() < 0.2  # of 800 draws: 5 standard errors


@pytest.mark.parametrize("side", [7, 32, 33])
def test_disc_and_ring_are_two_halves_of_the_picture(side):
    disc = altered._disc(side)
    assert disc.sum().item() == pytest.approx(side**2 / 2, rel=2e-3)
    assert torch.equal(disc, disc.flip(0)) and torch.equal(disc, disc.T)
    assert disc[side // 2, side // 2] == 1 and disc[0, 0] == 0


def test_what_one_hides_the_other_keeps():
    before = pictures(4, side=32)
    centre, ring = altered.hide_centre(before, range(4)), altered.hide_ring(before, range(4))
    mean = before.double().mean(dim=(1, 2), keepdim=True)
    assert (centre.double() + ring - before - mean).abs().max() <= 1
    assert torch.equal(centre[:, 0, 0], before[:, 0, 0])
    assert torch.equal(ring[:, 16, 16], before[:, 16, 16])
    assert (centre[:, 16, 16] - mean[:, 0, 0]).abs().max() <= 0.5


def test_with_circular_padding_the_energy_rolls_along():
    """By shifts that are multiples of the total stride, 4 here: E is moved by a quarter of them in cells."""
    torch.manual_seed(0)
    layers = [
        torch.nn.Conv2d(channels, 8, 3, stride=2, padding=1, padding_mode="circular") for channels in (3, 8)
    ]
    network = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1], torch.nn.ReLU())
    ids = [i for i in range(200) if not (rolls([i], SIDE) % 4).any()][:6]
    before = pictures(6)
    with torch.no_grad():
        plain, rolled = (
            network(p.permute(0, 3, 1, 2) / 255.0).square().sum(dim=1)
            for p in (before, altered.roll(before, ids))
        )
    for energy, moved, (right, up) in zip(plain, rolled, (rolls(ids, SIDE) // 4).tolist(), strict=True):
        torch.testing.assert_close(moved, energy.roll((-up, right), (0, 1)), rtol=1e-5, atol=1e-7)
    assert len({tuple(shift) for shift in rolls(ids, SIDE).tolist()}) > 3
