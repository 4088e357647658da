"""Other frames, one class left out, and its null: exact against a refit from images; size and power."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from u1core.measures.frames import CoMoments, feature_plane, fit_frame, image_plane
from u1core.measures.planes import (
    ClassMoments,
    agree,
    class_permutations,
    classes_to_test,
    nearest_on_circle,
    nearest_orthonormal,
    principal_plane,
    random_planes,
    turned,
)

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))
from planes_null import World, share_as_high

sys.path.pop()


def refitted(world, positions):
    """A and J with the mean dipoles permuted image by image and every frame fitted anew: the slow way."""

    def moved(label, chroma, dipole):
        means = np.stack([dipole[label == c].mean(axis=0) for c in range(world.classes)])
        return label, chroma, dipole - means[label] + means[positions][label]

    (label, chroma, dipole), (asked, h, d) = moved(*world.memory), moved(*world.query)
    cosines, joint = [], []
    for c in range(world.classes):
        frame = fit_frame(CoMoments.of(chroma[label != c], dipole[label != c]))
        image = np.exp(1j * image_plane(frame, d[asked == c])[0]).mean()
        feature = np.exp(1j * feature_plane(frame, h[asked == c])[0]).mean()
        cosines.append(np.cos(np.angle(image) - np.angle(feature)))
        joint.append((image.conj() * feature).real)
    return np.mean(cosines), np.mean(joint)


@given(
    st.integers(0, 10**6),
    st.integers(3, 8),
    st.integers(3, 12),
    st.booleans(),
    st.floats(0, 0.9),
    st.floats(0, 2),
)
@settings(max_examples=25, deadline=None)
def test_every_draw_is_a_refit_from_images(seed, classes, channels, is_balanced, coupling, within):
    def counts(rng):
        return np.full(classes, 6) if is_balanced else rng.integers(2, 9, classes)

    world = World(seed, classes, channels, counts, coupling=coupling, within=within)
    positions = class_permutations(classes, 4, seed)
    found = world.leave_one_out(positions)
    expected = np.array([refitted(world, order) for order in positions]).T
    assert found.agreement == pytest.approx(expected[0], abs=1e-10)
    assert found.joint == pytest.approx(expected[1], abs=1e-10)


def test_moments_do_not_depend_on_the_cuts():
    world = World(1, 5, 4, lambda rng: rng.integers(0, 9, 5), within=1.0)
    whole = ClassMoments.of(*world.memory, 5)
    cut = [
        ClassMoments.of(*part, 5) for part in zip(*(np.array_split(v, 4) for v in world.memory), strict=True)
    ]
    merged = cut[0].merge(cut[1]).merge(cut[2].merge(cut[3]))
    for name, values in vars(whole).items():
        assert getattr(merged, name) == pytest.approx(values, abs=1e-12), name
    # Within and between classes add up to the co-moment of all images.
    total = whole.within + whole.between(np.arange(5)[None])[0]
    assert total == pytest.approx(CoMoments.of(*world.memory[1:]).comoment, abs=1e-10)


def test_all_permutations_or_as_many_as_are_asked_for():
    assert len(np.unique(class_permutations(7), axis=0)) == 5040
    drawn = class_permutations(20, 50)
    assert (drawn[0] == np.arange(20)).all()
    assert (np.sort(drawn, axis=1) == np.arange(20)).all()
    assert len(drawn) == 51 == len(np.unique(drawn, axis=0))
    assert (class_permutations(20, 50) == drawn).all()


def p_value(world, draws):
    """p of A, of classes left out."""
    return share_as_high(world.leave_one_out(class_permutations(world.classes, draws)).agreement)


@pytest.mark.parametrize("within", [0.0, 1.0])
def test_no_coupling_of_classes_is_found_as_often_as_chance_says(within):
    # 200 worlds: 3.3 standard errors about 0.05. Images of a class may be coupled: that is no agreement.
    worlds = [World(seed, 10, 8, lambda rng: np.full(10, 12), within=within) for seed in range(200)]
    assert np.mean([p_value(world, 99) <= 0.05 for world in worlds]) == pytest.approx(0.05, abs=0.05)


def test_coupled_classes_are_found():
    worlds = [World(seed, 10, 8, lambda rng: np.full(10, 12), coupling=0.9) for seed in range(30)]
    assert np.mean([p_value(world, 99) <= 0.05 for world in worlds]) > 0.8


def test_the_coupled_frame_agrees_where_nothing_is_coupled_and_one_class_left_out_does_not():
    # Why the frame is refitted, and why without the class: with as many channels as classes any means fit.
    worlds = [World(seed, 10, 64, lambda rng: np.full(10, 12), spread=2.0) for seed in range(20)]
    coupled, left_out = [], []
    for world in worlds:
        frame = fit_frame(CoMoments.of(*world.memory[1:]))
        image, feature = world.resultants(frame.axes[None])
        coupled.append(agree(image, feature).agreement[0])
        left_out.append(world.leave_one_out(np.arange(10)[None]).agreement[0])
    assert np.median(coupled) > 0.7
    assert abs(np.median(left_out)) < 0.4


def test_frames_are_orthonormal_and_planes_keep_their_span_when_turned():
    comoment = np.random.default_rng(0).normal(size=(6, 2))
    planes = random_planes(6, 4)
    assert planes.sum(axis=1) == pytest.approx(0, abs=1e-12)  # orthogonal to the medial vector
    frames = turned(planes, comoment)
    for plane, frame in zip(planes, frames, strict=True):
        assert frame.T @ frame == pytest.approx(np.eye(2), abs=1e-12)
        assert frame @ frame.T == pytest.approx(plane @ plane.T, abs=1e-12)
        # No other turn within the plane follows the co-moment better (Schoenemann 1966).
        angle = np.linspace(0, 2 * np.pi, 50)
        turns = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
        others = [
            np.trace((plane @ t @ m).T @ comoment) for t in turns for m in (np.eye(2), np.diag([1, -1]))
        ]
        assert np.trace(frame.T @ comoment) >= max(others) - 1e-9
    assert nearest_orthonormal(frames) == pytest.approx(frames, abs=1e-12)


def test_the_principal_plane_holds_the_largest_variance():
    assert np.abs(principal_plane(np.diag([1.0, 9.0, 4.0]))).round(9).tolist() == [[0, 0], [1, 0], [0, 1]]


@given(st.lists(st.integers(-12, 12), min_size=1, max_size=30), st.lists(st.integers(-12, 12), min_size=1))
def test_the_nearest_angle_is_that_of_a_full_search(stored, asked):
    stored, asked = (np.array(quarters) / 4 for quarters in (stored, asked))  # ties are exact
    cosines = np.cos(asked[:, None] - stored)
    assert nearest_on_circle(asked, stored).tolist() == cosines.argmax(axis=1).tolist()


def test_an_angle_that_is_none_is_nearest_to_nothing():
    stored = np.array([np.nan, 1.0, 2.0])
    assert nearest_on_circle(np.array([0.0, 3.0, np.nan]), stored).tolist() == [1, 2, 0]
    assert nearest_on_circle(np.array([0.0]), np.array([np.nan])).tolist() == [0]


@pytest.mark.parametrize(
    ("memory", "query", "expected"),
    [
        ([5] * 5, [5] * 5, 5),
        ([5] * 4, [50] * 4, 0),
        ([4, 5, 5, 5, 5], [5] * 5, 0),
        ([0, 5, 5, 5, 5, 5], [1, 5, 5, 5, 5, 5], 0),
        ([0, 5, 5, 5, 5, 5], [0, 5, 5, 5, 5, 5], 5),
    ],
)
def test_few_classes_or_images_are_not_tested(memory, query, expected):
    assert len(classes_to_test(np.array(memory), np.array(query))) == expected
