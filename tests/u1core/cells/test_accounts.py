"""Where every picture went: told by each cell, and a cell in which one is missing is not kept."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from u1core.cells import finish
from u1core.cells.open_cell import OpenCell
from u1core.common.errors import U1Error
from u1core.images.cache import Images
from u1core.images.sources.listing import Ignored, ImageFailure


def images(n, found=None, ignored=(), failed=0, unlabelled=0, same=False):
    """Return n pictures of two classes, each of its own grey or all of one."""
    pixels = (
        np.zeros((n, 1, 1, 3), np.uint8) if same else np.arange(3 * n, dtype=np.uint8).reshape(n, 1, 1, 3)
    )
    failures = tuple(ImageFailure(n + i, 0, False, "decode", "torn") for i in range(failed))
    total = n + failed + len(ignored) + unlabelled if found is None else found
    labels, is_query = np.arange(n) % 2, np.arange(n) // 2 % 2 == 1
    arrays = pixels, labels, is_query, np.arange(n), ("a", "b"), "f", failures, Ignored.of(ignored)
    return Images(*arrays, None, unlabelled, total)


def opened(found, limit=None):
    return OpenCell(SimpleNamespace(limit=limit, id="net on d"), found, None)


def test_a_cell_says_where_its_pictures_went():
    cell = opened(images(12, None, ["x.tga", "y.tga", ".z"], failed=2, unlabelled=5), limit=4)
    assert finish.account(cell, 8, 2) == {
        "pictures_found": 22,
        "pictures_unlabelled": 5,
        "pictures_ignored": 3,
        "pictures_not_selected": 4,
        "ignored_kinds": ["2 .tga", "1 hidden"],
        "pictures_repeated": 0,
    }


def test_query_pictures_in_memory_are_counted_among_those_selected():
    assert finish.account(opened(images(12, same=True)), 12, 0)["pictures_repeated"] == 6
    assert finish.account(opened(images(12, same=True), limit=2), 4, 0)["pictures_repeated"] == 2


@given(st.integers(4, 20), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(-3, 3))
def test_a_cell_in_which_a_picture_is_missing_is_not_kept(n, failed, ignored, unlabelled, lost):
    total = n + failed + ignored + unlabelled
    cell = opened(images(n, total + lost, ["x.txt"] * ignored, failed, unlabelled))
    if not lost:
        assert finish.account(cell, n, failed)["pictures_found"] == total
        return
    with pytest.raises(
        U1Error, match=rf"rows for all of {total + lost} pictures .*; got {total}: {n} rows"
    ) as e:
        finish.account(cell, n, failed)
    assert "\n" not in str(e.value)


def test_what_was_not_counted_is_null_and_never_0():
    old = dataclasses.replace(images(8), found=None, unlabelled=None, pixels=None)
    told = finish.account(opened(old), 8, 0)
    assert [told[f"pictures_{name}"] for name in ("found", "unlabelled", "repeated")] == [None, None, None]
    assert (told["pictures_ignored"], told["pictures_not_selected"]) == (0, 0)


def test_a_cell_that_does_not_add_up_is_not_committed(cell, digits, lake, monkeypatch):
    monkeypatch.setattr(finish, "_result_row", lambda *_: {"rows": 119, "failures": 0})
    monkeypatch.setattr(finish, "_identity_row", lambda *_: {})
    with pytest.raises(U1Error, match="rows for all of 1797 pictures"):
        finish.commit(OpenCell(cell, digits, lake), None, {}, None)
    assert lake.cells() == {}
