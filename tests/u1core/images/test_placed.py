"""Placed objects: where they are said to lie, and that no place, class or size is preferred."""

import tomllib
from dataclasses import replace

import numpy as np
import pytest

from u1core.catalog.catalog import find_problems, load_catalog
from u1core.images.cache import fingerprint
from u1core.images.sources.arrays import read_digits
from u1core.images.sources.listing import Decoded, SourceError
from u1core.images.sources.placed import place, places_of
from u1core.images.sources.reading import read_source
from u1core.measures.pixel_grid import coordinates

CATALOG = load_catalog()
PLACED = CATALOG.datasets["placed"]


def small(n, **options):
    return replace(PLACED, images_memory=n, images_query=n, options={**PLACED.options, **options})


def squares(classes=10, each=1, side=4):
    """White squares, one data set of `each` objects per class and split."""
    labels = np.repeat(np.arange(classes), 2 * each)
    n = len(labels)
    white = np.full((n, side, side, 1), 255, dtype=np.uint8)
    return Decoded(white, labels, np.arange(n) % 2 == 1, np.arange(n), PLACED.class_names)


@pytest.fixture(scope="module")
def drawn():
    """Pictures (n, S, S) of white squares on black, and their entry."""
    entry = small(400, spread=0, background=0)
    return place(entry, squares(), is_drawn=True), entry


def test_the_same_pixels_on_every_machine(tmp_path):
    decoded = read_source("sklearn:load_digits", PLACED, None, tmp_path)
    assert fingerprint(decoded.pixels, decoded.labels, decoded.is_query) == PLACED.fingerprint
    assert decoded.pixels.shape == (4000, 64, 64, 1) and decoded.is_query.sum() == 2000


def test_an_object_lies_where_it_is_said_to(drawn):
    decoded, entry = drawn
    pictures, places = decoded.pixels[..., 0] / 255.0, places_of(entry)
    size = entry.options["size"]
    x, y = coordinates(size, size)
    assert (pictures.sum(axis=(1, 2)) == (places.radius * size) ** 2).all()
    # A centre of mass on the torus, which no edge cuts: the mean of e^(i pi x).
    for axis, centre in ((x, places.x), (y, places.y)):
        mean = (pictures * np.exp(1j * np.pi * axis)).sum(axis=(1, 2))
        np.testing.assert_allclose(mean / np.abs(mean), np.exp(1j * np.pi * centre), atol=1e-12)
    whole = np.maximum(np.abs(places.x), np.abs(places.y)) + places.radius <= 1
    dipole = (pictures * (x + 1j * y)).sum(axis=(1, 2)) / pictures.sum(axis=(1, 2))
    np.testing.assert_allclose(dipole[whole], (places.x + 1j * places.y)[whole], atol=1e-12)
    assert 0.3 < whole.mean() < 0.5  # (1 - 1/4)^2 of the small, (1 - 1/2)^2 of the large


def test_every_pixel_is_as_likely_to_show_an_object(drawn):
    decoded, _ = drawn
    lit = (decoded.pixels[..., 0] > 0).mean(axis=0)
    share = (16**2 + 32**2) / 2 / 64**2
    assert lit.mean() == pytest.approx(share)
    # 800 draws at share 0.16 have a standard deviation of 0.013.
    assert np.abs(lit - share).max() < 5 * 0.013


def test_classes_take_turns_and_every_object_comes_small_and_large():
    entry = small(40)
    memory = squares(each=2)
    decoded = place(entry, memory, is_drawn=True)
    places = places_of(entry)
    np.testing.assert_array_equal(decoded.labels, np.tile(np.arange(10), 8))
    np.testing.assert_array_equal(places.radius, np.tile(np.repeat([0.25, 0.5], 10), 4))
    assert decoded.is_query.tolist() == [False] * 40 + [True] * 40
    assert not np.array_equal(places.x[:40], places.x[40:])


def test_memory_and_query_show_objects_of_their_own():
    objects = squares()
    objects.pixels[objects.is_query] = 100
    decoded = place(small(20, spread=0, background=0), objects, is_drawn=False)
    brightest = decoded.pixels.max(axis=(1, 2, 3))
    assert (brightest[~decoded.is_query] == 255).all() and (brightest[decoded.is_query] == 100).all()


def test_the_texture_has_one_spectrum_whatever_the_class():
    entry = small(30, spread=20, background=128)
    nothing = replace_pixels(squares(), 0)
    texture = place(entry, nothing, is_drawn=True).pixels[..., 0].astype(float)
    spectra = np.abs(np.fft.fft2(texture))
    # Rounding: at every frequency below S / sqrt(12) = 18.5 on the root mean square, of amplitudes to 1e4.
    assert np.sqrt(np.mean((spectra - spectra.mean(axis=0)) ** 2)) < 64 / 12**0.5
    assert texture.std(axis=(1, 2)) == pytest.approx(np.full(60, 20), rel=0.01)
    assert texture.mean() == pytest.approx(128, abs=0.1)


def replace_pixels(objects, value):
    return replace(objects, pixels=np.full_like(objects.pixels, value))


def test_drawn_objects_cover_as_much_as_there_is_ink_and_cut_out_ones_all_of_it():
    half = replace_pixels(squares(), 51)  # a fifth of white
    options = {"spread": 0, "background": 100, "side_small": 64, "side_large": 64}
    drawn = place(small(10, **options), half, is_drawn=True).pixels
    cut = place(small(10, **options), half, is_drawn=False).pixels
    assert (drawn == 80 + 51).all() and (cut == 51).all()


def test_other_kinds_have_no_places():
    assert places_of(CATALOG.datasets["digits"]) is None


def test_a_class_without_an_object_is_told():
    with pytest.raises(SourceError, match="no object of class 9"):
        place(small(20), squares(classes=9), is_drawn=True)


def test_digits_are_the_objects():
    entry = small(10, side_small=8, side_large=8, spread=0, background=0)
    digits = read_digits(CATALOG.datasets["digits"])
    decoded = place(entry, digits, is_drawn=True)
    zero = digits.pixels[np.flatnonzero((digits.labels == 0) & ~digits.is_query)[0]]
    assert decoded.pixels[0].sum(dtype=int) == zero.sum(dtype=int)


@pytest.mark.parametrize(
    ("name", "value"),
    [("size", 64.5), ("size", 0), ("side_small", 16.5), ("side_small", 0), ("side_large", 65)],
)
def test_a_size_that_cannot_be_is_told(name, value):
    lines = {**PLACED.options, name: value}
    options = "\n".join(f"{key} = {number}" for key, number in lines.items())
    text = f"""
[datasets.mine]
kind = "placed"
sources = ["sklearn:load_digits"]
class_names = ["a", "b"]
images_memory = 4
images_query = 4

[datasets.mine.options]
{options}
"""
    found = "\n".join(find_problems(tomllib.loads(text)))
    assert f"datasets.mine.options.{name}: {value!r} is not valid; a whole number of pixels" in found
