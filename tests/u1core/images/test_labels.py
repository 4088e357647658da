"""Labels of every type: read right, counted as none, or refused with the reason."""

import datetime
import io
import json
import unicodedata
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from u1core.catalog.datasets import parse
from u1core.common.errors import U1Error
from u1core.images.cache import find_cached, open_images
from u1core.images.sources import official
from u1core.images.sources.labels import as_label, distinct_names, number_labels, settled
from u1core.images.sources.listing import Listing, Picture, SourceError
from u1core.images.sources.reading import list_pictures

NAN = float("nan")
COMPOSED, PARTED = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))


def png(value, size=8):
    stream = io.BytesIO()
    Image.fromarray(np.full((size, size), value, dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def entry(path, kind="parquet"):
    return parse("mine", {"kind": kind, "options": {"path": str(path)}})


def write(path, labels, names=(), size=lambda i: 8, first=0):
    """Write a file of pictures whose greys count up, beside labels of any type."""
    path.parent.mkdir(parents=True, exist_ok=True)
    features = {"label": {"_type": "ClassLabel", "names": list(names)}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})} if names else {}
    pictures = [{"bytes": png(first + i, size(i)), "path": None} for i in range(len(labels))]
    table = pa.table({"image": pictures, "label": labels})
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return path


def numbered(*labels, names=()):
    given = settled([as_label(label) for label in labels], names)
    class_names, found = number_labels(given, tuple(names))
    return class_names, found.tolist()


@pytest.mark.parametrize(
    ("labels", "class_names", "found"),
    [
        ((-1, 1, 1, -1), ("-1", "1"), [0, 1, 1, 0]),
        ((-1.0, 1.0), ("-1", "1"), [0, 1]),
        ((0, 1, -1), ("0", "1"), [0, 1, -1]),
        ((-2, -1, 0), ("-2", "-1", "0"), [0, 1, 2]),
        ((3, 7.0, Decimal(3), np.int8(7)), ("3", "7"), [0, 1, 0, 1]),
        ((0, NAN, 1, None), ("0", "1"), [0, -1, 1, -1]),
        ((2**63 + 1, 2**63), (str(2**63), str(2**63 + 1)), [1, 0]),
        ((True, False), ("0", "1"), [1, 0]),
        (("dog", b"cat", " dog ", "", "NaN", "<NA>"), ("cat", "dog"), [1, 0, 1, -1, -1, -1]),
        ((COMPOSED, PARTED, "a"), ("a", "é"), [1, 1, 0]),
        (("10", "2", "-1"), ("10", "2"), [0, 1, -1]),
        (("-1", "1"), ("-1", "1"), [0, 1]),
        (("1", "1.0", "2"), ("1", "2"), [0, 0, 1]),
        (("1", 1, 2.0), ("1", "2"), [0, 0, 1]),
        (("01", "1"), ("01", "1"), [0, 1]),
        (("none", "null"), ("none", "null"), [0, 1]),
    ],
)
def test_labels_are_numbered(labels, class_names, found):
    assert numbered(*labels) == (class_names, found)


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ((1, 0, -1), [1, 0, -1]),
        ((1.0, None), [1, -1]),
        (("dog", "cat", None), [1, 0, -1]),
        (("1", "0"), [1, 0]),
        ((b"dog", "cat"), [1, 0]),
    ],
)
def test_labels_beside_names(labels, found):
    assert numbered(*labels, names=("cat", "dog")) == (("cat", "dog"), found)


@pytest.mark.parametrize(
    ("labels", "names", "told"),
    [
        ((0.5,), (), "0.5 as a label"),
        ((float("inf"),), (), "inf as a label"),
        (([1],), (), "a label of type list; one number or name per picture is needed"),
        (({"id": 1},), (), "a label of type dict"),
        ((datetime.date(2020, 1, 1),), (), "a label of type date"),
        ((0, "cat"), (), "labels that are numbers (0) and names ('cat')"),
        (("emu",), ("cat", "dog"), "a label 'emu', but no class of that name among cat, dog"),
        ((0, 2), ("cat", "dog"), "labels 0 to 2, but 2 class names"),
        ((-2, 1), ("cat", "dog"), "labels -2 to 1, but 2 class names"),
        ((2**70, 1), ("cat", "dog"), f"labels 1 to {2**70}, but 2 class names"),
    ],
)
def test_what_names_no_class_is_refused(labels, names, told):
    with pytest.raises(SourceError) as caught:
        numbered(*labels, names=names)
    assert told in str(caught.value)


