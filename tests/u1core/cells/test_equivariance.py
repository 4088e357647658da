"""What turning, mirroring, scaling and shuffling activations must do to every angle and measure.

Shapes: B images, N channels, H = W pixels. `np.rot90` turns counter-clockwise as one looks at the picture.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from u1core.measures import medial
from u1core.measures.frames import CoMoments, feature_plane, fit_frame, image_plane
from u1core.measures.reduce import reduce_layer

TURNS = {1: 1j, 2: -1, 3: -1j}
MEASURES = ("ee50_radius", "ee80_radius", "centre_density_ratio", "anisotropy")

# Values whose squares neither vanish nor overflow in float32, and nothing.
brightness = st.just(0.0) | st.floats(2**-13, 2**13, width=32)


@st.composite
def activations(draw, images=1):
    """Non-negative activations (images, N, S, S), no image all dark."""
    channels, size = draw(st.integers(1, 6)), draw(st.integers(2, 9))
    A = draw(arrays(np.float32, (images, channels, size, size), elements=brightness))
    assume((A.max(axis=(1, 2, 3)) > 0).all())
    return A


def measured(A):
    """Raw dipoles (B,) as complex numbers, polar angles (B,), chroma (B, N) and the rest by name."""
    reduced = reduce_layer(torch.from_numpy(np.ascontiguousarray(A)))
    parts = medial.decompose(reduced.pooled)
    dipole = reduced.focus["dipole_x"] + 1j * reduced.focus["dipole_y"]
    return dipole, parts.polar_angle_rad, parts.chroma, reduced.focus


def turned(found, expected, tolerance=1e-6):
    """Assert that directions agree to `tolerance` in radians; what has no direction has none in both."""
    strong = np.abs(expected) > 1e-6
    assert np.abs(found - expected).max() < 1e-6
    assert (np.abs(np.angle(found[strong] / expected[strong])) < tolerance).all()


@given(activations(), st.sampled_from(list(TURNS)))
def test_turning_turns_the_raw_dipole(A, quarters):
    before, after = measured(A), measured(np.rot90(A, quarters, axes=(2, 3)))
    turned(after[0], before[0] * TURNS[quarters])
    assert after[1] == pytest.approx(before[1], abs=1e-6)
    for name in ("centre_density_ratio", "anisotropy"):
        assert after[3][name] == pytest.approx(before[3][name], rel=1e-6, abs=1e-9, nan_ok=True)


@given(activations(), st.sampled_from(list(TURNS)))
def test_turning_turns_the_quadrupole_twice_and_leaves_radii(A, quarters):
    # Light everywhere: with dark rings the radius of half the energy may be any of a range.
    A = np.maximum(A, 1)
    before, after = measured(A)[3], measured(np.rot90(A, quarters, axes=(2, 3)))[3]
    quadrupole = [m["quadrupole_x"] + 1j * m["quadrupole_y"] for m in (before, after)]
    turned(quadrupole[1], quadrupole[0] * TURNS[quarters] ** 2)
    for name in ("ee50_radius", "ee80_radius"):
        assert after[name] == pytest.approx(before[name], abs=1e-6)


@given(activations())
def test_mirroring_mirrors_the_raw_dipole(A):
    left_right, up_down = measured(A[..., ::-1]), measured(A[:, :, ::-1])
    before = measured(A)
    turned(left_right[0], -before[0].conj())
    turned(up_down[0], before[0].conj())
    assert left_right[1] == pytest.approx(before[1], abs=1e-6)


@given(activations(), st.integers(-20, 20))
def test_scaling_leaves_every_angle_and_measure(A, power):
    # A power of two only moves exponents, so nothing may change, not by one bit.
    A = np.clip(A, 0, 100)
    before, after = measured(A), measured(A * np.float32(2.0**power))
    assert after[0].tobytes() == before[0].tobytes()
    assert after[1].tobytes() == before[1].tobytes()
    for name in MEASURES:
        assert after[3][name].tobytes() == before[3][name].tobytes()
    assert after[3]["energy_total"] == before[3]["energy_total"] * 4.0**power


@given(activations(), st.floats(1e-3, 1e3))
def test_scaling_by_any_factor_leaves_every_angle(A, factor):
    before, after = measured(A), measured((A * factor).astype(np.float32))
    assert after[0] == pytest.approx(before[0], abs=1e-6)
    assert after[1] == pytest.approx(before[1], abs=1e-6)
    assert after[3]["centre_density_ratio"] == pytest.approx(before[3]["centre_density_ratio"], abs=1e-5)


@given(activations(), st.randoms(use_true_random=False))
def test_shuffling_channels_leaves_dipole_and_polar_angle(A, random):
    order = random.sample(range(A.shape[1]), A.shape[1])
    before, after = measured(A), measured(A[:, order])
    assert after[0] == pytest.approx(before[0], abs=1e-6)
    assert after[1] == pytest.approx(before[1], abs=1e-6)
    assert after[2] == pytest.approx(before[2][:, order], abs=1e-6)


@given(activations())
def test_the_polar_angle_stays_in_the_orthant(A):
    _, polar, chroma, _ = measured(A)
    assert 0 <= polar[0] <= math.acos(1 / math.sqrt(A.shape[1])) + 1e-9
    # h has no axial part, and its length is the sine of the polar angle.
    assert chroma.sum() == pytest.approx(0, abs=1e-6)
    assert np.linalg.norm(chroma) == pytest.approx(math.sin(polar[0]), abs=1e-9)


@given(activations())
def test_energy_lies_inside_the_image(A):
    dipole, _, _, focus = measured(A)
    assert abs(dipole[0].real) <= 1 and abs(dipole[0].imag) <= 1
    assert 0 < focus["ee50_radius"][0] <= focus["ee80_radius"][0] <= math.sqrt(2)
    assert np.isnan(focus["anisotropy"][0]) or 0 <= focus["anisotropy"][0] <= 1 + 1e-9


# -- the coupled frame ------------------------------------------------------------------------------------


@st.composite
def populations(draw):
    """Activations (B, N, S, S) of images whose chroma and dipole co-vary in both directions."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    images, channels, size = draw(st.integers(8, 40)), draw(st.integers(3, 8)), draw(st.integers(3, 8))
    return rng.gamma(draw(st.sampled_from([0.3, 1.0])), size=(images, channels, size, size))


