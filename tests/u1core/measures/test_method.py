"""The worked image of docs/method.md, by the library."""

import math

import numpy as np
import pytest
import torch

from u1core.measures import medial, optics
from u1core.measures.frames import Frame, feature_plane, image_plane


def test_the_image_worked_by_hand():
    activations = torch.zeros(1, 3, 2, 2)
    activations[0, 0, 0, 1], activations[0, 1, 0, 1] = 2, 1
    focus = optics.focus(optics.energy(activations)).numpy()
    parts = medial.decompose(activations.mean(dim=(2, 3)).numpy())
    Q = np.array([[1, -1, 0] / np.sqrt(2), [1, 1, -2] / np.sqrt(6)]).T
    frame = Frame(1, np.zeros(3), np.zeros(2), Q, np.zeros(2))
    dipole = np.stack([focus["dipole_x"], focus["dipole_y"]], axis=1)
    assert dipole == pytest.approx(np.array([[0.5, 0.5]]))
    theta_image, strength = image_plane(frame, dipole)
    assert (math.degrees(theta_image[0]), strength[0]) == pytest.approx((45, 0.7071), abs=1e-4)
    assert (parts.axial[0], parts.norm[0]) == pytest.approx((0.4330, 0.5590), abs=1e-4)
    assert math.degrees(parts.polar_angle_rad[0]) == pytest.approx(39.2, abs=0.05)
    assert parts.chroma[0] == pytest.approx([0.4472, 0, -0.4472], abs=1e-4)
    theta_feature, _ = feature_plane(frame, parts.chroma)
    assert math.degrees(theta_feature[0]) == pytest.approx(60)