@given(
    st.lists(st.one_of(st.integers(0, 5), st.sampled_from((None, NAN, -1))), min_size=1),
    st.sampled_from((int, float, str)),
)
def test_what_is_missing_is_no_class_and_moves_no_other(labels, written):
    there = [label for label in labels if label is not None and label == label and label != -1]
    assume(set(there) != {1})  # then -1 is the other class
    given_ = [label if label is None or label != label else written(label) for label in labels]
    if written is float:
        given_ = [None if label is None else float(label) for label in labels]
    class_names, found = numbered(*given_)
    spelt = str if written is not str else (lambda label: label)
    assert [class_names[label] if label >= 0 else None for label in found] == [
        str(label) if label in there else None for label in labels
    ], spelt
    assert set(class_names) == set(map(str, there))


def test_two_classes_of_one_name_in_two_forms():
    assert distinct_names((COMPOSED, PARTED, "a")) == ("é (0)", "é (1)", "a")
    assert distinct_names(("a", "a", "a (0)")) == ("a (0)", "a (1)", "a (0) (2)")
    assert distinct_names(("\ud800", 3)) == ("\\ud800", "3")


# --- Parquet files ---

HALF = [i % 2 for i in range(12)]


@pytest.mark.parametrize(
    ("labels", "names", "class_names", "found"),
    [
        ([b"cat" if v else b"dog" for v in HALF], (), ("cat", "dog"), [1 - v for v in HALF]),
        (["cat" if v else "dog" for v in HALF], ("cat", "dog"), ("cat", "dog"), [1 - v for v in HALF]),
        (pa.array([2**63 + v for v in HALF], pa.uint64()), (), (str(2**63), str(2**63 + 1)), HALF),
        (pa.array(HALF, pa.float32()), (), ("0", "1"), HALF),
        (pa.array([2 * v - 1 for v in HALF], pa.int8()), (), ("-1", "1"), HALF),
        (pa.array(["a", "b"] * 6).dictionary_encode(), (), ("a", "b"), HALF),
        (pa.array(HALF).cast(pa.bool_()), (), ("0", "1"), HALF),
    ],
)
def test_columns_of_other_types(tmp_path, labels, names, class_names, found):
    listing = list_pictures(entry(path := write(tmp_path / "a.parquet", labels, names)), [path])
    assert (listing.class_names, listing.labels.tolist()) == (class_names, found)


@pytest.mark.parametrize("labels", [[[v] for v in HALF], [{"id": v} for v in HALF], [v / 2 for v in HALF]])
def test_columns_that_name_no_class(tmp_path, labels):
    path = write(tmp_path / "a.parquet", labels)
    with pytest.raises(SourceError, match=r"a\.parquet: column 'label': .*; options\.label names another"):
        list_pictures(entry(path), [path])


def test_pictures_of_another_binary_type(tmp_path):
    pictures = pa.array([png(i) for i in range(12)]).cast(pa.binary_view())
    pq.write_table(pa.table({"image": pictures, "label": [b"a", b"b"] * 6}), tmp_path / "a.parquet")
    images = open_images(entry(tmp_path / "a.parquet"), tmp_path / "cache")
    assert (len(images), images.class_names) == (12, ("a", "b"))


@pytest.mark.parametrize("missing", [None, -1])
def test_one_row_without_a_label_loses_that_row(tmp_path, missing):
    good = [i % 2 for i in range(20)]
    holed = [missing if i == 5 else label for i, label in enumerate(good)]
    write(tmp_path / "set" / "train-00000-of-00002.parquet", good)
    write(tmp_path / "set" / "train-00001-of-00002.parquet", holed, first=20)
    write(tmp_path / "set" / "test-00000-of-00001.parquet", good, first=40)
    mine = entry(tmp_path / "set")
    for images in (open_images(mine, tmp_path / "cache"), find_cached(mine, tmp_path / "cache")):
        assert (len(images), images.unlabelled, images.ignored.count) == (59, 1, 0)
        greys = images.pixels[:, 0, 0, 0]
        assert sorted(greys) == [grey for grey in range(60) if grey != 25]
        assert images.labels.tolist() == [int(grey) % 2 for grey in greys]
        assert images.is_query.tolist() == [grey >= 40 for grey in greys]
        assert images.image_ids.tolist() == list(range(59))


def test_floats_in_one_shard_and_whole_numbers_in_another(tmp_path):
    write(tmp_path / "set" / "train-0.parquet", pa.array([0, 1, None, 1]))
    write(tmp_path / "set" / "test-0.parquet", pa.array([0.0, 1.0, NAN]))
    listing = list_pictures(entry(tmp_path / "set"), [tmp_path / "set"])
    assert (listing.class_names, listing.labels.tolist()) == (("0", "1"), [0, 1, 0, 1, 1])
    assert (listing.is_query.tolist(), listing.unlabelled) == ([True, True, False, False, False], 2)


