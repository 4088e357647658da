"""Data sets in the user's own files: folders, CSV tables and Parquet files, and what must not be followed."""

import io
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from u1core.catalog.datasets import parse
from u1core.common.errors import U1Error
from u1core.images.cache import find_cached, open_images
from u1core.images.repeats import Repeats, count_repeats, digest_rows
from u1core.images.sources.folder import walk
from u1core.images.sources.listing import SourceError
from u1core.images.sources.pictures import FORMATS, decode_picture
from u1core.images.sources.reading import list_pictures, state_of


def entry(kind, path, **options):
    return parse("mine", {"kind": kind, "options": {"path": str(path), **options}})


def grey(value, size=8):
    return Image.fromarray(np.full((size, size), value, dtype=np.uint8))


def write(path, value, size=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    grey(value, size).save(path)
    return path


def png(value):
    stream = io.BytesIO()
    grey(value).save(stream, "PNG")
    return stream.getvalue()


def greys(images):
    return images.pixels[:, 0, 0, 0].tolist()


def reasons(images):
    return [failure.error for failure in images.failures]


def refused(wrong, tmp_path):
    with pytest.raises(U1Error) as caught:
        open_images(wrong, tmp_path / "cache")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def files_below(folder):
    return sum(len(files) for _, _, files in os.walk(folder))


@pytest.fixture
def data(tmp_path):
    """Two classes of four pictures, whose greys are 10 to 13 and 20 to 23."""
    for name, first in (("cat", 10), ("dog", 20)):
        for i in range(4):
            write(tmp_path / "data" / name / f"{i}.png", first + i)
    return tmp_path / "data"


@pytest.fixture
def outside(tmp_path):
    """A picture and a class folder that no data set may show."""
    write(tmp_path / "secret" / "x.png", 99)
    return tmp_path / "secret"


# --- folders ---


def test_hidden_and_foreign_files_are_counted(data, tmp_path):
    for name in (
        "README",
        "cat/notes.txt",
        "cat/.hidden.png",
        ".git/a/b.png",
        "top.png",
        "dog/.thumbs/0.png",
    ):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(png(1))
    (data / "dog" / "3.png").write_bytes(b"")
    images = open_images(entry("folder", data), tmp_path / "cache")
    assert len(images) + len(images.failures) + images.ignored.count == files_below(data) == 14
    assert set(images.ignored.names) == {
        *("README", "cat/notes.txt", "cat/.hidden.png", ".git/a/b.png", "top.png", "dog/.thumbs/0.png")
    }
    assert reasons(images) == ["dog/3.png: an empty file"]
    assert images.class_names == ("cat", "dog")


def test_nested_names_are_kept_apart(tmp_path):
    for i, name in enumerate(["a/0.png", "a/deep/0.png", "a/deep/er/0.png", "b/0.png", "b/a/0.png"]):
        write(tmp_path / "data" / name, i)
    images = open_images(entry("folder", tmp_path / "data"), tmp_path / "cache")
    assert greys(images) == [0, 1, 2, 3, 4]
    assert images.labels.tolist() == [0, 0, 0, 1, 1]
    # sorted as paths are: a/deep before a-b, whatever '-' and '/' are in ASCII
    write(tmp_path / "data" / "a-b" / "0.png", 9)
    assert [found.name for found in walk(tmp_path / "data")][-1] == "b/a/0.png"


@pytest.mark.parametrize(
    "odd", ["with space", "päron 梨", "new\nline", "quo'te\"s", "semi;colon$HOME`x`", "-rf"]
)
def test_odd_names_survive(data, tmp_path, odd):
    write(data / odd / f"{odd}.png", 30)
    write(data / odd / "b.png", 31)
    (data / odd / f"{odd}0.jpg").write_bytes(b"no picture")
    images = open_images(entry("folder", data), tmp_path / "cache")
    assert odd in images.class_names and {30, 31} <= set(greys(images))
    (reason,) = reasons(images)
    assert reason.endswith("or damaged") and "\n" not in reason


def test_a_name_that_is_not_utf8(data, tmp_path):
    folder = os.fsencode(data) + b"/caf\xe9"
    Path(os.fsdecode(folder)).mkdir()
    for i in range(2):
        shutil.copy(data / "cat" / f"{i}.png", folder + b"/\xff%d.png" % i)
    images = open_images(entry("folder", data), tmp_path / "cache")
    assert images.class_names == ("caf\\xe9", "cat", "dog") and len(images) == 10
    json.dumps(images.class_names).encode()


@pytest.mark.parametrize(
    ("memory", "query", "left_out"),
    [
        ("train", "val", "none"),
        ("train", "test", "val"),
        ("memory", "query", "train"),
        ("train", "valid", "x"),
    ],
)
def test_splits_by_any_of_their_names(tmp_path, memory, query, left_out):
    for split, n in ((memory, 3), (query, 2), (left_out, 1)):
        for name in ("n01440764", "n01443537"):
            for i in range(n):
                write(tmp_path / "data" / split / name / f"{i}.png", i)
    images = open_images(entry("folder", tmp_path / "data"), tmp_path / "cache")
    assert images.is_query.tolist() == sorted(images.is_query) or query < memory
    assert (int((~images.is_query).sum()), int(images.is_query.sum())) == (6, 4)
    assert images.class_names == ("n01440764", "n01443537")
    assert images.ignored.count == 2 and all(n.startswith(left_out) for n in images.ignored.names)


def test_an_unlabelled_test_folder_is_no_split(tmp_path):
    for split in ("train", "val"):
        for name in ("a", "b"):
            write(tmp_path / "data" / split / name / "0.png", 1)
    write(tmp_path / "data" / "test" / "0.png", 1)  # as ImageNet's
    images = open_images(entry("folder", tmp_path / "data"), tmp_path / "cache")
    assert len(images) == 4 and images.ignored.names == ("test/0.png",)


def test_size_makes_every_picture_of_it(data, tmp_path):
    write(data / "cat" / "large.png", 5, size=40)
    assert open_images(entry("folder", data, size=12), tmp_path / "cache").pixels.shape == (9, 12, 12, 3)
    in_files = open_images(entry("folder", data), tmp_path / "cache")
    assert in_files.pixels is None and len(in_files) == 9
    (data / "cat" / "large.png").unlink()
    assert open_images(entry("folder", data), tmp_path / "cache").pixels.shape == (8, 8, 8, 3)


# --- links ---


def test_links_that_lead_out_are_failures(data, outside, tmp_path):
    (data / "cat" / "link.png").symlink_to(outside / "x.png")
    (data / "dog" / "up").symlink_to(outside)
    (data / "emu").symlink_to(outside)
    (data / "notes.txt").symlink_to("/etc/passwd")
    images = open_images(entry("folder", data), tmp_path / "cache")
    assert 99 not in greys(images) and images.class_names == ("cat", "dog", "emu")
    assert [reason.partition(": leads out of ")[0] for reason in reasons(images)] == [
        *("cat/link.png", "dog/up", "emu")
    ]
    assert len(images) == 8 and images.ignored.names == ("notes.txt",)
    followed = open_images(entry("folder", data, follow_links=True), tmp_path / "cache")
    assert greys(followed).count(99) == 3 and not followed.failures


def test_links_inside_are_fine(data, tmp_path):
    (data / "cat" / "4.png").symlink_to(data / "dog" / "0.png")
    (data / "emu").symlink_to("dog")
    (data / "cat" / "5.png").symlink_to("nowhere.png")
    images = open_images(entry("folder", data), tmp_path / "cache")
    assert greys(images) == [10, 11, 12, 13, 20, 20, 21, 22, 23, 20, 21, 22, 23]
    assert reasons(images) == ["cat/5.png: FileNotFoundError: No such file or directory"]


def test_links_in_a_circle_end(data, tmp_path):
    (data / "cat" / "round").symlink_to(data)
    (data / "dog" / "self.png").symlink_to(data / "dog" / "self.png")
    images = open_images(entry("folder", data), tmp_path / "cache")
    assert len(images) == 8
    assert reasons(images)[0] == "cat/round: leads back to a folder above it"
    assert "dog/self.png: " in reasons(images)[1]


def test_the_folder_itself_may_be_a_link(data, tmp_path):
    (tmp_path / "link").symlink_to(data)
    assert len(open_images(entry("folder", tmp_path / "link"), tmp_path / "cache")) == 8


def test_a_split_behind_a_link_is_told(tmp_path, outside):
    for name in ("a", "b"):
        write(tmp_path / "data" / "val" / name / "0.png", 1)
    (tmp_path / "data" / "train").symlink_to(outside)
    assert "train leads out of" in refused(entry("folder", tmp_path / "data"), tmp_path)


def test_folders_deeper_than_any_recursion(data, tmp_path):
    here = os.open(data / "cat", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        here, above = os.open("d", os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(here)
    try:
        assert len(open_images(entry("folder", data), tmp_path / "cache")) == 8
    finally:
        subprocess.run(["rm", "-rf", data], check=True)  # pytest's own clean-up is recursive


# --- the cache of what the user may change ---


def test_a_changed_picture_is_decoded_again(data, tmp_path):
    mine = entry("folder", data)
    first = open_images(mine, tmp_path / "cache")
    assert find_cached(mine, tmp_path / "cache").ignored == first.ignored
    (data / "cat" / "note.txt").touch()  # no picture: nothing to decode
    assert find_cached(mine, tmp_path / "cache") is not None
    write(data / "cat" / "0.png", 200, size=8)
    os.utime(data / "cat" / "0.png", ns=(1, 1))
    assert find_cached(mine, tmp_path / "cache") is None
    assert greys(open_images(mine, tmp_path / "cache"))[0] == 200


def test_a_failure_more_is_another_data_set(data, tmp_path):
    first = open_images(entry("folder", data), tmp_path / "cache")
    (data / "cat" / "00.png").touch()  # the same pictures, under other ids
    second = open_images(entry("folder", data), tmp_path / "cache")
    np.testing.assert_array_equal(first.pixels, second.pixels)
    assert first.fingerprint != second.fingerprint


# --- CSV ---


def csv_of(folder, text):
    (folder / "labels.csv").write_text(text, encoding="utf-8")
    return folder / "labels.csv"


def test_a_csv_table(data, outside, tmp_path):
    lines = ["who,label,path", *(f"x,{'BA'[i % 2]},cat/{i}.png" for i in range(4))]
    lines += [f"x,A,{data / 'dog' / '0.png'}", "x,B,../secret/x.png", f"x,A,{outside}/x.png", "x,B,gone.png"]
    lines += ["x,A,", 'x,B,"dog/../cat/0.png"', "x,A,dog"]
    images = open_images(entry("csv", csv_of(data, "\n".join(lines))), tmp_path / "cache")
    assert images.class_names == ("A", "B")
    assert greys(images) == [10, 11, 12, 13, 20, 10] and images.labels.tolist() == [1, 0, 1, 0, 0, 1]
    assert [r.replace(str(tmp_path), "") for r in reasons(images)] == [
        "../secret/x.png: leads out of /data",
        "/secret/x.png: leads out of /data",
        "gone.png: FileNotFoundError: No such file or directory",
        ": no path",
        "dog: not a regular file",
    ]
    assert len(images) + len(images.failures) == len(lines) - 1


def test_a_csv_table_with_splits_and_a_byte_order_mark(data, tmp_path):
    rows = [
        f"{c}/{i}.png,{c},{s}"
        for c in ("cat", "dog")
        for i, s in enumerate(["train", "train", "test", "val"])
    ]
    images = open_images(
        entry("csv", csv_of(data, "\ufeffpath,label,split\n" + "\n".join(rows))), tmp_path / "c"
    )
    assert images.is_query.tolist() == [False, False, True] * 2
    assert images.ignored.names == ("cat/3.png", "dog/3.png")


def test_a_csv_link_that_leads_out(data, outside, tmp_path):
    (data / "cat" / "9.png").symlink_to(outside / "x.png")
    rows = [f"{c}/{i}.png,{c}" for c in ("cat", "dog") for i in range(4)]
    images = open_images(
        entry("csv", csv_of(data, "\n".join(["path,label", *rows, "cat/9.png,cat"]))), tmp_path / "c"
    )
    assert len(images) == 8 and "cat/9.png: leads out of" in reasons(images)[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no column label and path in"),
        ("file,class\na,b\n", "which has file, class"),
        ("path,label\na.png,\n", "line 2: no label"),
        ("path,label,split\na.png,x,holdout\n", "line 2: split 'holdout', not one of memory, train, query"),
        ("path,label\na\0.png,x\n", "no path"),
        ("path,label\ncat, tabby.png,cat\n", "line 2: more values than columns"),
        ('path,label\na.png,"cat\nb.png,dog\n', "unexpected end of data"),
        ('path,label\na.png,"cat\nb.png,"dog"\n', "expected after"),
    ],
)
def test_mistakes_of_a_csv_table(data, tmp_path, text, reason):
    assert reason in refused(entry("csv", csv_of(data, text)), tmp_path)


def test_no_csv_table(tmp_path):
    assert "no csv files in" in refused(entry("csv", tmp_path / "none.csv"), tmp_path)


def test_a_picture_of_a_csv_table_changed(data, tmp_path):
    rows = [f"{c}/{i}.png,{c}" for c in ("cat", "dog") for i in range(4)]
    mine = entry("csv", csv_of(data, "\n".join(["path,label", *rows])))
    open_images(mine, tmp_path / "c")
    os.utime(data / "cat" / "0.png", ns=(1, 1))
    assert find_cached(mine, tmp_path / "c") is None


def test_names_that_other_readers_take_for_nothing_or_a_number_are_classes(data, tmp_path):
    names = ["007", "7", "NA", "None", "true"]
    rows = [f"{c}/{i}.png,{name}" for name in names for c in ("cat", "dog") for i in (0,)]
    images = open_images(entry("csv", csv_of(data, "\n".join(["path,label", *rows]))), tmp_path / "c")
    assert images.class_names == tuple(names)
    assert images.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def picture_beside(folder):
    write(folder / "0.png", 1)
    return folder / "0.png"


def one_of_folders(folder):
    return entry("folder", folder), picture_beside(folder / "cat")


def one_of_a_table(folder):
    return entry("csv", csv_of(folder, "path,label\n0.png,cat\n")), picture_beside(folder)


def one_beside_parquet(folder):
    table = hub(folder / "a.parquet", [{"bytes": None, "path": "0.png"}, *cells([1])], [0, 1])
    return entry("parquet", table), picture_beside(folder)


def one_parquet(folder):
    table = hub(folder / "a.parquet", cells([1, 2]), [0, 1])
    return entry("parquet", table), table


@pytest.mark.parametrize("kind", [one_of_folders, one_of_a_table, one_beside_parquet, one_parquet])
def test_a_file_that_was_replaced_is_seen_though_size_and_time_are_the_same(data, kind):
    mine, file = kind(data)
    before, state = file.stat(), state_of(mine, None)
    assert state_of(mine, None) == state
    file.write_bytes(file.read_bytes())  # as `rsync -t` or `cp -p` of another content of this length does
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert state_of(mine, None) != state


# --- Parquet ---


def hub(path, cells, labels, names=("cat", "dog"), column="label", **options):
    """Write a file as the `datasets` library does: struct of bytes and path, features in the metadata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    features = {"image": {"_type": "Image"}, column: {"names": list(names), "_type": "ClassLabel"}}
    picture = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    columns = {"image": pa.array(cells, picture), column: pa.array(labels)}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})} if names else {}
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path, **options)
    return path


def cells(values):
    return [{"bytes": png(value), "path": f"{value}.png"} for value in values]


def test_parquet_as_the_hub_has_it(tmp_path):
    folder = tmp_path / "data"
    hub(
        folder / "train-00000-of-00002.parquet",
        cells(range(40)),
        [i % 2 for i in range(40)],
        row_group_size=7,
    )
    hub(folder / "train-00001-of-00002.parquet", cells(range(40, 50)), [1, 0] * 5)
    hub(folder / "test-00000-of-00001.parquet", cells(range(50, 54)), [0, 1, 0, 1])
    hub(folder / "validation-00000-of-00001.parquet", cells(range(3)), [0, 1, 0])
    (folder / "README.md").touch()
    for path in (folder, folder / "*.parquet"):
        images = open_images(entry("parquet", path), tmp_path / "cache")
        assert sorted(greys(images)) == list(range(54)) and images.class_names == ("cat", "dog")
        assert sorted(np.array(greys(images))[images.is_query]) == [50, 51, 52, 53]
        np.testing.assert_array_equal(images.labels[~images.is_query][:40], np.arange(40) % 2)
        assert images.ignored.count == 3
        assert images.ignored.names[0] == "validation-00000-of-00001.parquet, row 0"


def test_parquet_by_configuration_and_split_folder(tmp_path):
    hub(tmp_path / "data" / "default" / "train" / "0000.parquet", cells(range(4)), [0, 1, 0, 1])
    hub(tmp_path / "data" / "default" / "partial-test" / "0000.parquet", cells(range(4, 8)), [0, 1, 0, 1])
    images = open_images(
        entry("parquet", tmp_path / "data" / "default" / "**" / "*.parquet"), tmp_path / "cache"
    )
    assert images.is_query.sum() == 4 and set(np.array(greys(images))[images.is_query]) == {4, 5, 6, 7}


def test_a_split_whose_labels_are_hidden_is_left_out(tmp_path):
    for split, labels in (("train", [0, 1, 0, 1]), ("test", [-1] * 4), ("validation", [0, 0, 1, 1])):
        hub(tmp_path / "data" / f"{split}-0.parquet", cells(range(4)), labels)
    images = open_images(entry("parquet", tmp_path / "data"), tmp_path / "cache")
    assert len(images) == 8 and images.ignored.names[0] == "test-0.parquet, row 0"


def test_parquet_without_splits_or_names(tmp_path):
    hub(tmp_path / "a.parquet", cells(range(6)), [30, 5, 30, 5, 30, 5], names=())
    images = open_images(entry("parquet", tmp_path / "a.parquet"), tmp_path / "cache")
    assert images.class_names == ("5", "30") and images.labels.tolist() == [1, 0, 1, 0, 1, 0]
    assert images.is_query.tolist() == [False, False, True, True, False, False]
    hub(tmp_path / "b.parquet", cells(range(4)), ["x", "é", "x", "é"], names=())
    assert open_images(entry("parquet", tmp_path / "b.parquet"), tmp_path / "cache").class_names == ("x", "é")


def test_two_classes_of_one_name(tmp_path):
    hub(tmp_path / "a.parquet", cells(range(4)), [0, 1, 0, 1], names=("crane", "crane", "kite"))
    images = open_images(entry("parquet", tmp_path / "a.parquet"), tmp_path / "cache")
    assert images.class_names == ("crane (0)", "crane (1)", "kite")


def test_cells_of_every_kind(tmp_path, outside):
    write(tmp_path / "in" / "beside.png", 7)
    rows = [
        *cells([1, 2]),
        {"bytes": None, "path": "in/beside.png"},
        {"bytes": None, "path": "../secret/x.png"},
        {"bytes": None, "path": str(outside / "x.png")},
        {"bytes": None, "path": None},
        None,
        {"bytes": b"", "path": "e.png"},
        {"bytes": b"nonsense", "path": "n.png"},
        *cells([3, 4, 5]),
    ]
    inner = tmp_path / "set"
    shutil.copytree(tmp_path / "in", inner / "in")
    path = hub(inner / "a.parquet", rows, [i % 2 for i in range(len(rows))])
    images = open_images(entry("parquet", path), tmp_path / "cache")
    assert greys(images) == [1, 2, 7, 3, 4, 5] and images.image_ids.tolist() == [0, 1, 2, 9, 10, 11]
    assert [reason.replace(str(tmp_path), "") for reason in reasons(images)] == [
        "a.parquet, row 3, ../secret/x.png: leads out of /set",
        "a.parquet, row 4, /secret/x.png: leads out of /set",
        "a.parquet, row 5: neither bytes nor a path",
        "a.parquet, row 6: neither bytes nor a path",
        "a.parquet, row 7, e.png: an empty file",
        f"a.parquet, row 8, n.png: not a picture in one of {', '.join(FORMATS)}, or damaged",
    ]


def test_columns_of_other_names(tmp_path):
    hub(tmp_path / "a.parquet", cells(range(4)), [0, 1, 0, 1], column="fine_label")
    assert len(open_images(entry("parquet", tmp_path / "a.parquet"), tmp_path / "cache")) == 4
    table = pq.read_table(tmp_path / "a.parquet")
    table = table.append_column("coarse", pa.array([1, 1, 0, 0])).append_column("raw", pa.array([png(9)] * 4))
    pq.write_table(table.replace_schema_metadata(None), tmp_path / "b.parquet")
    message = refused(entry("parquet", tmp_path / "b.parquet"), tmp_path)
    assert "which column is the label? options.label names it: image, fine_label, coarse, raw" in message
    chosen = entry("parquet", tmp_path / "b.parquet", label="coarse", image="raw")
    images = open_images(chosen, tmp_path / "cache")
    assert images.labels.tolist() == [1, 1, 0, 0] and greys(images) == [9] * 4
    wrong = entry("parquet", tmp_path / "b.parquet", label="corse")
    assert "no column 'corse'; nearest: coarse" in refused(wrong, tmp_path)


@pytest.mark.parametrize("first", ["label", "label.fine"])
def test_a_column_is_its_whole_name(tmp_path, first):
    """Parquet writes the fields of a struct as `label.fine`, and a column may be called so too."""
    columns = {"label": pa.array([{"fine": 7}] * 4), "label.fine": pa.array([0, 1, 2, 3])}
    table = pa.table({"image": cells(range(4)), **{n: columns[n] for n in sorted(columns, key=first.__ne__)}})
    pq.write_table(table, tmp_path / "a.parquet")
    listing = list_pictures(entry("parquet", "", label="label.fine"), [tmp_path / "a.parquet"])
    assert listing.labels.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("twice", ["image", "label"])
def test_two_columns_of_one_name_are_refused(tmp_path, twice):
    columns = {"image": pa.array(cells(range(2))), "label": pa.array([0, 1])}
    names = ["image", "label", twice]
    pq.write_table(pa.Table.from_arrays([columns[n] for n in names], names), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=f"2 columns '{twice}'"):
        list_pictures(entry("parquet", "", image="image"), [tmp_path / "a.parquet"])


def test_row_groups_without_rows_and_columns_in_another_order(tmp_path):
    table = pa.table({"image": cells([1, 2, 3]), "label": [0, 1, 0]})
    with pq.ParquetWriter(tmp_path / "train-0.parquet", table.schema) as writer:
        for rows in (table.slice(0, 2), table.slice(0, 0), table.slice(2)):
            writer.write_table(rows)
    pq.write_table(table.select(["label", "image"]), tmp_path / "test-0.parquet")
    listing = list_pictures(entry("parquet", ""), [tmp_path])
    assert listing.labels.tolist() == [0, 1, 0] * 2 and listing.is_query.tolist() == [True] * 3 + [False] * 3
    assert [decode_picture(p.content, None)[0, 0, 0] for p in listing.pictures()] == [1, 2, 3] * 2


def test_a_damaged_row_group_loses_its_rows_alone(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    rows = []
    for picture in noise:
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "PNG")
        rows.append({"bytes": stream.getvalue(), "path": "x"})
    path = hub(tmp_path / "a.parquet", rows, [0, 1] * 6, row_group_size=4, write_page_checksum=True)
    at = pq.ParquetFile(path).metadata.row_group(1).column(0).dictionary_page_offset + 100
    raw = bytearray(path.read_bytes())
    raw[at : at + 50] = bytes(50)
    path.write_bytes(raw)
    images = open_images(entry("parquet", path), tmp_path / "cache")
    assert images.image_ids.tolist() == [0, 1, 2, 3, 8, 9, 10, 11]
    np.testing.assert_array_equal(images.pixels, noise[[0, 1, 2, 3, 8, 9, 10, 11]])
    assert [failure.image_id for failure in images.failures] == [4, 5, 6, 7]
    assert all("row group 1: " in reason and "\n" not in reason for reason in reasons(images))


def test_mistakes_of_parquet_files(tmp_path):
    assert "no parquet files in" in refused(entry("parquet", tmp_path / "*.parquet"), tmp_path)
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing more")
    assert "a.parquet: " in refused(entry("parquet", tmp_path / "a.parquet"), tmp_path)
    hub(tmp_path / "b.parquet", cells(range(2)), [0, None])
    assert "rows without a label" in refused(entry("parquet", tmp_path / "b.parquet"), tmp_path)
    hub(tmp_path / "c" / "train.parquet", cells(range(4)), [0, 1, 0, 1])
    hub(tmp_path / "c" / "test.parquet", cells(range(4)), [0, 1, 0, 1], names=("dog", "cat"))
    assert "files that name different classes" in refused(entry("parquet", tmp_path / "c"), tmp_path)
    hub(tmp_path / "d.parquet", cells(range(4)), [0, 1, 2, 1])
    assert "labels 0 to 2, but 2 class names" in refused(entry("parquet", tmp_path / "d.parquet"), tmp_path)


def test_listing_decodes_nothing(data):
    (data / "cat" / "0.png").write_bytes(b"not a picture")
    listing = list_pictures(entry("folder", data), [data])
    assert len(listing.labels) == 8 and listing.class_names == ("cat", "dog")


# --- counts ---


def counts(images):
    return images.found, len(images), len(images.failures), images.unlabelled, images.ignored.count


def test_pictures_of_every_suffix_are_taken_in_any_case(tmp_path):
    suffixes = {
        "JPEG": ".JFIF", "PNG": ".apng", "GIF": ".Gif", "BMP": ".dib", "TIFF": ".TIF", "WEBP": ".webp",
        "PPM": ".pnm", "JPEG2000": ".jp2", "AVIF": ".AVIF",
    }  # fmt: skip
    for name in ("cat", "dog"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for format_, suffix in suffixes.items():
            grey(90).save(tmp_path / "data" / name / f"0{suffix}", format_)
    images = open_images(entry("folder", tmp_path / "data"), tmp_path / "cache")
    assert counts(images) == (18, 18, 0, 0, 0)
    assert np.abs(images.pixels.astype(int) - 90).max() <= 1


def test_what_is_ignored_is_counted_by_kind(data, tmp_path):
    names = [
        "cat/a.txt",
        "cat/b.TXT",
        "dog/c.json",
        "Thumbs.db",
        ".DS_Store",
        "cat/.x.png",
        "top.png",
        "NOTES",
    ]
    for name in names:
        (data / name).write_bytes(png(1))
    images = open_images(entry("folder", data), tmp_path / "cache")
    assert counts(images) == (16, 8, 0, 0, 8)
    assert dict(images.ignored.kinds) == {
        ".txt": 2,
        "hidden": 2,
        ".db": 1,
        ".json": 1,
        "without suffix": 1,
        "pictures outside the classes and splits": 1,
    }
    assert find_cached(entry("folder", data), tmp_path / "cache").ignored == images.ignored


@pytest.mark.parametrize("foreign", [8, 9])
def test_more_files_of_unknown_kinds_than_pictures_are_refused(data, tmp_path, foreign):
    for number in range(foreign):
        (data / "cat" / f"{number}.tga").touch()
    for number in range(30):
        (data / "cat" / f"{number}.txt").touch()  # a note to every picture is nothing odd
    if foreign == 8:
        assert counts(open_images(entry("folder", data), tmp_path / "cache")) == (46, 8, 0, 0, 38)
    else:
        message = refused(entry("folder", data), tmp_path)
        assert "8 pictures among other files (9 .tga): convert them if they are pictures" in message


def test_a_folder_of_other_files_alone_names_them(tmp_path):
    for number in range(3):
        (tmp_path / "data" / "a").mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "a" / f"{number}.xcf").touch()
    assert "but 3 .xcf" in refused(entry("folder", tmp_path / "data"), tmp_path)


def test_pictures_that_no_decoder_knows_are_failures_with_their_reason(tmp_path):
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    for name in ("a", "b"):
        write(tmp_path / "data" / name / "0.png", 1)
        write(tmp_path / "data" / name / "1.png", 2)
        (tmp_path / "data" / name / "2.HEIC").write_bytes(heic)
    images = open_images(entry("folder", tmp_path / "data"), tmp_path / "cache")
    assert counts(images) == (6, 4, 2, 0, 0)
    assert reasons(images)[0].startswith("a/2.HEIC: HEIC, which Pillow can't decode")


NAMES = st.sampled_from(
    ["0.png", "1.JPG", "2.gif", "bad.png", "x.tga", "y.txt", ".z", "w", "deep/3.png", ".d/4.png", "v.TIFF"]
)


@settings(deadline=None, max_examples=30)
@given(st.dictionaries(st.sampled_from("abcd"), st.sets(NAMES, min_size=1), max_size=4), st.sets(NAMES))
def test_every_file_found_is_a_row_a_failure_or_ignored(classes, above):
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, "data")
        for name in [f"{c}/{name}" for c, names in classes.items() for name in names] + sorted(above):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(b"nothing" if "bad" in name else png(7))
        root.mkdir(exist_ok=True)
        try:
            images = open_images(entry("folder", root), Path(scratch, "cache"))
        except U1Error:
            return
        found, *parts = counts(images)
        assert found == sum(parts) == files_below(root)


# --- the same picture twice ---


def test_pictures_of_both_splits_are_counted(tmp_path):
    for split, first in (("train", 0), ("test", 2)):
        for name in ("a", "b"):
            for number in range(first, first + 3):
                write(tmp_path / "data" / split / name / f"{number}.png", number + 10 * (name == "b"))
    mine = entry("folder", tmp_path / "data")
    images = open_images(mine, tmp_path / "cache")
    assert (images.repeats().across, images.repeats().within) == (2, 0)  # greys 2 and 12
    write(tmp_path / "data" / "train" / "a" / "again.png", 0)
    assert open_images(mine, tmp_path / "cache").repeats() == Repeats(2, 1)
    # Of several sizes: they stay in their files, and what is the same is told by the files' bytes.
    write(tmp_path / "data" / "train" / "a" / "large.png", 0, size=40)
    in_files = open_images(mine, tmp_path / "cache")
    assert in_files.pixels is None and in_files.repeats() == Repeats(2, 1)
    memory = np.flatnonzero(~in_files.is_query)
    assert in_files.repeats(memory) == Repeats(0, 1)


@pytest.mark.parametrize("size", [8, 40])
def test_a_set_cached_before_anything_was_counted_says_so(data, tmp_path, size):
    write(data / "cat" / "0.png", 10, size)
    mine = entry("folder", data)
    images = open_images(mine, tmp_path / "cache")
    (folder,) = (tmp_path / "cache").glob("mine-*")
    meta = json.loads((folder / "meta.json").read_text())
    del meta["unlabelled"], meta["found"], meta["ignored"]["kinds"]
    (folder / "meta.json").write_text(json.dumps(meta))
    (folder / "digests.npy").unlink()
    old = find_cached(mine, tmp_path / "cache")
    assert counts(old) == (None, 8, 0, None, 0) and old.fingerprint == images.fingerprint
    assert old.repeats() == (Repeats(0, 0) if size == 8 else None)  # decoded pixels are there to be counted


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=20))
def test_repeats_are_those_of_counting_by_hand(pictures):
    values = np.array([value for value, _ in pictures], dtype=np.uint8).reshape(-1, 1, 1, 1)
    is_query = np.array([flag for _, flag in pictures], dtype=bool)
    memory = [value for value, flag in pictures if not flag]
    query = [value for value, flag in pictures if flag]
    across = sum(value in memory for value in query)
    within = sum(value in split[:place] for split in (memory, query) for place, value in enumerate(split))
    assert count_repeats(digest_rows(values), is_query) == Repeats(across, within)
