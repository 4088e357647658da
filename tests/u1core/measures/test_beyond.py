"""Beyond the pixel bank: a quadratic function of it leaves nothing, what it knows nothing of stays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from u1core.measures import beyond
from u1core.measures.beyond import IMAGES_PER_TERM, beyond_bank, fit_quadratic

RNG = np.random.default_rng(5)


def bank_of(n, maps=7, scale=0.1):
    return RNG.normal(scale=scale, size=(n, maps, 2))


def quadratic(bank):
    """One quadratic function of a bank: a turn of the second map's dipole, and products."""
    x, y = bank[:, 0].T
    u, v = bank[:, 1].T
    return np.stack([0.02 - v + 3 * x * y, u + x * u - 2 * y**2], axis=1)


def test_a_quadratic_function_of_the_bank_leaves_nothing():
    memory, query = bank_of(400), bank_of(100)
    fit = fit_quadratic(memory, quadratic(memory))
    assert (fit.n, fit.rank) == (400, 120)  # 1 + 14 + 14 * 15 / 2
    for bank in (memory, query):
        angle, strength = beyond_bank(fit, bank, quadratic(bank))
        assert strength.max() < 1e-12 and np.isnan(angle).all()


def test_blocks_of_images_make_no_difference(monkeypatch):
    memory, query = bank_of(150, 3), bank_of(20, 3)
    d = quadratic(memory) + RNG.normal(scale=0.1, size=(150, 2))
    at_once = fit_quadratic(memory, d)
    monkeypatch.setattr(beyond, "_BLOCK", 7)
    in_turn = fit_quadratic(memory, d)
    assert in_turn.rank == at_once.rank == 28
    np.testing.assert_allclose(in_turn.coefficients, at_once.coefficients, atol=1e-12)
    np.testing.assert_allclose(in_turn.predict(query), at_once.predict(query), atol=1e-12)


def test_what_the_bank_knows_nothing_of_stays():
    memory, query = bank_of(4000, 2), bank_of(500, 2)
    alone, own = RNG.normal(scale=0.1, size=(2, 4000, 2))
    fit = fit_quadratic(memory, quadratic(memory) + alone)
    own = own[:500]
    angle, strength = beyond_bank(fit, query, quadratic(query) + own)
    error = np.angle(np.exp(1j * (angle - np.arctan2(own[:, 1], own[:, 0]))))
    assert np.median(np.abs(error)) < 0.05
    assert strength == pytest.approx(np.hypot(*own.T), abs=0.05)
    # 15 terms take 15 / 4000 of the memory's own noise with them, and no more.
    rest = beyond_bank(fit, memory, quadratic(memory) + alone)[1]
    assert (rest**2).sum() / (alone**2).sum() == pytest.approx(1 - 15 / 4000, abs=3e-3)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 3), st.floats(1e-3, 1e3), st.floats(-1, 1))
def test_units_and_origins_of_a_map_change_nothing(of, scale, shift):
    rng = np.random.default_rng(6)
    memory, query = rng.normal(scale=0.1, size=(120, 2, 2)), rng.normal(scale=0.1, size=(10, 2, 2))
    d = quadratic(memory) + rng.normal(scale=0.1, size=(120, 2))
    before = fit_quadratic(memory, d).predict(query)
    for bank in (memory, query):
        bank[:, of % 2, of // 2] = bank[:, of % 2, of // 2] * scale + shift
    np.testing.assert_allclose(fit_quadratic(memory, d).predict(query), before, atol=1e-8)


def test_a_map_twice_or_without_energy_is_no_further_term():
    memory, query = bank_of(200, 2), bank_of(50, 2)
    d = quadratic(memory) + RNG.normal(scale=0.1, size=(200, 2))
    alone = fit_quadratic(memory, d)

    def wider(bank):
        return np.concatenate([bank, bank[:, :1], np.full((len(bank), 1, 2), np.nan)], axis=1)

    both = fit_quadratic(wider(memory), d)
    assert (alone.rank, both.rank) == (15, 15)
    np.testing.assert_allclose(both.predict(wider(query)), alone.predict(query), atol=1e-12)


def test_float32_rounding_between_two_maps_is_no_further_term():
    """Red and luminance of grey pictures are one map but for rounding."""
    memory, query = bank_of(300, 2), bank_of(50, 2)

    def twice(bank):
        rounded = bank[:, :1].astype(np.float32).astype(float)
        return np.concatenate([bank, rounded], axis=1)

    fit = fit_quadratic(twice(memory), memory[:, 0])
    assert fit.rank == 15
    angle, strength = beyond_bank(fit, twice(query), query[:, 0])
    assert 0 < strength.max() < fit.floor and np.isnan(angle).all()


def test_too_few_images_fit_nothing_rather_than_everything():
    terms = 15
    enough = bank_of(IMAGES_PER_TERM * terms, 2)
    assert fit_quadratic(enough, quadratic(enough)).rank == terms
    assert fit_quadratic(enough[1:], quadratic(enough[1:])) is None
    assert fit_quadratic(enough[:0], quadratic(enough[:0])) is None


def test_images_without_a_dipole_are_left_out():
    memory = bank_of(100, 1)
    d = np.concatenate([memory[:, 0], np.full((5, 2), np.nan)])
    fit = fit_quadratic(np.concatenate([memory, bank_of(5, 1)]), d)
    assert fit.n == 100
    np.testing.assert_allclose(fit.predict(memory), memory[:, 0], atol=1e-12)
    assert np.isnan(beyond_bank(fit, memory[:1], d[-1:])[0]).all()
