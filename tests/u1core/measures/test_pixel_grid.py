"""Where pixels sit: by hand."""

import math

from u1core.measures import pixel_grid


def test_pixel_centres_of_a_2_by_2_image_sit_at_plus_minus_one_half():
    x, y = pixel_grid.coordinates(2, 2)
    assert x.tolist() == [[-0.5, 0.5], [-0.5, 0.5]]
    assert y.tolist() == [[0.5, 0.5], [-0.5, -0.5]]


def test_half_of_the_image_lies_within_the_ee50_of_uniform_light():
    assert math.isclose(math.pi * pixel_grid.UNIFORM_EE50_RADIUS**2, 4 / 2)
    assert math.hypot(1, 1) == pixel_grid.CORNER_RADIUS
