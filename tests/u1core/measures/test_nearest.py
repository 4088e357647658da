import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from u1core.measures import nearest as module
from u1core.measures.nearest import Tile, nearest, nearest_exactly, unit_circle

CORNERS = np.eye(3, dtype=np.float32)


def test_each_query_finds_the_corner_it_leans_to():
    found = nearest(np.array([[0.9, 0.1, 0.0], [0.0, 0.2, 5.0]], dtype=np.float32), [CORNERS], k=2)
    assert found.position.tolist() == [[0, 1], [2, 1]]
    assert found.similarity[1, 0] == pytest.approx(5 / np.hypot(5, 0.2))


def test_a_memory_smaller_than_k_gives_what_it_has():
    assert nearest(CORNERS, [CORNERS], k=20).position.shape == (3, 3)


def test_ties_go_to_the_earlier_image():
    twins = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    found = nearest(np.array([[1.0, 0.0]]), [twins[:2], twins[2:]], k=3)
    assert found.position.tolist() == [[0, 1, 2]]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 25))
def test_blocks_change_nothing_and_brute_force_agrees(seed, block, k):
    rng = np.random.default_rng(seed)
    queries, memory = rng.normal(size=(7, 5)), rng.normal(size=(60, 5))
    blocks = [memory[i : i + block] for i in range(0, 60, block)]
    cosine = (queries @ memory.T) / np.outer(np.linalg.norm(queries, axis=1), np.linalg.norm(memory, axis=1))
    expected = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
    found = nearest(queries, blocks, k)
    assert found.position.tolist() == expected.tolist()
    assert found.similarity == pytest.approx(np.take_along_axis(cosine, expected, 1))


def test_angles_wrap_around():
    found = nearest(unit_circle(np.array([3.1])), [unit_circle(np.array([0.0, 2.0, -3.1]))], k=1)
    assert found.position.item() == 2
    assert found.similarity.item() == pytest.approx(np.cos(2 * np.pi - 6.2))


def test_a_null_angle_is_like_nothing():
    found = nearest(unit_circle(np.array([np.nan])), [unit_circle(np.array([0.0, 2.0]))], k=2)
    assert found.similarity.tolist() == [[0, 0]]


@pytest.fixture(params=[np.float32, np.float64])
def dtype(request):
    return request.param


@pytest.fixture
def small_tiles(monkeypatch):
    """Many tiles of a few hundred images."""
    monkeypatch.setitem(module.TILES, "cpu", Tile(16, 256))


def brute_force(queries, memory, k):
    """Cosines in float64 and positions of the k nearest, ties to the earlier."""
    q, m = (v.astype(np.float64) / np.linalg.norm(v, axis=1, keepdims=True) for v in (queries, memory))
    order = np.argsort(-(q @ m.T), axis=1, kind="stable")[:, :k]
    return np.take_along_axis(q @ m.T, order, 1), order


@pytest.mark.parametrize("k", [1, 5, 20, 70])
@pytest.mark.parametrize("order", ["random", "rising", "falling"])
def test_many_tiles_agree_with_brute_force(small_tiles, dtype, k, order):
    rng = np.random.default_rng(1)
    queries, memory = (rng.normal(size=(n, 24)).astype(dtype) for n in (40, 3001))
    queries[:, 0] += 3  # what is like one of them is like all: the memory sorted by it rises for everyone
    if order != "random":
        memory = memory[np.argsort(memory[:, 0] * (1 if order == "rising" else -1))]
    similarity, position = brute_force(queries, memory, k)
    found = nearest(queries, [memory[:700], memory[700:]], k)
    assert found.similarity.dtype == dtype
    assert found.position.tolist() == position.tolist()
    assert found.similarity == pytest.approx(similarity, abs=1e-6)


def test_where_blocks_end_changes_no_bit(small_tiles, dtype):
    rng = np.random.default_rng(2)
    queries, memory = (rng.normal(size=(n, 48)).astype(dtype) for n in (33, 1500))
    whole = nearest(queries, [memory])
    cut = nearest(queries, np.split(memory, [1, 1, 200, 263, 264, 999]))
    assert np.array_equal(cut.position, whole.position)
    assert np.array_equal(cut.similarity, whole.similarity)