def test_pictures_that_stay_in_their_files_keep_their_labels(tmp_path):
    path = write(tmp_path / "a.parquet", [0, None, 1, 0, 1], size=lambda i: 8 + i)
    images = open_images(entry(path), tmp_path / "cache")
    assert images.pixels is None and images.unlabelled == 1 and images.labels.tolist() == [0, 1, 0, 1]
    found = [(place, picture.name) for place, picture in images.pictures.at(np.arange(4))]
    assert found == [(place, f"a.parquet, row {row}") for place, row in enumerate((0, 2, 3, 4))]


# --- CSV tables and plugins ---


def latin(*texts):
    """Make a column of strings that are no UTF-8, as writers in Latin-1 leave them."""
    return pa.Array.from_buffers(
        pa.string(), len(texts), pa.array([text.encode("latin-1") for text in texts], pa.binary()).buffers()
    )


def test_text_that_is_no_utf_8(tmp_path):
    """A path loses its own picture; a label or the name of a column is refused before any picture is read."""
    content = pa.array([None if i == 1 else png(i) for i in range(10)], pa.binary())
    paths = latin("a.png", "\xe9.png", *(f"{i}.png" for i in range(8)))
    pictures = pa.StructArray.from_arrays([content, paths], ["bytes", "path"])
    pq.write_table(pa.table({"image": pictures, "label": [0, 1] * 5}), tmp_path / "paths.parquet")
    images = open_images(entry(tmp_path / "paths.parquet"), tmp_path / "cache")
    assert [failure.image_id for failure in images.failures] == [1] and len(images) == 9
    write(tmp_path / "labels.parquet", latin("\xe9", "a"))
    named = write(tmp_path / "names.parquet", [0, 1])
    named.write_bytes(named.read_bytes().replace(b"label", b"lab\xffl"))
    for path in (tmp_path / "labels.parquet", named):
        with pytest.raises(U1Error, match=f"{path.name}.*utf-8"):
            open_images(entry(path), tmp_path / "cache")


def table(path, *rows):
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def test_a_csv_table_with_rows_without_labels(tmp_path):
    path = table(
        tmp_path / "t.csv",
        " Path, Label ,SPLIT",
        "a,cat,Train",
        "b,,train",
        "c,dog,train",
        "d, cat,DEV",
        "e,nan,dev",
    )
    listing = list_pictures(entry(path, "csv"), [path])
    assert (listing.class_names, listing.labels.tolist()) == (("cat", "dog"), [0, 1, 0])
    assert [picture.name for picture in listing.pictures()] == ["a", "c", "d"]
    assert (listing.is_query.tolist(), listing.unlabelled) == ([False, False, True], 2)


def test_two_columns_of_one_name_in_a_csv_table(tmp_path):
    path = table(tmp_path / "t.csv", "path,label,Label", "a,cat,dog")
    with pytest.raises(SourceError, match="2 columns label in"):
        list_pictures(entry(path, "csv"), [path])


def test_a_listing_leaves_out_what_has_no_label():
    listing = Listing(("a", "b"), np.array([0, -1, 1]), lambda: (Picture(str(i), b"") for i in range(4)))
    assert listing.labelled().labels.tolist() == [0, 1] and listing.labelled().unlabelled == 1
    assert [picture.name for picture in listing.labelled().pictures()] == [
        "0",
        "2",
        "3",
    ]  # one too many is told
    assert listing.labelled().labelled().unlabelled == 1


def test_one_class_alone_is_named(tmp_path):
    path = write(tmp_path / "a.parquet", [0, None], ("cat", "dog"))
    with pytest.raises(U1Error) as caught:
        open_images(entry(path), tmp_path / "cache")
    assert "1 classes in the memory split, at least 2 are needed: cat; 1 rows without a label" in str(
        caught.value
    )


def part(labels, names):
    return official._Part([Picture(str(i), b"") for i in range(len(labels))], np.array(labels), names)


def test_torchvision_s_unlabelled_pictures_are_no_class():
    """STL-10's split 'train+unlabeled' has -1 where there is no label."""
    listing = official._join([part([1, -1, 0], ("cat", "dog"))])
    assert (listing.class_names, listing.labels.tolist(), listing.unlabelled) == (("cat", "dog"), [1, 0], 1)
    other = official._join([part([1, -1], ("cat", "dog")), part([0, 1], ("ant", "cat"))])
    assert other.class_names == ("ant", "cat", "dog") and other.labels.tolist() == [2, 0, 1]
    unnamed = official._join([part([7, 3, -1], ())])
    assert (unnamed.class_names, unnamed.labels.tolist(), unnamed.unlabelled) == (("3", "7"), [1, 0], 1)


@pytest.mark.parametrize("label", [0.7, "cat", NAN, np.float32(1.5)])
def test_torchvision_s_labels_are_whole_numbers(label):
    with pytest.raises(SourceError, match="one number per picture is needed as its label"):
        official._as_label(label)
