"""Angles and points that are planned for classes and images."""

import math

import numpy as np
import pytest

from u1core.catalog.entries import OBJECTIVES
from u1core.common.errors import U1Error
from u1core.training.arms import ARMS, planned_angles, planned_points


def test_planned_angles_lie_in_the_half_open_interval_and_belong_to_the_seed():
    drawn = planned_angles("random", 1000, 0)
    assert drawn.min() > -math.pi and drawn.max() <= math.pi
    assert np.array_equal(drawn, planned_angles("random", 1000, 0))
    assert not np.array_equal(drawn, planned_angles("random", 1000, 1))
    even = planned_angles("equispaced", 8, 3)
    assert even.min() > -math.pi and even.max() <= math.pi
    assert np.allclose(np.diff(np.sort(even)), math.pi / 4)
    assert not np.array_equal(even, np.sort(even)), "classes that follow each other are not neighbours"


def test_measured_angles_are_taken_as_they_are_or_refused():
    assert planned_angles("measured", 2, 0, np.array([0.5, -3.0])).tolist() == [0.5, -3.0]
    for wrong in (None, np.array([0.5]), np.array([0.5, np.nan])):
        with pytest.raises(U1Error, match="a measured direction for each of 2 classes"):
            planned_angles("measured", 2, 0, wrong)
    with pytest.raises(U1Error, match="angles as one of random, equispaced, measured; got 'even'"):
        planned_angles("even", 2, 0)


def test_every_arm_gives_images_the_points_it_says():
    labels = np.arange(4000) % 4
    planned = planned_angles("random", 4, 7)
    of_class = np.stack([np.cos(planned), np.sin(planned)], axis=1)
    assert np.array_equal(planned_points(ARMS["onehot+u1"], planned, labels, 7), of_class[labels])
    shuffled = planned_points(ARMS["onehot+shuffled"], planned, labels, 7)
    assert np.array_equal(np.sort(shuffled, axis=0), np.sort(of_class[labels], axis=0))
    assert np.mean((shuffled == of_class[labels]).all(axis=1)) == pytest.approx(0.25, abs=0.03)
    plane = planned_points(ARMS["onehot+plane"], planned_angles("random", 4000, 1), np.arange(4000), 7)
    assert np.mean(np.sum(plane**2, axis=1)) == pytest.approx(1, abs=0.05)
    assert np.std(np.hypot(*plane.T)) > 0.3, "off the circle"


def test_what_weights_can_have_been_trained_by_are_the_arms():
    assert tuple(ARMS) == OBJECTIVES
