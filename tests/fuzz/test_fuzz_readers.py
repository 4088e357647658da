"""Whatever lies where a data set should: its images, or a U1Error of one line."""

import csv
import gzip
import io
import json
import os
import pickle
import struct
import tempfile
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
    st.builds("{}{}".format, st.sampled_from("abcde"), SUFFIXES.map(str) | SUFFIXES.map(str.upper)),
    st.sampled_from(("a", "b", "train", "test", "query", ".hidden", "1.png", "2.jpg", "x.GIF")),
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
    assert len(images) == len(images.is_query) == len(images.image_ids)
    assert images.labels.max() < len(images.class_names)
    assert images.found == len(images) + len(images.failures) + images.unlabelled + images.ignored.count
    assert images.ignored.count == sum(count for _, count in images.ignored.kinds)
    repeats = images.repeats()
    assert 0 <= repeats.across <= images.is_query.sum() and 0 <= repeats.within < len(images)
    "".join(images.class_names).encode()  # or the lake could not store them
    answer(images.undecodable)
    return images.found


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
        found = read("folder", root, Path(scratch, "cache"), **({"size": size} if size else {}))
        assert found in (None, sum(len(names) for _, _, names in os.walk(root)))


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


@st.composite
def tables(draw):
    """A Parquet file as hubs store images, or nearly."""
    rows = draw(st.integers(0, 6))
    labels = draw(
        st.sampled_from((st.integers(-1, 3), st.integers(-(2**63), 2**63 - 1), words, st.floats(), st.none()))
    )
    columns = {
        "image": draw(st.lists(CELLS, min_size=rows, max_size=rows)),
        "label": draw(st.lists(st.one_of(labels, labels, st.none()), min_size=rows, max_size=rows)),
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
        put(Path(scratch), "data.parquet", content)
        read("parquet", Path(scratch, "data.parquet"), Path(scratch, "cache"))


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
