"""Other frames, one class left out, and its null: exact against a refit from images; size and power."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from u1core.measures import planes
from u1core.measures.frames import CoMoments, feature_plane, fit_frame, image_plane
from u1core.measures.planes import (
    ClassMoments,
    class_permutations,
    classes_to_test,
    cross,
    halves,
    nearest_on_circle,
    nearest_orthonormal,
    principal_plane,
    random_planes,
    turned,
)

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))
from planes_null import World, intervals, share_as_high

sys.path.pop()


def refitted(world, positions, kept):
    """A and J of both crossings over some classes, (2, 2), dipoles permuted image by image: the slow way."""

    def moved(label, chroma, dipole):
        means = np.stack([dipole[label == c].mean(axis=0) for c in range(world.classes)])
        return label, chroma, dipole - means[label] + means[positions][label]

    label, chroma, dipole = moved(*world.memory)
    asked = [moved(*(values[world.half == half] for values in world.query)) for half in (0, 1)]
    cosines, joint = [], []
    for c in kept:
        fitted = np.isin(label, kept) & (label != c)
        frame = fit_frame(CoMoments.of(chroma[fitted], dipole[fitted]))
        image = [np.exp(1j * image_plane(frame, d[of == c])[0]).mean() for of, _, d in asked]
        feature = [np.exp(1j * feature_plane(frame, h[of == c])[0]).mean() for of, h, _ in asked]
        crossings = list(zip(image, reversed(feature), strict=True))
        cosines.append([np.cos(np.angle(i) - np.angle(f)) for i, f in crossings])
        joint.append([(i.conj() * f).real for i, f in crossings])
    return np.mean([cosines, joint], axis=1)


@given(
    st.integers(0, 10**6),
    st.integers(4, 7),
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
    loco, every = world.leave_one_out(positions), np.arange(classes)
    # One crossing has the permutation, the other its inverse.
    first, second = (
        np.array([refitted(world, order, every)[:, crossing] for order in orders]).T
        for crossing, orders in enumerate((positions, np.argsort(positions, axis=1)))
    )
    without = np.array([refitted(world, every, np.delete(every, j)).mean(axis=1) for j in every]).T
    for found, slow in zip(loco.result(), (first + second) / 2, strict=True):
        assert found == pytest.approx(slow, abs=1e-10)
    for error, slow in zip(loco.standard_errors(), without, strict=True):
        assert error == pytest.approx(np.sqrt((classes - 1) * slow.var()), abs=1e-9)


def test_many_classes_are_left_out_in_groups(monkeypatch):
    monkeypatch.setattr(planes, "GROUPS", 3)
    world, every = World.of(0, {"classes": 8, "channels": 5, "counts": (6, 7)}), np.arange(8)
    groups = [[0, 3, 6], [1, 4, 7], [2, 5]]
    without = np.array([refitted(world, every, np.delete(every, g)).mean(axis=1) for g in groups]).T
    for error, slow in zip(world.leave_one_out(every[None]).standard_errors(), without, strict=True):
        assert error == pytest.approx(np.sqrt(2 / 3 * ((slow - slow.mean()) ** 2).sum()), abs=1e-10)


def test_a_t_interval_over_classes_holds_the_mean_over_worlds():
    # The deviation of the classes' values over sqrt(K) gives 0.75 to 0.83: they share their fits.
    worlds = [World.of(seed, {"coupling": 0.3, "channels": 16, "counts": (12, 13)}) for seed in range(100)]
    for _, _, coverage in intervals(worlds, shared=False).values():
        assert coverage == pytest.approx(0.95, abs=0.06)


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


def found_shares(worlds, *, shared=False):
    """Share of worlds in which A, and J, of classes left out has p <= 0.05."""
    positions = class_permutations(worlds[0].classes, 59)
    results = [world.leave_one_out(positions, shared=shared).result() for world in worlds]
    return [np.mean([share_as_high(draws) <= 0.05 for draws in both]) for both in zip(*results, strict=True)]


@pytest.mark.parametrize("design", [{}, {"within": 1.0}, {"within": 3.0, "spread": 0.1}])
def test_no_coupling_of_classes_is_found_as_often_as_chance_says(design):
    # 100 worlds: 3.3 standard errors about 0.05. Images of a class may be coupled: that is no agreement.
    worlds = [World.of(seed, {"counts": (12, 13), "channels": 8} | design) for seed in range(100)]
    for share in found_shares(worlds):
        assert share == pytest.approx(0.05, abs=0.072)


def test_images_own_coupling_would_be_found_if_both_planes_asked_the_same_ones():
    # Why classes are halved: here classes do not differ at all, and yet nearly every world is found.
    worlds = [
        World.of(seed, {"counts": (12, 13), "channels": 8, "within": 3.0, "spread": 0.0})
        for seed in range(25)
    ]
    assert min(found_shares(worlds, shared=True)) > 0.8
    assert max(found_shares(worlds)) < 0.25


def test_coupled_classes_are_found():
    worlds = [World.of(seed, {"counts": (12, 13), "channels": 8, "coupling": 0.9}) for seed in range(30)]
    assert min(found_shares(worlds)) > 0.8


@given(st.integers(1, 40))
def test_halves_of_any_first_images_are_of_one_size_and_stay_as_they_are(n):
    half = halves(np.arange(n))
    assert abs((half == 0).sum() - (half == 1).sum()) <= 1
    assert (half == halves(np.arange(40))[:n]).all()


def test_what_alternates_in_files_falls_into_both_halves():
    half = halves(np.arange(20_000))
    # 10,000 pairs, 3.3 standard errors: pictures and their mirror images, say, taking turns.
    assert half[::2].mean() == pytest.approx(0.5, abs=0.017)


def test_the_coupled_frame_agrees_where_nothing_is_coupled_and_one_class_left_out_does_not():
    # Why the frame is refitted, and why without the class: with as many channels as classes any means fit.
    worlds = [World.of(seed, {"counts": (12, 13), "spread": 2.0}) for seed in range(20)]
    coupled, left_out = [], []
    for world in worlds:
        frame = fit_frame(CoMoments.of(*world.memory[1:]))
        image, feature = world.resultants(frame.axes[None])
        coupled.append(cross(image, feature).agreement[0])
        left_out.append(world.leave_one_out(np.arange(10)[None]).result().agreement[0])
    assert np.median(coupled) > 0.5
    assert abs(np.median(left_out)) < 0.25


def test_frames_are_orthonormal_and_planes_keep_their_span_when_turned():
    comoment = np.random.default_rng(0).normal(size=(6, 2))
    drawn = random_planes(6, 4)
    assert drawn.sum(axis=1) == pytest.approx(0, abs=1e-12)  # orthogonal to the medial vector
    frames = turned(drawn, comoment)
    for plane, frame in zip(drawn, frames, strict=True):
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
        ([5] * 5, [[3] * 5, [2] * 5], 5),
        ([5] * 4, [[50] * 4, [50] * 4], 0),
        ([4, 5, 5, 5, 5], [[3] * 5, [3] * 5], 0),
        ([5] * 5, [[3] * 5, [1, 2, 2, 2, 2]], 0),
        ([5] * 5, [[9] * 5, [0, 2, 2, 2, 2]], 0),
        ([0, 5, 5, 5, 5, 5], [[1, 3, 3, 3, 3, 3], [0, 2, 2, 2, 2, 2]], 0),
        ([0, 5, 5, 5, 5, 5], [[0, 3, 3, 3, 3, 3], [0, 2, 2, 2, 2, 2]], 5),
    ],
)
def test_few_classes_or_images_are_not_tested(memory, query, expected):
    assert len(classes_to_test(np.array(memory), np.array(query))) == expected