def test_more_ties_than_neighbours_go_to_the_earlier_images(small_tiles, dtype):
    memory = np.zeros((1000, 4), dtype=dtype)
    memory[:, 0] = 1
    memory[600:610, 1] = 0.5
    queries = np.array([[1, 0, 0, 0], [1, 0.5, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]], dtype=dtype)
    found = nearest(queries, [memory[:300], memory[300:]], k=20).position.tolist()
    first = list(range(20))
    assert found == [first, [*range(600, 610), *range(10)], first, first]


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 3000), st.integers(0, 2**32 - 1))
def test_equal_angles_tie_wherever_they_lie(images, seed):
    rng = np.random.default_rng(seed)
    angles = rng.uniform(-np.pi, np.pi, 9)
    memory = rng.integers(0, 9, images)
    found = nearest(unit_circle(angles), [unit_circle(angles[memory])], k=20).position
    order = np.argsort(-np.cos(angles[:, None] - angles).round(12), axis=1, kind="stable")
    for query, nearest_angles in enumerate(order):
        expected = np.concatenate([np.flatnonzero(memory == angle) for angle in nearest_angles])
        assert found[query].tolist() == expected[:20].tolist()


def test_what_is_not_finite_is_like_nothing(dtype):
    memory = np.array([[np.nan, 1], [1, 0], [np.inf, 0]], dtype=dtype)
    found = nearest(np.array([[1, 0], [np.nan, 0]], dtype=dtype), [memory], k=3)
    assert found.similarity.tolist() == [[1, 0, 0], [0, 0, 0]]
    assert found.position.tolist() == [[1, 0, 2], [0, 1, 2]]


def test_without_queries_or_memory_nothing_is_found(dtype):
    some, none = np.ones((3, 2), dtype=dtype), np.ones((0, 2), dtype=dtype)
    assert nearest(none, [some], k=2).position.shape == (0, 2)
    assert nearest(some, [none], k=2).position.shape == (3, 0)
    assert nearest(some, [], k=2).position.shape == (3, 0)


# -- numbers at the edges ------------------------------------------------------------------------------------


def cosines(queries, memory):
    """Brute force in float64."""
    q, m = (
        v.astype(float) / np.linalg.norm(v.astype(float), axis=1, keepdims=True) for v in (queries, memory)
    )
    return q @ m.T


SCALES = st.integers(-100, 100).map(lambda exponent: np.float32(2.0**exponent))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), SCALES, SCALES)
def test_a_power_of_two_changes_no_neighbour(seed, of_queries, of_memory):
    rng = np.random.default_rng(seed)
    queries, memory = (rng.normal(size=(n, 8)).astype(np.float32) for n in (7, 60))
    plain = nearest(queries, [memory], k=5)
    scaled = nearest(queries * of_queries, [memory * of_memory], k=5)
    assert scaled.position.tolist() == plain.position.tolist()
    assert scaled.similarity.tolist() == plain.similarity.tolist()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(-30, 30), st.floats(-30, 30), st.floats(-6, 0))
def test_neighbours_are_those_of_float64_at_any_scale(seed, of_queries, of_memory, spread):
    rng = np.random.default_rng(seed)
    # Positive and close to each other, as pooled activations are: cosines near 1.
    queries, memory = (1 + 10**spread * rng.normal(size=(n, 16)) for n in (20, 200))
    queries = (queries * 10**of_queries).astype(np.float32)
    memory = (memory * 10**of_memory).astype(np.float32)
    found = nearest_exactly(queries, lambda: [memory[:77], memory[77:]], k=5)
    expected = cosines(queries, memory)
    best = -np.sort(-expected, axis=1)[:, :5]
    assert found.similarity == pytest.approx(best, abs=1e-14 if spread > -2 else 4e-7)
    assert found.similarity == pytest.approx(np.take_along_axis(expected, found.position, 1), abs=1e-14)


def test_float32_exchanges_neighbours_that_float64_keeps():
    rng = np.random.default_rng(0)
    queries, memory = (1 + 0.01 * rng.normal(size=(n, 64)) for n in (500, 500))
    first = cosines(queries, memory).argmax(axis=1)
    single = nearest(queries.astype(np.float32), [memory.astype(np.float32)], k=1).position[:, 0]
    assert (single != first).any()
    assert nearest_exactly(queries, lambda: [memory], k=1).position[:, 0].tolist() == first.tolist()


@pytest.mark.parametrize("odd", [0.0, np.nan, np.inf])
def test_what_has_no_direction_is_like_nothing(odd):
    queries = np.array([[odd, 0.0, 0.0], [0.0, 1e-45, 0.0]], dtype=np.float32)
    found = nearest_exactly(queries, lambda: [CORNERS], k=2)
    assert found.similarity.tolist() == [[0, 0], [1, 0]]
    assert found.position.tolist() == [[0, 1], [1, 0]]
    assert nearest(queries, [CORNERS], k=2).similarity.tolist() == [[0, 0], [1, 0]]
