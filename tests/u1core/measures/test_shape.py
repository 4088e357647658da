"""Curves tried on held-out maps: planted shapes, the plainer curves that would look like them, constants."""

import numpy as np
import pytest

from u1core.measures.pixel_grid import coordinates
from u1core.measures.shape import compare_shapes, half_of, rise_weights, share_of_means

X, Y = coordinates(8, 8)
R2 = X**2 + Y**2


def test_a_sombrero_is_found_with_its_trough_and_beats_plainer_curves():
    energy = 5 - 4 * R2 + 3 * R2**2  # lowest at r^2 = b / 2c = 2/3
    shape = compare_shapes(energy, energy)
    assert shape.trough_radius == pytest.approx((2 / 3) ** 0.5)
    assert shape.sombrero_r_squared == pytest.approx(1)
    assert shape.sombrero_r_squared > shape.gaussian_r_squared + 0.1
    assert shape.gaussian_r_squared >= shape.parabola_r_squared - 1e-6


@pytest.mark.parametrize(
    ("energy", "best"),
    [(5 - R2, "parabola"), (1 + 3 * np.exp(-R2 / (2 * 0.35**2)), "gaussian")],
    ids=["parabola", "Gaussian"],
)
def test_what_is_plainer_is_not_a_sombrero_on_images_that_it_did_not_see(energy, best):
    # Noise of the fitted half bends the quartic; held out, the curve that made the map does better.
    rng = np.random.default_rng(0)
    wins = 0
    for _ in range(40):
        fitted, held_out = (energy + rng.normal(0, 0.3, energy.shape) for _ in range(2))
        shape = compare_shapes(fitted, held_out)
        plain = max(shape.parabola_r_squared, shape.gaussian_r_squared)
        wins += shape.sombrero_r_squared > plain
        assert getattr(shape, f"{best}_r_squared") > 0.5
    assert wins <= 20


def test_the_fit_is_that_of_all_pixels_with_equal_weight():
    rng = np.random.default_rng(1)
    fitted, held_out = rng.uniform(1, 2, (2, 8, 8))
    design = np.stack([np.ones(64), -R2.ravel(), R2.ravel() ** 2], axis=1)
    for columns, name in ((3, "sombrero"), (2, "parabola")):
        curve = design[:, :columns] @ np.linalg.lstsq(design[:, :columns], fitted.ravel(), rcond=None)[0]
        residual = np.square(held_out.ravel() - curve).sum() / np.square(held_out - held_out.mean()).sum()
        assert getattr(compare_shapes(fitted, held_out), f"{name}_r_squared") == pytest.approx(1 - residual)


@pytest.mark.parametrize("noise", [0.0, 1e-7])
def test_a_constant_map_has_no_shape(noise):
    # What float32 leaves of a constant picture falls from the centre as certainly as any map does.
    flat = 0.3 * (1 - noise * R2)
    shape = compare_shapes(flat, flat)
    assert shape.is_flat
    assert (shape.sombrero_r_squared, shape.trough_radius) == (None, None)
    assert not compare_shapes(flat - 0.001 * R2, flat - 0.001 * R2).is_flat


def test_below_five_radii_nothing_is_said():
    x, y = coordinates(4, 4)  # three radii
    shape = compare_shapes(x**2 + y**2, x**2 + y**2)
    assert (shape.radii, shape.is_flat, shape.parabola_r_squared) == (3, False, None)


def test_the_rise_and_its_error_by_definition():
    weights = rise_weights((8, 8), 0.8)
    radius = np.sqrt(R2)
    trough = np.unique(radius.round(9))[np.abs(np.unique(radius.round(9)) - 0.8).argmin()]
    on, beyond = np.isclose(radius, trough), radius > trough + 1e-6
    maps = np.random.default_rng(2).uniform(1, 3, (500, 8, 8))
    expected = maps[:, beyond].mean(axis=1) - maps[:, on].mean(axis=1)
    parts = maps.reshape(500, -1) @ weights.ravel()
    assert parts == pytest.approx(expected)
    rise, se = share_of_means(parts, maps.mean(axis=(1, 2)))
    assert rise == pytest.approx(expected.mean() / maps.mean())
    left_out = [
        np.delete(expected, i).mean() / np.delete(maps.mean(axis=(1, 2)), i).mean() for i in range(500)
    ]
    assert se == pytest.approx(np.sqrt(np.var(left_out) * 499), rel=0.01)  # the jackknife's
    assert rise_weights((8, 8), 2.0) is None


def test_halves_are_even_alike_everywhere_and_no_pattern_of_ids():
    half = half_of(np.arange(100_000))
    assert abs(half.mean() - 0.5) < 0.006  # four standard errors
    for step in (1, 2, 10):  # neighbours, and ids of one class where classes take turns
        assert abs((half[step:] == half[:-step]).mean() - 0.5) < 0.006
    assert (half_of(np.array([77, 5])) == half[[77, 5]]).all()
