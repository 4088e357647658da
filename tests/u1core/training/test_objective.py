"""The losses on points, and where points are read."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from u1core.training.objective import Centre, PlaneHead, circle_loss, nearest_angle, plane_loss

angles = st.floats(-math.pi, math.pi)


def point(angle_rad):
    return torch.tensor([[math.cos(angle_rad), math.sin(angle_rad)]], dtype=torch.float64)


@given(angles, angles, st.floats(0.1, 10))
def test_the_circle_loss_is_one_minus_the_cosine_whatever_the_length(seen, planned, length):
    loss = circle_loss(length * point(seen), point(planned))
    assert loss.item() == pytest.approx(1 - math.cos(seen - planned), abs=1e-12)
    half_chord = (point(seen) - point(planned)).square().sum() / 2
    assert loss.item() == pytest.approx(half_chord.item(), abs=1e-12)


@pytest.mark.parametrize("loss", [circle_loss, plane_loss])
def test_gradients_agree_with_finite_differences(loss):
    draw = torch.Generator().manual_seed(0)
    points = torch.randn(20, 2, dtype=torch.float64, generator=draw).requires_grad_()
    targets = torch.nn.functional.normalize(torch.randn(20, 2, dtype=torch.float64, generator=draw))
    assert torch.autograd.gradcheck(lambda p: loss(p, targets), (points,))


def test_the_minimum_is_the_class_angle_across_pi_too():
    around = torch.linspace(-math.pi, math.pi, 721, dtype=torch.float64)
    circle = torch.stack([torch.cos(around), torch.sin(around)], dim=1)
    for planned in (0.0, 2.0, math.pi, -3.1):
        best = around[circle_loss(circle, point(planned).expand(721, 2)).argmin()]
        assert abs(math.remainder(float(best) - planned, 2 * math.pi)) < math.pi / 720 + 1e-9
    just_over, just_under = (
        circle_loss(point(math.pi - 0.01), point(-math.pi + 0.01)),
        circle_loss(point(0.01), point(-0.01)),
    )
    assert just_over.item() == pytest.approx(just_under.item(), abs=1e-12)


def test_nearest_angle_takes_the_shorter_way_round():
    of_classes = torch.cat([point(a) for a in (3.0, 0.0, -1.0)])
    assert nearest_angle(torch.cat([point(-3.0), point(-0.4), point(-0.6)]), of_classes).tolist() == [0, 1, 2]


def test_the_plane_at_the_bottleneck_stands_on_the_medial_vector():
    head = PlaneHead(64, "bottleneck", 3)
    assert list(head.parameters()) == []
    plane = head.plane.double()
    assert torch.allclose(plane.T @ plane, torch.eye(2, dtype=torch.float64), atol=1e-6)
    assert torch.allclose(plane.sum(dim=0), torch.zeros(2, dtype=torch.float64), atol=1e-6)
    maps = torch.rand(5, 64, 4, 4)
    head.eval()
    assert torch.allclose(head(maps), head(maps + 3.0), atol=1e-5), (
        "brightness along the medial vector is unseen"
    )
    assert PlaneHead(64, "head", 3)(maps).shape == (5, 2)


def test_points_are_read_about_the_mean_of_the_images():
    centre = Centre(3)
    seen = centre(torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 5.0]]))
    assert seen.tolist() == [[-1, 0, -1], [1, 0, 1]]
    for _ in range(200):
        centre(torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 5.0]]))
    assert torch.allclose(centre.eval()(torch.zeros(1, 3)), torch.tensor([[-2.0, -2.0, -4.0]]), atol=1e-4)
