"""Pictures in their files: prepared as Pillow would, decoded once for all, kept within the budget."""

import dataclasses
import io
import os

import numpy as np
import pytest
import torch
from PIL import Image

from u1core.catalog.datasets import parse
from u1core.catalog.entries import Preprocessing
from u1core.common.errors import U1Error
from u1core.images import in_files as module
from u1core.images import resized_store
from u1core.images.cache import open_images
from u1core.images.resize import resize
from u1core.images.resized_store import PixelStore, make_room

NORMAL = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
SMALL = Preprocessing(24, 0.875, "bicubic", **NORMAL)
LARGE = Preprocessing(40, 1.0, "bilinear", **NORMAL)


def photograph(number, size=(60, 50)):
    """Smooth colours with some noise on them, another for every number."""
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize(size, Image.BICUBIC)
    return np.clip(np.asarray(coarse) + rng.normal(0, 8, (size[1], size[0], 3)), 0, 255).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Two classes of six pictures of many sizes; one of each is cut short behind its header."""
    for name in ("cat", "dog"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(6):
            number = i + 6 * (name == "dog")
            stream = io.BytesIO()
            Image.fromarray(photograph(number, (60 + 3 * number, 50 + 7 * i))).save(stream, "PNG")
            raw = stream.getvalue()
            (tmp_path / "data" / name / f"{i}.png").write_bytes(raw[: len(raw) // 2] if i == 3 else raw)
    return tmp_path / "data"


@pytest.fixture
def images(folder, tmp_path):
    entry = parse("mine", {"kind": "folder", "options": {"path": str(folder)}})
    return open_images(entry, tmp_path / "cache")


@pytest.fixture
def decodings(monkeypatch):
    """Count the pictures that are decoded."""
    counted = []

    def decode(content, size, real=module.decode_picture):
        counted.append(content)
        return real(content, size)

    monkeypatch.setattr(module, "decode_picture", decode)
    return counted


def read(images, wanted=None, numbers=SMALL, also=()):
    """Return pixels by position, and failures."""
    wanted = [np.arange(5), np.arange(5, 12)] if wanted is None else wanted
    with images.open_pixels(numbers, also) as source:
        batches = list(source.batches(wanted))
    assert len(batches) == len(wanted)
    found = {}
    for batch in batches:
        found |= dict(zip(batch.positions.tolist(), batch.pixels, strict=True))
    return found, [failure for batch in batches for failure in batch.failures]


def by_pillow(pixels, numbers):
    """Resize and crop as the weights' own transforms do on pictures of Pillow."""
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import functional as transforms

    shorter = int(numbers.size / numbers.crop_pct)
    mode = InterpolationMode(numbers.interpolation)
    resized = transforms.resize(Image.fromarray(pixels), [shorter], mode, antialias=True)
    return np.asarray(transforms.center_crop(resized, [numbers.size, numbers.size]))


@pytest.mark.parametrize("size", [(500, 400), (333, 480), (224, 224), (37, 41), (256, 300)])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize(("side", "crop"), [(224, 0.875), (240, 0.875), (32, 1.0)])
def test_resizing_is_pillows_within_one_grey_level(size, interpolation, side, crop):
    numbers = Preprocessing(side, crop, interpolation, **NORMAL)
    pixels = photograph(1, size)
    ours = resize(torch.from_numpy(pixels)[None], numbers)[0].numpy().astype(int)
    difference = np.abs(ours - by_pillow(pixels, numbers))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.02


def test_every_picture_has_its_own_row_and_what_is_damaged_is_told(images):
    assert images.pixels is None and len(images) == 12 and not images.failures
    found, failures = read(images)
    assert sorted(found) == [0, 1, 2, 4, 5, 6, 7, 8, 10, 11]
    for position, pixels in found.items():
        original = photograph(position, (60 + 3 * position, 50 + 7 * (position % 6)))
        assert np.abs(pixels.astype(int) - by_pillow(original, SMALL)).max() <= 1
    assert [failure.image_id for failure in failures] == [3, 9]
    assert {failure.stage for failure in failures} == {"decode"}
    assert all("truncated" in failure.error for failure in failures)
    assert [failure.image_id for failure in images.undecodable()] == [3, 9]


def test_what_was_decoded_is_never_decoded_again(images, decodings):
    first, _ = read(images)
    assert len(decodings) == 12
    second, failures = read(images)
    assert len(decodings) == 12 + 2  # what could not be decoded is tried again: it may have been mended
    assert len(failures) == 2
    for position, pixels in first.items():
        np.testing.assert_array_equal(second[position], pixels)


def test_one_decoding_serves_every_network_of_a_sweep(images, decodings):
    read(images, also=[LARGE, dataclasses.replace(SMALL, mean=(0, 0, 0))])
    assert len(decodings) == 12
    found, _ = read(images, numbers=LARGE)
    assert len(decodings) == 14 and found[0].shape == (40, 40, 3)
    alone, _ = read(dataclasses.replace(images, pictures=_elsewhere(images)), numbers=LARGE)
    for position, pixels in alone.items():
        np.testing.assert_array_equal(found[position], pixels)


def _elsewhere(images):
    return dataclasses.replace(images.pictures, cache=images.pictures.cache / "other")


def test_any_order_and_any_part_gives_the_same_pixels(images, decodings):
    whole, _ = read(images)
    again = dataclasses.replace(images, pictures=_elsewhere(images))
    shuffled = [np.array([7, 8]), np.array([], dtype=int), np.array([2, 3, 0]), np.array([11])]
    found, failures = read(again, shuffled)
    assert sorted(found) == [0, 2, 7, 8, 11] and [failure.image_id for failure in failures] == [3]
    rest, _ = read(again)
    for position, pixels in whole.items():
        np.testing.assert_array_equal(rest[position], pixels)
        if position in found:
            np.testing.assert_array_equal(found[position], pixels)