def thetas(A):
    """Vectors whose arguments are theta_image and theta_feature, (B,) each, and the couplings.

    In float64, so that what is tested is the frame and not the rounding of activations.
    """
    E = np.square(A).sum(axis=1)
    x, y = (2 * np.arange(A.shape[3]) + 1) / A.shape[3] - 1, 1 - (2 * np.arange(A.shape[2]) + 1) / A.shape[2]
    total = E.sum(axis=(1, 2))
    dipole = np.stack([(E * x).sum(axis=(1, 2)) / total, (E * y[:, None]).sum(axis=(1, 2)) / total], axis=1)
    chroma = medial.decompose(A.mean(axis=(2, 3))).chroma
    frame = fit_frame(CoMoments.of(chroma, dipole))
    planes = image_plane(frame, dipole), feature_plane(frame, chroma)
    image, feature = (strength * np.exp(1j * theta) for theta, strength in planes)
    return image, feature, frame.couplings


def covariant(A, changed, transform):
    """Assert that theta of both planes transforms, wherever the data determine a frame."""
    image, feature, couplings = thetas(A)
    # The frame turns with K's smaller coupling: near 0 any direction is as good as another.
    assume(couplings[1] > 1e-2 * couplings[0])
    image_after, feature_after, couplings_after = thetas(changed)
    turned(image_after, transform(image))
    turned(feature_after, transform(feature))
    assert couplings_after == pytest.approx(couplings, rel=1e-9)


@settings(max_examples=50)
@given(populations(), st.sampled_from(list(TURNS)))
def test_turning_all_images_turns_both_planes(A, quarters):
    covariant(A, np.rot90(A, quarters, axes=(2, 3)), lambda z: z * TURNS[quarters])


@settings(max_examples=50)
@given(populations())
def test_mirroring_all_images_mirrors_both_planes(A):
    # hflip: pi - theta.
    covariant(A, A[..., ::-1], lambda z: -z.conj())


@settings(max_examples=50)
@given(populations(), st.floats(1e-3, 1e3))
def test_scaling_all_images_leaves_both_planes(A, factor):
    covariant(A, A * factor, lambda z: z)


@settings(max_examples=50)
@given(populations(), st.randoms(use_true_random=False))
def test_shuffling_channels_leaves_both_planes(A, random):
    covariant(A, A[:, random.sample(range(A.shape[1]), A.shape[1])], lambda z: z)


@settings(max_examples=50)
@given(populations(), st.randoms(use_true_random=False))
def test_the_order_of_images_leaves_both_planes(A, random):
    order = random.sample(range(len(A)), len(A))
    image, feature, couplings = thetas(A)
    assume(couplings[1] > 1e-2 * couplings[0])
    shuffled = thetas(A[order])
    turned(shuffled[0], image[order])
    turned(shuffled[1], feature[order])
