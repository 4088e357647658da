"""Whatever lies where a data set should: its images, or a U1Error of one line."""

import csv
import gzip
import io
import json
import os
import pickle
import struct
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fuzzing import HOSTILE, answer, damaged, fuzzed, words
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from u1core.catalog.entries import DatasetEntry
from u1core.images.cache import Images, open_images
from u1core.images.sources.reading import list_pictures
from u1core.images.sources.splits import MEMORY_NAMES, QUERY_NAMES
from u1core.images.sources.suffixes import COMPANIONS, IMAGE_SUFFIXES


def _encoded(format_, mode="RGB", **options):
    buffer = io.BytesIO()
    picture = Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).convert(mode)
    picture.save(buffer, format_, **options)
    return buffer.getvalue()


PICTURES = [
    *(_encoded(name) for name in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")),
    *(_encoded("PNG", mode) for mode in ("1", "L", "LA", "P", "RGBA", "I;16")),
    *(_encoded("TIFF", mode) for mode in ("1", "CMYK", "F", "I;16", "LAB", "YCbCr")),
    *(_encoded("TIFF", mode, tiffinfo={262: 0}, compression="tiff_lzw") for mode in ("1", "L", "I;16")),
    *(_encoded("JPEG", "CMYK"), b"P5 8 8 1023\n" + bytes(128), b"Pf 8 8 -1\n" + bytes(256)),
]
SUFFIXES = st.sampled_from((*IMAGE_SUFFIXES, *sorted(COMPANIONS), ".tga", ".dng", ".svg", ""))
CONTENTS = st.one_of(st.sampled_from(PICTURES), damaged(PICTURES), st.binary(max_size=30))
NAMES = st.one_of(
    st.sampled_from(("a", "b", "train", "Test", "dev_set", "query", ".hidden", "1.png", "2.jpg", "x.GIF")),
    st.builds("{}{}".format, st.sampled_from("abcde"), SUFFIXES.map(str) | SUFFIXES.map(str.upper)),
    words,
    st.binary(min_size=1, max_size=20).map(os.fsdecode),
)


def entry(kind, **options):
    classes = () if kind in ("folder", "csv", "parquet") else tuple("abcdefghij")
    return DatasetEntry("fuzz", kind, ("directory",), classes, "fuzz", None, None, None, options)


def read(kind, path, cache, **options):
    """Open a data set, decode every picture, and see that what is told fits together."""
    images = answer(open_images, entry(kind, path=str(path), **options), Path(cache))
    if images is None:
        return None
    assert isinstance(images, Images)
    assert len(set(images.class_names)) == len(images.class_names) and images.labels.min() >= 0
    assert len(images) == len(images.is_query) == len(images.image_ids)
    assert images.labels.max() < len(images.class_names)
    assert images.found == len(images) + len(images.failures) + images.unlabelled + images.ignored.count
    assert images.ignored.count == sum(count for _, count in images.ignored.kinds)
    repeats = images.repeats()
    assert 0 <= repeats.across <= images.is_query.sum() and 0 <= repeats.within < len(images)
    "".join(images.class_names).encode()  # or the lake could not store them
    answer(images.undecodable)
    return images


def put(root, name, content):
    """Write a file below a folder, if the system takes its name."""
    try:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except (OSError, ValueError):
        pass


def tree_name(parts):
    return "/".join(part.replace("/", "|") for part in parts if part not in ("", ".", ".."))


@fuzzed
@given(
    st.lists(st.tuples(st.lists(NAMES, min_size=1, max_size=3), CONTENTS), max_size=8),
    st.lists(st.tuples(words, st.sampled_from(PICTURES)), max_size=6),
    st.sampled_from((None, 8)),
)
def test_a_folder(files, classes, size):
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, "data")
        root.mkdir()
        for parts, content in files:
            put(root, tree_name(parts) or "x", content)
        for number, (name, content) in enumerate(classes):
            put(root, tree_name([name, f"{number}.png"]), content)
            put(root, tree_name([name, f"{number}b.png"]), content)
        images = read("folder", root, Path(scratch, "cache"), **({"size": size} if size else {}))
        assert images is None or images.found == sum(len(names) for _, _, names in os.walk(root))


PATHS = st.one_of(st.sampled_from(("a.png", "b.png", "missing.png", *HOSTILE)), words)
ROWS = st.lists(
    st.tuples(
        PATHS,
        st.one_of(st.sampled_from(("cat", "dog")), words),
        st.sampled_from(("train", "test", "", "odd")),
    ),
    max_size=12,
)


def _table(rows):
    buffer = io.StringIO()
    csv.writer(buffer).writerows([("path", "label", "split"), *rows])
    return buffer.getvalue().encode()


@fuzzed
@given(st.one_of(ROWS.map(_table), damaged(ROWS.map(_table)), st.binary(max_size=60)))
def test_a_csv_table(content):
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        put(root, "a.png", PICTURES[0])
        put(root, "b.png", PICTURES[1])
        put(root, "table.csv", content)
        read("csv", root / "table.csv", root / "cache")


CELLS = st.one_of(
    st.none(),
    st.fixed_dictionaries({"bytes": st.one_of(st.none(), CONTENTS), "path": st.one_of(st.none(), PATHS)}),
)
NAMED = st.one_of(st.lists(st.one_of(words, st.just("\ud800"), st.integers()), max_size=4), words, st.none())