def test_what_is_larger_than_the_budget_streams(images, decodings, monkeypatch):
    monkeypatch.setenv("U1_CACHE_GB", "0.00001")  # 10 kB; 12 pictures of 24 x 24 take 20
    first, failures = read(images)
    second, _ = read(images)
    assert len(decodings) == 24 and len(first) == len(second) == 10 and len(failures) == 2
    assert not list((images.pictures.cache / "pixels").iterdir())


def test_a_full_store_is_used_whatever_the_budget_is_now(images, decodings, monkeypatch):
    read(images)
    monkeypatch.setenv("U1_CACHE_GB", "0")
    found, _ = read(images)
    assert len(decodings) == 14 and len(found) == 10


def test_a_budget_that_is_no_number_is_one_line(images, monkeypatch):
    monkeypatch.setenv("U1_CACHE_GB", "plenty")
    with pytest.raises(U1Error, match="U1_CACHE_GB"):
        read(images)


def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(images, monkeypatch):
    def refuse(*_):
        raise PermissionError("read-only")

    monkeypatch.setattr(module, "PixelStore", refuse)
    assert len(read(images)[0]) == 10


def test_a_full_disk_is_no_reason_to_stop(images, decodings, monkeypatch):
    def full(self, row, pixels):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PixelStore, "write", full)
    assert len(read(images)[0]) == 10
    monkeypatch.undo()
    assert len(read(images)[0]) == 10  # nothing was marked as written


def test_the_pictures_may_change_their_place_only_with_a_word(images, folder, decodings):
    read(images, [np.array([0])])
    folder.rename(folder.with_name("moved"))
    assert list(read(images, [np.array([0])])[0]) == [0]  # that one is in the store
    with pytest.raises(U1Error, match="the pictures of mine where they were"):
        read(images, [np.array([1])])


# -- the store -------------------------------------------------------------------------------------


def row(value):
    return np.full((4, 4, 3), value, dtype=np.uint8)


def a_picture_more(folder):
    Image.fromarray(photograph(99)).save(folder / "cat" / "00.png")


def a_picture_under_another_name(folder):
    (folder / "cat" / "0.png").rename(folder / "cat" / "9.png")


def another_picture_of_this_name(folder):
    Image.fromarray(photograph(99)).save(folder / "cat" / "0.png")


@pytest.mark.parametrize(
    "change", [a_picture_more, a_picture_under_another_name, another_picture_of_this_name]
)
def test_pictures_that_change_after_they_were_listed_are_not_taken_for_those(images, folder, change):
    change(folder)
    with pytest.raises(U1Error, match="the pictures of mine as they were when the sweep began"):
        read(images)


def test_a_promised_fingerprint_does_not_stand_for_files_that_changed(images, folder, tmp_path):
    options = {"fingerprint": images.fingerprint, "options": {"path": str(folder)}}
    promised = parse("mine", {"kind": "folder", **options})
    again = open_images(promised, tmp_path / "cache")
    a_picture_more(folder)
    with pytest.raises(U1Error, match="as they were when the sweep began"):
        read(again)
    with pytest.raises(U1Error, match="other images or labels"):
        open_images(promised, tmp_path / "cache")


def test_a_row_counts_when_it_is_committed(tmp_path):
    store = PixelStore(tmp_path / "s", 10, 4)
    for number in (1, 2, 7):
        store.write(number, row(number))
    store.commit(1)
    store.commit(7)
    assert not PixelStore(tmp_path / "s", 10, 4).present.any()  # a process that died here has lost them
    store.close()
    again = PixelStore(tmp_path / "s", 10, 4)
    assert np.flatnonzero(again.present).tolist() == [1, 7]
    np.testing.assert_array_equal(again.read(np.array([7, 1]))[:, 0, 0, 0], [7, 1])
    again.close()


def test_rows_are_made_certain_on_the_way(tmp_path, monkeypatch):
    monkeypatch.setattr(resized_store, "COMMITTED_ROWS", 3)
    store = PixelStore(tmp_path / "s", 10, 4)
    for number in range(4):
        store.write(number, row(number))
        store.commit(number)
    store._flushes[0].result(timeout=60)
    assert np.flatnonzero(PixelStore(tmp_path / "s", 10, 4).present).tolist() == [0, 1, 2]
    store.close()


def filled(folder, age):
    store = PixelStore(folder, 1, 64)
    store.write(0, np.full((64, 64, 3), 7, dtype=np.uint8))
    store.commit(0)
    store.close()
    os.utime(folder, (age, age))
    return folder


def test_the_least_recently_used_goes_first(tmp_path, monkeypatch):
    old, older, kept = (filled(tmp_path / name, age) for name, age in (("a", 2000), ("b", 1000), ("c", 10)))
    size = resized_store._size(old)
    monkeypatch.setenv("U1_CACHE_GB", str(3 * size / 1e9))
    assert make_room(tmp_path, size, [kept])
    assert (old.exists(), older.exists(), kept.exists()) == (True, False, True)
    assert not make_room(tmp_path, 3 * size, [kept])  # would not fit: nothing goes
    assert old.exists() and kept.exists()


def test_whoever_reads_a_store_that_goes_keeps_reading(tmp_path, monkeypatch):
    folder = filled(tmp_path / "a", 1000)
    store = PixelStore(folder, 1, 64)
    monkeypatch.setenv("U1_CACHE_GB", "0")
    assert make_room(tmp_path, 0, [])
    assert not folder.exists()
    assert (store.read(np.array([0])) == 7).all()
    store.close()
