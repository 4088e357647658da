import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from u1core.measures.medial import decompose

shapes = st.tuples(st.integers(1, 5), st.integers(2, 6))
positive = hnp.arrays(np.float64, shapes, elements=st.floats(0.01, 100))


def test_grey_lies_on_the_principal_ray():
    grey = decompose(np.array([[2.0, 2.0, 2.0]]))
    assert grey.axial == pytest.approx([math.sqrt(12)])
    assert grey.polar_angle_rad == pytest.approx([0], abs=1e-12)
    assert grey.chroma == pytest.approx(np.zeros((1, 3)), abs=1e-12)


def test_one_channel_alone_opens_to_the_bound_of_the_orthant():
    red = decompose(np.array([[5.0, 0.0, 0.0]]))
    assert red.polar_angle_rad == pytest.approx([math.acos(1 / math.sqrt(3))])
    # (1,0,0) minus its grey part: (2,-1,-1)/3.
    assert red.chroma == pytest.approx(np.array([[2, -1, -1]]) / 3)


def test_zero_has_no_direction():
    nothing = decompose(np.zeros((1, 4)))
    assert nothing.norm == 0
    assert np.isnan(nothing.polar_angle_rad).all()
    assert np.isnan(nothing.chroma).all()


@given(positive)
def test_parts_add_up_and_chroma_is_perpendicular(pooled):
    m = decompose(pooled)
    u = np.full(pooled.shape[1], 1 / math.sqrt(pooled.shape[1]))
    assert m.chroma @ u == pytest.approx(np.zeros(len(pooled)), abs=1e-9)
    assert m.axial[:, None] * u + m.chroma * m.norm[:, None] == pytest.approx(pooled)
    assert (m.polar_angle_rad <= math.acos(1 / math.sqrt(pooled.shape[1])) + 1e-9).all()


@given(positive, st.floats(0.01, 100), st.randoms())
def test_scale_and_channel_order_leave_the_polar_angle(pooled, factor, random):
    order = list(range(pooled.shape[1]))
    random.shuffle(order)
    before = decompose(pooled).polar_angle_rad
    assert decompose(pooled[:, order] * factor).polar_angle_rad == pytest.approx(before, abs=1e-6)
