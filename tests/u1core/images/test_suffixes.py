"""What files are by their names: every suffix of the decoders that run, in any case, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from u1core.images.sources.listing import Ignored
from u1core.images.sources.pictures import FORMATS
from u1core.images.sources.suffixes import IMAGE_SUFFIXES, SUFFIXES, is_foreign, kind_of


def test_every_suffix_that_pillow_knows_of_these_formats_is_there():
    Image.init()
    of_pillow = {suffix for suffix, name in Image.registered_extensions().items() if name in SUFFIXES}
    assert of_pillow <= set(IMAGE_SUFFIXES)
    assert len(set(IMAGE_SUFFIXES)) == len(IMAGE_SUFFIXES)
    assert set(FORMATS) <= set(Image.OPEN) and set(FORMATS) | {"HEIF"} == set(SUFFIXES)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a/b.TGA", ".tga"),
        ("a/.hidden.png", "hidden"),
        (".git/a.txt", "hidden"),
        ("Thumbs.db", ".db"),
        ("README", "without suffix"),
        ("a/noise.of many words", "without suffix"),
        ("top.PNG", "pictures outside the classes and splits"),
    ],
)
def test_kinds(name, kind):
    assert kind_of(name) == kind


def test_notes_and_hidden_files_are_expected_and_the_rest_is_foreign():
    expected = ["a/x.txt", "a/x.JSON", "Thumbs.db", ".DS_Store", "top.png", "desktop.ini"]
    assert not any(is_foreign(kind_of(name)) for name in expected)
    assert all(is_foreign(kind_of(name)) for name in ["a/x.tga", "a/x", "a/x.dng"])


@given(st.lists(st.sampled_from(["a.tga", "b.TGA", "c.txt", ".d", "e", "f.psd"]), max_size=60))
def test_kinds_add_up(names):
    ignored = Ignored.of(names)
    assert ignored.count == len(names) == sum(count for _, count in ignored.kinds)
    assert dict(ignored.kinds).get(".tga", 0) == names.count("a.tga") + names.count("b.TGA")
    assert ignored.names == tuple(names[:20])


def test_of_many_kinds_the_most_frequent_are_told():
    names = [f"x.{letter}" for letter in "abcdefghijk"] + ["y.k"]
    assert Ignored.of(names).told == (
        *("2 .k", "1 .a", "1 .b", "1 .c", "1 .d", "1 .e", "1 .f", "1 .g"),
        "3 of other kinds",
    )
