"""Splits by any usual word, in any case: the same ones in folders, Parquet files and CSV tables."""

import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from u1core.catalog.datasets import parse
from u1core.images.sources.listing import SourceError
from u1core.images.sources.reading import list_pictures
from u1core.images.sources.splits import MEMORY_NAMES, QUERY_NAMES, split_in, split_word

PAIRS = (
    *(("train", "val"), ("Train", "Test"), ("TRAIN", "VAL"), ("train", "TEST"), ("training", "testing")),
    *(("training_set", "test_set"), ("train", "dev"), ("train", "eval"), ("Training Set", "Validation-Set")),
    *(("trainset", "testset"), ("train2017", "val2017"), ("memory", "query"), ("train", "evaluation")),
    *(("train_images", "test_images"), ("train", "VALID")),
)


def listed(kind, path, **options):
    return list_pictures(parse("mine", {"kind": kind, "options": {"path": str(path), **options}}), [path])


def put(root, *names):
    """Write files that are pictures by name; listing opens none."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def shard(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": [b"x"] * len(labels), "label": labels}), path)


def seen(listing):
    """Return class names, counts by class in both splits, pictures left out as ignored."""
    in_query = listing.labels[listing.is_query]
    in_memory = listing.labels[~listing.is_query]
    n = len(listing.class_names)
    return listing.class_names, np.bincount(in_memory, minlength=n).tolist(), np.bincount(in_query).tolist()


WORDS = st.sampled_from((*MEMORY_NAMES, *QUERY_NAMES))
ADDED = st.sampled_from(("", "_set", "-set", " Set", "set", "_split", "_data", "_images", "2012", "_1999"))
CASES = st.sampled_from((str.lower, str.upper, str.title, str.swapcase))


@given(WORDS, ADDED, CASES)
def test_a_split_in_any_spelling(word, added, case):
    assert split_word(case(word + added)) == word
    assert split_in(f"{case(word)}-00000-of-00002.parquet") == word


@pytest.mark.parametrize(
    "name", ["", "trainers", "testament", "cat", "set", "2012", "train/x", "tra in", "latest"]
)
def test_no_split(name):
    assert split_word(name) == split_in(name) == ""


def test_the_first_word_decides_else_the_only_one():
    assert split_in("test-train-0") == "test" and split_in("cifar10_Test.parquet") == "test"
    assert split_in("my-test-of-train") == ""


@pytest.mark.parametrize(("memory", "query"), PAIRS)
def test_every_reader_knows_the_same_words(tmp_path, memory, query):
    rows = [
        (split, name, i)
        for split, n in ((memory, 3), (query, 2))
        for name in ("cat", "dog")
        for i in range(n)
    ]
    folder = put(tmp_path / "folder", *(f"{split}/{name}/{i}.png" for split, name, i in rows))
    table = tmp_path / "table.csv"
    table.write_text("path,label,split\n" + "".join(f"{i}.png,{name},{split}\n" for split, name, i in rows))
    for split, n in ((memory, 3), (query, 2)):
        shard(tmp_path / "named" / f"{split}.parquet", ["cat", "dog"] * n)
        shard(tmp_path / "below" / split / "0000.parquet", ["cat", "dog"] * n)
    expected = ("cat", "dog"), [3, 3], [2, 2]
    assert seen(listed("folder", folder)) == expected
    assert seen(listed("csv", table)) == expected
    assert seen(listed("parquet", tmp_path / "named")) == expected
    assert seen(listed("parquet", tmp_path / "below")) == expected


CLASSES = ("cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png")


@pytest.mark.parametrize("above", ["train", "imagenet", "Training", "data/images", "a/b/train"])
def test_what_wraps_the_classes_is_entered(tmp_path, above):
    root = put(tmp_path / "data", *(f"{above}/{name}" for name in CLASSES), "README.md", "docs/notes/a.txt")
    put(root, "__MACOSX/._x", "stray.png")
    listing = listed("folder", root)
    assert listing.class_names == ("cat", "dog") and listing.labels.tolist() == [0, 0, 1, 1]
    assert listing.is_query is None and listing.ignored.count == 4
    assert [picture.name for picture in listing.pictures()] == [f"{above}/{name}" for name in CLASSES]


@pytest.mark.parametrize(
    ("memory", "query"), [("seg_train", "seg_test"), ("1. Train", "2. Test"), ("cats-train", "cats-val")]
)
def test_folders_that_speak_of_a_split_and_hold_the_same_classes(tmp_path, memory, query):
    root = put(tmp_path / "data", *(f"{split}/{name}" for split in (memory, query) for name in CLASSES))
    assert seen(listed("folder", root)) == (("cat", "dog"), [2, 2], [2, 2])
    for split in (memory, query):
        shard(tmp_path / "set" / split / "more" / "0.parquet", ["cat", "dog"])
    assert seen(listed("parquet", tmp_path / "set")) == (("cat", "dog"), [1, 1], [1, 1])


def test_folders_that_speak_of_a_split_and_hold_others_are_classes(tmp_path):
    root = put(tmp_path / "data", "train-station/north/0.png", "test-site/desert/0.png")
    assert listed("folder", root).class_names == ("test-site", "train-station")


def test_what_wraps_the_splits_is_entered(tmp_path):
    names = [f"imagenet/{split}/{name}" for split in ("Val", "train") for name in CLASSES]
    assert seen(listed("folder", put(tmp_path / "data", *names))) == (("cat", "dog"), [2, 2], [2, 2])


def test_train_beside_pictures_without_classes(tmp_path):
    root = put(tmp_path / "data", *(f"train/{name}" for name in CLASSES), "test/0.png", "test/1.png")
    listing = listed("folder", root)
    assert (listing.class_names, listing.is_query, listing.ignored.count) == (("cat", "dog"), None, 2)


def test_a_class_may_be_called_like_a_split(tmp_path):
    root = put(tmp_path / "data", "bus/0.png", "train/0.png", "train/far/1.png", "test/0.png")
    assert listed("folder", root).class_names == ("bus", "test", "train")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("train/cat/0.png", "prueba/cat/0.png"), "train/ with class folders beside prueba in"),
        (("test/cat/0.png", "val/cat/0.png"), "test/ and val/ with class folders in"),
        (("train/cat/0.png", "Train/cat/0.png", "val/cat/0.png"), "Train/ and train/ in"),
        (("train/0.png", "test/0.png"), "test/ and train/ in"),
    ],
)
def test_half_a_pair_is_refused(tmp_path, names, told):
    root = put(tmp_path / "data", *names)
    with pytest.raises(SourceError) as caught:
        listed("folder", root)
    assert told in str(caught.value) and str(root) in str(caught.value)


def test_a_split_without_pictures_is_one(tmp_path):
    root = put(tmp_path / "data", *(f"train/{name}" for name in CLASSES), "val/cat/notes.txt")
    assert not listed("folder", root).is_query.any()  # and its two classes are missed


def test_folders_of_one_name_in_two_unicode_forms_are_one_class(tmp_path):
    composed, parted = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    names = [
        f"train/{composed}/0.png",
        f"train/{parted}/1.png",
        f"val/{parted}/0.png",
        "train/a/0.png",
        "val/a/0.png",
    ]
    assert seen(listed("folder", put(tmp_path / "data", *names))) == (("a", "é"), [1, 2], [1, 1])


def test_a_folder_that_contains_itself_ends(tmp_path):
    root = put(tmp_path / "data", "x.txt")
    (root / "round").symlink_to(root)
    assert listed("folder", root).class_names == ("round",)  # whose one picture fails
