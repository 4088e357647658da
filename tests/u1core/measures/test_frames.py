import math

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes, polar

from u1core.measures.frames import CoMoments, direction, feature_plane, fit_frame, image_plane


@pytest.fixture
def images():
    rng = np.random.default_rng(7)
    chroma = rng.normal(size=(200, 6))
    dipole = chroma[:, :2] * 0.3 + rng.normal(size=(200, 2)) * 0.05 + [0.1, -0.2]
    return chroma, dipole


def test_comoments_equal_numpys_covariance(images):
    chroma, dipole = images
    m = CoMoments.of(chroma, dipole)
    expected = np.cov(chroma.T, dipole.T, bias=True)[:6, 6:]
    assert m.comoment / m.n == pytest.approx(expected, abs=1e-12)
    assert m.mean_dipole == pytest.approx(dipole.mean(axis=0))


@pytest.mark.parametrize("cuts", [[100], [1, 2, 3], [0, 50, 50, 199]])
def test_merging_does_not_depend_on_the_cuts(images, cuts):
    chroma, dipole = images
    whole = CoMoments.of(chroma, dipole)
    pieces = [CoMoments.of(h, d) for h, d in zip(np.split(chroma, cuts), np.split(dipole, cuts), strict=True)]
    merged = pieces[0]
    for piece in pieces[1:]:
        merged = merged.merge(piece)
    assert merged.n == whole.n
    assert merged.comoment == pytest.approx(whole.comoment, abs=1e-12)
    assert fit_frame(merged).axes == pytest.approx(fit_frame(whole).axes, abs=1e-12)


def test_images_without_direction_are_left_out():
    chroma, dipole = np.array([[np.nan, 1.0], [1.0, -1.0]]), np.array([[0.0, 0.0], [0.5, 0.5]])
    assert CoMoments.of(chroma, dipole).n == 1
    assert CoMoments.of(chroma[:1], dipole[:1]).n == 0


def test_axes_are_the_orthonormal_factor_of_k(images):
    frame = fit_frame(CoMoments.of(*images))
    K = CoMoments.of(*images).comoment / 200
    assert frame.axes.T @ frame.axes == pytest.approx(np.eye(2), abs=1e-12)
    # scipy's polar decomposition gives the same nearest orthonormal frame.
    assert frame.axes == pytest.approx(polar(K)[0], abs=1e-10)
    # Among orthonormal frames in the span it maximises trace(Q^T K) = sum of the singular values.
    assert np.trace(frame.axes.T @ K) == pytest.approx(frame.couplings.sum())
    _, scale = orthogonal_procrustes(frame.axes, K)
    assert scale == pytest.approx(frame.couplings.sum())


def test_theta_is_one_angle_in_two_places():
    # Chroma that simply carries the dipole in its first two channels: both planes see the same angle.
    angle = np.linspace(-3, 3, 50)
    dipole = np.stack([np.cos(angle), np.sin(angle)], axis=1) * 0.2
    chroma = np.concatenate([dipole, np.zeros((50, 2))], axis=1)
    frame = fit_frame(CoMoments.of(chroma, dipole))
    theta_image, strength = image_plane(frame, dipole)
    theta_feature, _ = feature_plane(frame, chroma)
    assert theta_feature == pytest.approx(theta_image, abs=1e-9)
    assert strength == pytest.approx(np.hypot(*(dipole - dipole.mean(axis=0)).T))


def test_one_channel_has_no_feature_plane():
    frame = fit_frame(CoMoments.of(np.zeros((9, 1)), np.random.default_rng(0).normal(size=(9, 2))))
    assert frame.axes is None
    assert np.isnan(feature_plane(frame, np.zeros((9, 1)))[0]).all()


def test_direction_is_half_open_and_null_at_the_origin():
    theta, strength = direction(np.array([[-1.0, -0.0], [0.0, 0.0], [0.0, 2.0]]))
    assert theta[0] == math.pi
    assert math.isnan(theta[1])
    assert theta[2] == pytest.approx(math.pi / 2)
    assert strength.tolist() == [1, 0, 2]
