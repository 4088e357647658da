"""Near-duplicates by their pixels: what is the same picture to the eye, and what is not."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from u1core.images import alike
from u1core.images.alike import find_alike, spectrum
from u1core.images.cache import Images


def noise(n, seed, side=32, colours=3):
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, colours), dtype=np.uint8)


def pictures(pixels, is_query, fingerprint="f"):
    n = len(pixels)
    return Images(
        pixels, np.arange(n) % 2, np.asarray(is_query), np.arange(100, 100 + n), ("a", "b"), fingerprint
    )


@pytest.fixture
def images():
    """20 pictures of noise in memory; queries: the third darker and flatter, the fifth mirrored, others."""
    memory, others = noise(20, 0), noise(5, 1)
    darker = (memory[3] // 2 + 10)[None]
    mirrored = memory[5][None, :, ::-1]
    return pictures(np.concatenate([memory, darker, mirrored, others]), [False] * 20 + [True] * 7)


def test_a_copy_is_found_whatever_its_brightness_and_its_mirror_is_the_control(images):
    found = find_alike(images, np.arange(27))
    np.testing.assert_array_equal(found.query, np.arange(20, 27))
    assert found.memory[0] == 3
    assert found.likeness[0] > 0.999
    assert found.likeness[1:].max() < 0.6
    assert found.mirrored[1] == pytest.approx(1, abs=1e-6)
    assert np.delete(found.mirrored, 1).max() < 0.6


def test_positions_choose_who_is_asked_and_in_which_memory(images):
    found = find_alike(images, np.array([1, 4, 20, 26]))
    np.testing.assert_array_equal(found.query, [20, 26])
    assert set(found.memory) <= {1, 4}
    assert found.likeness.max() < 0.6


@given(st.integers(0, 50), st.floats(0.3, 0.8), st.integers(0, 40), st.sampled_from([8, 28, 32, 33]))
def test_likeness_does_not_know_brightness_and_contrast(seed, contrast, brightness, side):
    one = noise(1, seed, side, 1)
    other = (contrast * one + brightness).astype(np.uint8)
    a, b = spectrum(one).ravel(), spectrum(other).ravel()
    assert a @ b / np.sqrt((a @ a) * (b @ b)) > 0.99


def test_two_horizons_are_not_one_picture():
    """Their plain correlation is above 0.95: sky above, sea below. What stands before it differs."""
    horizon = np.zeros((2, 32, 32, 1), np.uint8)
    horizon[:, :16] = 200
    horizon[0, 14:20, 4:10], horizon[1, 14:20, 22:28] = 20, 20
    small = horizon.reshape(2, 8, 4, 8, 4).mean((2, 4)).reshape(2, -1)
    assert np.corrcoef(small)[0, 1] > 0.9
    a, b = spectrum(horizon).reshape(2, -1)
    assert a @ b / np.sqrt((a @ a) * (b @ b)) < 0.9


def test_flat_pictures_are_like_nothing():
    flat = np.full((4, 8, 8, 1), 77, np.uint8)
    found = find_alike(pictures(flat, [False, False, True, True]), np.arange(4))
    np.testing.assert_array_equal(found.likeness, 0)


def test_nobody_looks_where_it_would_take_too_long_or_be_nothing(images, monkeypatch):
    assert find_alike(dataclasses.replace(images, pixels=None), np.arange(27)) is None
    assert find_alike(images, np.arange(20)) is None
    monkeypatch.setattr(alike, "MOST_PAIRS", 139)
    assert find_alike(images, np.arange(27)) is None
    assert find_alike(images, np.arange(1, 27)) is not None  # 19 x 7 pairs


def test_cells_of_one_selection_share_the_search(images):
    first = find_alike(images, np.arange(27))
    assert find_alike(dataclasses.replace(images), np.arange(27)) is first
    held_out = dataclasses.replace(images, is_query=~images.is_query)
    assert len(find_alike(held_out, np.arange(27)).query) == 20
    other = dataclasses.replace(images, fingerprint="g")
    assert find_alike(other, np.arange(27)) is not first
