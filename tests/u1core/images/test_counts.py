"""What a reader passes over is found by other code that counts."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from u1core.catalog.datasets import parse
from u1core.images.cache import find_cached, open_images
from u1core.images.sources import csv_table, folder, parquet
from u1core.images.sources.listing import SourceError
from u1core.images.sources.reading import list_pictures


def listed(kind, path, **options):
    return list_pictures(parse("mine", {"kind": kind, "options": {"path": str(path), **options}}), [path])


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), len(path.name)).save(path)


@pytest.fixture
def tree(tmp_path):
    """Six files and links that lead inside, in circles, out, and nowhere."""
    root = tmp_path / "data"
    for name in ("cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"):
        put(root / name)
    (root / ".hidden").mkdir()
    (root / ".hidden/note").touch()
    (root / "dog/note.txt").touch()
    put(tmp_path / "away/1.png")
    put(tmp_path / "away/2.png")
    links = {
        "cat/inside": root / "dog",
        "dog/back": root,
        "cat/out": tmp_path / "away",
        "cat/dead": "nowhere",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    return root


@pytest.mark.parametrize(("follow_links", "behind_out"), [(False, 1), (True, 2)])
def test_links_count_as_they_are_entered(tree, follow_links, behind_out):
    inside = 3 + 1  # a second way to the pictures and the note of dog, and to its link back
    assert listed("folder", tree, follow_links=follow_links).found == 6 + inside + 2 + behind_out


def test_a_folder_that_cannot_be_read_counts_as_one(tree, monkeypatch):
    scandir = os.scandir

    def guarded(path):
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    before = listed("folder", tree).found
    put(tree / "cat/shut/3.png")
    monkeypatch.setattr(os, "scandir", guarded)
    listing = listed("folder", tree)
    assert listing.found == before + 1
    assert str(next(p for p in listing.pictures() if p.name == "cat/shut").content) == "Permission denied"


def all_but_the_first(function):
    return lambda *arguments: list(function(*arguments))[1:]


def a_folder(scratch, patch):
    patch.setattr(folder, "walk", all_but_the_first(folder.walk))
    for name in ("data/cat/1.png", "data/dog/1.png", "data/dog/2.png"):
        put(scratch / name)
    return "folder", scratch / "data"


def a_csv_table(scratch, patch):
    patch.setattr(csv_table, "_read_rows", all_but_the_first(csv_table._read_rows))
    table = scratch / "table.csv"
    table.write_text('path,label\n\n"two\nlines.png",cat\n2.png,dog\n\n3.png,dog\n')
    return "csv", table


def a_parquet_file(scratch, patch):
    patch.setattr(parquet, "_read_labels", all_but_the_first(parquet._read_labels))
    pq.write_table(pa.table({"image": [b"", b"", b""], "label": [0, 1, 1]}), scratch / "x.parquet")
    return "parquet", scratch


@pytest.mark.parametrize("kind", [a_folder, a_csv_table, a_parquet_file])
def test_a_reader_that_passes_something_over_is_found(tmp_path, monkeypatch, kind):
    with monkeypatch.context() as patch:
        name, path = kind(tmp_path, patch)
        with pytest.raises(SourceError, match=r"^2 (files|rows) listed of 3 that are there: "):
            listed(name, path)
    assert listed(name, path).found == 3


@pytest.mark.parametrize("size", [{"size": 8}, {}])
def test_foreign_files_that_come_later_are_counted_and_nothing_is_decoded_again(tree, tmp_path, size):
    entry = parse("mine", {"kind": "folder", "options": {"path": str(tree), **size}})
    before = open_images(entry, tmp_path / "cache")
    (tree / "cat/later.xyz").touch()
    after = find_cached(entry, tmp_path / "cache")
    assert after.ignored.count == before.ignored.count + 1 and ("1 .xyz" in after.ignored.told)
    assert after.found == before.found + 1 == len(after) + len(after.failures) + after.ignored.count
    assert after.fingerprint == before.fingerprint
