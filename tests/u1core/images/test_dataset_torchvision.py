"""torchvision's classification sets, each in its own layout; the real files can't be had offline."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torchvision
from torchvision_files import IN_ONE_FILE, MAKERS, Maker

from u1core.catalog.datasets import parse
from u1core.catalog.torchvision_sets import CLASSIFICATION, OTHERS, split_arguments
from u1core.common.errors import U1Error
from u1core.images.cache import open_images
from u1core.images.sources.download import download
from u1core.images.sources.pictures import decode_listing
from u1core.images.sources.reading import list_pictures


def entry(name, **options):
    return parse("mine", {"kind": "torchvision", "options": {"class": name, **options}})


@pytest.fixture(autouse=True)
def no_checksums(monkeypatch):
    """Let made-up files pass: their checksums are not the official ones."""
    for name, module in list(sys.modules.items()):
        if name.startswith("torchvision.datasets.") and hasattr(module, "check_integrity"):
            monkeypatch.setattr(module, "check_integrity", is_there)


def is_there(path, md5=None):
    return Path(path).is_file()


HAS_H5PY = importlib.util.find_spec("h5py") is not None
NEEDS_H5PY = pytest.mark.skipif(not HAS_H5PY, reason="needs h5py, as torchvision's reader does")


def test_every_public_name_has_its_place():
    assert not set(CLASSIFICATION) & set(OTHERS)
    assert set(torchvision.datasets.__all__) <= set(CLASSIFICATION) | set(OTHERS)
    assert set(MAKERS) | {"FakeData"} == set(CLASSIFICATION)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=NEEDS_H5PY if name == "PCAM" else ()) for name in sorted(MAKERS)]
)
def test_every_set_in_its_layout(tmp_path, name):
    made = Maker(tmp_path / "data")
    MAKERS[name](made)
    images = open_images(entry(name, path=str(made.root)), tmp_path / "cache")
    found = {
        int(pixels[0, 0, 0]): (images.class_names[label], bool(is_query))
        for pixels, label, is_query in zip(images.pixels, images.labels, images.is_query, strict=True)
    }
    assert len(found) == len(images) == len(made.expected)
    for number, (class_name, is_query) in made.expected.items():
        assert found[number][0] == class_name
        assert is_query in (None, found[number][1])  # None: no official split, halved
    assert images.is_query.sum() >= 2 and not images.failures


@pytest.mark.parametrize("name", sorted(set(MAKERS) - IN_ONE_FILE))
def test_a_damaged_file_is_its_own_failure(tmp_path, name):
    made = Maker(tmp_path / "data")
    MAKERS[name](made)
    path, number = made.files[0]
    path.write_bytes(b"damaged")
    listing = list_pictures(entry(name), [tmp_path / "data"])
    decoded = decode_listing(listing, None, tmp_path)
    (failure,) = decoded.failures
    assert path.name in failure.error
    assert listing.class_names[failure.label] == made.expected[number][0]
    assert sorted(decoded.pixels[:, 0, 0, 0]) == sorted(set(made.expected) - {number})


def test_fake_data_needs_no_files(tmp_path):
    arguments = {"size": 40, "image_size": [3, 8, 8], "num_classes": 3}
    images = open_images(entry("FakeData", arguments=arguments), tmp_path / "cache")
    assert images.pixels.shape == (40, 8, 8, 3) and images.class_names == ("0", "1", "2")


def test_the_usual_arguments(tmp_path):
    made = Maker(tmp_path)
    MAKERS["OxfordIIITPet"](made)
    pets = entry("OxfordIIITPet", path=str(tmp_path), arguments={"target_types": "binary-category"})
    assert open_images(pets, tmp_path / "cache").class_names == ("Cat", "Dog")
    one_part = entry("OxfordIIITPet", path=str(tmp_path), arguments={"split": "test"})
    images = open_images(one_part, tmp_path / "cache")
    assert len(images) == 4 and images.is_query.sum() == 2
    assert split_arguments("EMNIST", {"split": "letters"}) == [
        {"split": "letters", "train": True},
        {"split": "letters", "train": False},
    ]
    assert split_arguments("QMNIST", {"what": "test50k"}) == [{"what": "test50k"}]


def test_splits_that_number_their_classes_differently_are_joined_by_name(tmp_path):
    made = Maker(tmp_path)
    MAKERS["Country211"](made)
    for i in range(2):
        made.picture(f"country211/test/AA/{i}.jpg", "AA", True)  # only there: it would take label 0
    images = open_images(entry("Country211", path=str(tmp_path)), tmp_path / "cache")
    names = np.array(images.class_names)[images.labels]
    found = dict(zip(images.pixels[:, 0, 0, 0].tolist(), names, strict=True))
    assert found == {number: class_name for number, (class_name, _) in made.expected.items()}


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("Food101", {}, "Dataset not found"),
        ("Caltech101", {}, "no folder caltech101"),
        ("CelebA", {"arguments": {"target_type": "attr"}}, "Dataset not found"),
        ("EMNIST", {"arguments": {"split": "words"}}, "Unknown value 'words' for argument split"),
        ("MNIST", {"arguments": {"colour": True}}, "unexpected keyword argument 'colour'"),
        ("PCAM", {}, "h5py is not found" if not HAS_H5PY else "Dataset not found"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(tmp_path, name, options, reason):
    (tmp_path / "data").mkdir()
    wrong = parse(
        "mine",
        {
            "kind": "torchvision",
            "sources": ["directory"],
            "options": {"class": name, "path": str(tmp_path / "data"), **options},
        },
    )
    with pytest.raises(U1Error) as caught:
        open_images(wrong, tmp_path / "cache")
    assert reason in str(caught.value) and "\n" not in str(caught.value)
    assert list((tmp_path / "data").iterdir()) == []


def test_labels_that_are_no_numbers_are_told(tmp_path):
    MAKERS["CelebA"](Maker(tmp_path))
    wrong = entry("CelebA", path=str(tmp_path), arguments={"target_type": "attr"})
    with pytest.raises(U1Error, match="only 'identity' is one label per picture"):
        open_images(wrong, tmp_path / "cache")


def test_what_is_not_offered_for_download_is_told(tmp_path):
    with pytest.raises(RuntimeError, match="FER2013 is not offered for download"):
        download("FER2013", tmp_path, [{}])
