import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from u1core.memory import nearest, unit_circle

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
