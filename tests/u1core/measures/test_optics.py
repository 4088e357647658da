"""Expected values by hand arithmetic on 2 x 2 and 4 x 4 maps, or from closed forms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from u1core.measures import optics
from u1core.measures.medial import decompose
from u1core.measures.pixel_grid import coordinates
from u1core.measures.reduce import reduce_layer

shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=9)
maps = hnp.arrays(np.float64, shapes, elements=st.floats(0.01, 10))

IN_UNITS_OF_ENERGY = ("energy_total", "sombrero_a", "sombrero_b", "sombrero_c")


def measure(energy_map):
    values = optics.focus(torch.tensor(np.array(energy_map, dtype=float))[None]).numpy()
    return {name: value[0] for name, value in values.items()}


def test_energy_is_the_squared_norm_over_channels():
    activations = torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1)
    assert optics.energy(activations).item() == 25.0


@pytest.mark.parametrize("value", [1e-40, 1e-23, 1e-19, 1e-15, 1.0, 1e18, 1e19, 1e20, 3e38])
def test_energy_at_the_edges_of_float32(value):
    activations = torch.full((2, 3, 2, 2), value)
    activations[1, :, 0] = 0.0
    squared = float(activations[0, 0, 0, 0].double() ** 2)
    assert optics.energy(activations).tolist() == [
        [[pytest.approx(3 * squared, rel=1e-6)] * 2] * 2,
        [[0.0, 0.0], [pytest.approx(3 * squared, rel=1e-6)] * 2],
    ]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(-120, 100))
def test_a_power_of_two_moves_no_angle_radius_or_share(seed, exponent):
    rng = np.random.default_rng(seed)
    activations = torch.from_numpy(rng.uniform(0.01, 1, (3, 5, 4, 6)).astype(np.float32))
    plain, scaled = reduce_layer(activations), reduce_layer(activations * 2.0**exponent)
    # Beyond, squares are summed in float64: against float32's 2e-7 of an energy up to 5, which the fit of the
    # Sombrero's three coefficients multiplies by a few.
    within = 0 if abs(exponent) < 40 else 5e-6
    for name, values in plain.focus.items():
        factor = 4.0**exponent if name in IN_UNITS_OF_ENERGY else 1
        assert scaled.focus[name] == pytest.approx(values * factor, rel=within, abs=within * factor)
    for name, values in decompose(plain.pooled)._asdict().items():
        factor = 2.0**exponent if name in ("norm", "axial") else 1
        assert getattr(decompose(scaled.pooled), name).tolist() == (values * factor).tolist()


@pytest.mark.parametrize("level", [0.0, 1e-46, 0.1, 3.0, 1e38])
def test_a_constant_map_has_no_trough(level):
    fit = optics.fit_sombrero(np.full((3, 3), level))
    assert fit == optics.Sombrero(pytest.approx(level), 0.0, 0.0, None, None)


def test_dipole_points_at_the_only_bright_pixel_with_y_up():
    bright = measure([[0, 1], [0, 0]])
    assert (bright["dipole_x"], bright["dipole_y"]) == (0.5, 0.5)
    # One pixel at 45 degrees: (x+iy)^2 / r^2 = i.
    assert bright["quadrupole_x"] == pytest.approx(0, abs=1e-15)
    assert bright["quadrupole_y"] == pytest.approx(1)
    assert bright["energy_total"] == 1


@pytest.mark.parametrize("shape", [(4, 4), (7, 7), (8, 8), (9, 9), (112, 112), (6, 10)])
def test_uniform_light_encircles_alike_at_every_resolution(shape):
    uniform = measure(np.ones(shape))
    assert uniform["ee50_radius"] == pytest.approx(math.sqrt(2 / math.pi), abs=2e-3)
    # 80 % of the area 4 reaches beyond the inscribed disc: pi r^2 less four circular segments.
    inside = lambda r: math.pi * r**2 - 4 * (r**2 * math.acos(1 / r) - math.sqrt(r**2 - 1))  # noqa: E731
    assert inside(uniform["ee80_radius"]) == pytest.approx(3.2, abs=8e-3)
    assert uniform["centre_density_ratio"] == pytest.approx(1, abs=2e-3)
    assert math.isnan(uniform["anisotropy"])


def test_a_map_without_energy_has_no_centroid():
    dark = measure(np.zeros((4, 4)))
    assert [dark.pop(name) for name in IN_UNITS_OF_ENERGY] == [0, 0, 0, 0]
    assert all(math.isnan(value) for value in dark.values())


def test_anisotropy_is_0_for_rings_and_1_for_pure_angle():
    x, y = coordinates(8, 8)
    assert measure(np.exp(-(x**2 + y**2)))["anisotropy"] == pytest.approx(0, abs=1e-12)
    checker = 1 + np.sign(x) * np.sign(y) * 0.5
    assert measure(checker)["anisotropy"] == pytest.approx(1)


@settings(deadline=None)
@given(maps, st.floats(1e-3, 1e3))
def test_scaling_the_energy_moves_nothing_but_what_is_in_its_units(energy_map, factor):
    before, after = measure(energy_map), measure(energy_map * factor)
    for name in IN_UNITS_OF_ENERGY:
        scaled = before.pop(name) * factor
        assert after.pop(name) == pytest.approx(scaled, abs=1e-9 * factor * energy_map.sum(), nan_ok=True)
    assert after == pytest.approx(before, rel=1e-6, abs=1e-6, nan_ok=True)


@settings(deadline=None)
@given(maps)
def test_a_quarter_turn_turns_the_dipole_by_i_and_the_quadrupole_by_minus_1(energy_map):
    before, after = measure(energy_map), measure(np.rot90(energy_map))
    assert after["dipole_x"] == pytest.approx(-before["dipole_y"], abs=1e-9)
    assert after["dipole_y"] == pytest.approx(before["dipole_x"], abs=1e-9)
    if energy_map.shape[0] == energy_map.shape[1]:
        assert after["quadrupole_x"] == pytest.approx(-before["quadrupole_x"], abs=1e-9)
        assert after["ee50_radius"] == pytest.approx(before["ee50_radius"], abs=1e-9)


@settings(deadline=None)
@given(maps)
def test_radii_are_ordered_and_inside_the_image(energy_map):
    m = measure(energy_map)
    assert 0 < m["ee50_radius"] < m["ee80_radius"] <= math.sqrt(2)
    assert math.isnan(m["anisotropy"]) or -1e-12 <= m["anisotropy"] <= 1 + 1e-12


def test_radial_profile_averages_rings():
    radius, profile = optics.radial_profile(np.array([[1.0, 3.0], [5.0, 7.0]]))
    assert radius == pytest.approx([math.sqrt(0.5)])
    assert profile == pytest.approx([4.0])


def test_sombrero_fit_finds_the_curve_it_was_made_from():
    x, y = coordinates(9, 9)
    r2 = x**2 + y**2
    fit = optics.fit_sombrero(5 - 4 * r2 + 3 * r2**2)
    assert (fit.a, fit.b, fit.c) == pytest.approx((5, 4, 3))
    assert fit.trough_radius == pytest.approx(math.sqrt(4 / 6))
    assert fit.r_squared == pytest.approx(1)


def test_sombrero_without_a_trough_says_so():
    x, y = coordinates(9, 9)
    assert optics.fit_sombrero(x**2 + y**2).trough_radius is None
    assert optics.fit_sombrero(np.ones((2, 2))).trough_radius is None
    assert optics.fit_sombrero(np.ones((4, 4))).r_squared is None