UNSIGNED = st.integers(0, 2**64 - 1)
LABELS = (
    *(st.integers(-1, 3), st.integers(-1, 1), st.integers(-(2**63), 2**63 - 1), UNSIGNED),
    *(words, st.sampled_from(("e\u0301", "\u00e9", "cat", "")), st.binary(max_size=3), st.booleans()),
    *(st.floats(), st.sampled_from((0.0, 1.0, -1.0, float("nan"))), st.decimals(0, 3, places=1), st.none()),
    *(st.lists(st.integers(0, 2), max_size=2), st.fixed_dictionaries({"id": st.integers(0, 2)}), st.dates()),
)


@st.composite
def tables(draw):
    """A Parquet file as hubs store images, or nearly."""
    rows = draw(st.integers(0, 6))
    labels = draw(st.sampled_from(LABELS))
    # Of whole numbers Arrow infers a signed type from the first ones, and refuses a later one beyond it.
    type_ = pa.uint64() if labels is UNSIGNED else None
    values = draw(st.lists(st.one_of(labels, labels, st.none()), min_size=rows, max_size=rows))
    columns = {
        "image": draw(st.lists(CELLS, min_size=rows, max_size=rows)),
        "label": pa.array(values, type_),
    }
    table = pa.table(columns)
    if draw(st.booleans()):
        features = {"label": {"_type": "ClassLabel", "names": draw(NAMED)}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, row_group_size=max(1, rows // 2))
    return buffer.getvalue()


@fuzzed
@given(st.one_of(tables(), damaged(tables()), st.binary(max_size=60)))
def test_a_parquet_file(content):
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "data.parquet")
        put(Path(scratch), "data.parquet", content)
        images = read("parquet", path, Path(scratch, "cache"))
        if images is not None:
            told = len(images) + len(images.failures) + images.unlabelled + images.ignored.count
            assert told == pq.read_metadata(path).num_rows


def _spelt(words_of_a_split):
    added = st.sampled_from(("", "_set", "-set", " SET", "_split", "2017", "_images"))
    case = st.sampled_from((str.lower, str.upper, str.title, str.swapcase))
    return st.builds(lambda word, more, as_: as_(word + more), st.sampled_from(words_of_a_split), added, case)


CLASS_FOLDERS = st.text(st.sampled_from("ab\u00e9\u0301e\u1100\uac00\u00c5 "), min_size=1, max_size=4).map(
    str.strip
)


@fuzzed
@given(
    _spelt(MEMORY_NAMES),
    _spelt(QUERY_NAMES),
    st.lists(st.tuples(st.booleans(), CLASS_FOLDERS.filter(bool)), min_size=1, max_size=8),
    st.sampled_from(("", "wrapped/", "Train/", "a/b/")),
)
def test_splits_and_classes_in_any_spelling(memory, query, pictures, above):
    """Every picture has the split of its folder and the class of its name, however the two are written."""
    expected = {}
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, "data")
        for number, (is_query, name) in enumerate(pictures):
            put(root, f"{above}{query if is_query else memory}/{name}/{number}.png", b"")
            expected[f"{number}.png"] = is_query, unicodedata.normalize("NFC", name)
        for split in (memory, query):  # a split is one by its class folders, whatever they hold
            (root / above / split / "a").mkdir(parents=True, exist_ok=True)
        listing = list_pictures(entry("folder", path=str(root)), [root])
        names = [Path(picture.name).name for picture in listing.pictures()]
    found = zip(
        listing.is_query.tolist(), (listing.class_names[label] for label in listing.labels), strict=True
    )
    assert dict(zip(names, found, strict=True)) == expected
    assert set(listing.class_names) == {name for _, name in expected.values()}


def _idx(array):
    return (
        struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()
    )


def _idx_files():
    pixels, labels = np.arange(4 * 28 * 28).reshape(4, 28, 28) % 251, np.array([0, 1, 0, 1])
    for split in ("train", "t10k"):
        yield f"{split}-images-idx3-ubyte", _idx(pixels)
        yield f"{split}-labels-idx1-ubyte", _idx(labels)


def _pickles():
    batch = {"data": np.arange(2 * 3072).reshape(2, 3072).astype(np.uint8), "labels": [0, 1]}
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        yield f"cifar-10-batches-py/{name}", pickle.dumps(batch, protocol=2)


def _sheets():
    buffer = io.BytesIO()
    Image.fromarray(np.arange(2 * 1024 * 3, dtype=np.uint32).astype(np.uint8).reshape(2, 1024, 3)).save(
        buffer, "PNG"
    )
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        yield f"{name}.png", buffer.getvalue()
    yield "train_lables.json", json.dumps([0, 1] * 5).encode()
    yield "test_lables.json", b"[0, 1]"


LAYOUTS = {
    "idx": ("fashion_mnist", dict(_idx_files())),
    "idx.gz": ("fashion_mnist", {f"{name}.gz": gzip.compress(raw) for name, raw in _idx_files()}),
    "pickles": ("cifar10", dict(_pickles())),
    "sheets": ("cifar10", dict(_sheets())),
}


@fuzzed
@given(st.sampled_from(sorted(LAYOUTS)), st.data())
def test_large_files(layout, data):
    kind, files = LAYOUTS[layout]
    chosen = data.draw(st.sets(st.sampled_from(sorted(files)), max_size=2))
    with tempfile.TemporaryDirectory() as scratch:
        for name, content in files.items():
            put(Path(scratch), name, data.draw(damaged([content])) if name in chosen else content)
        read(kind, scratch, Path(scratch, "cache"))
