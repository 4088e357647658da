"""What `u1 preregister` writes down is what a sweep will run, by the keys that its cells will have."""

from dataclasses import replace

import pytest
from PIL import Image

from flows.cli.preregister import planned_cells
from flows.options import Options
from flows.request import Request
from u1core.images.cache import open_images
from u1core.lake.index import read_file
from u1core.lake.store import CellId, Lake

PLAN = ["preregister", "--models", "resnet20_onehot,pixels", "--datasets", "digits", "--limit", 10]


@pytest.fixture
def request_over_pictures(tmp_path, monkeypatch):
    """A network whose weights come with this package, and pictures whose fingerprint nobody promised."""
    monkeypatch.setenv("U1_CACHE", str(tmp_path / "cache"))
    for split, name in (("train", "ant"), ("train", "bee"), ("val", "ant"), ("val", "bee")):
        folder = tmp_path / "pictures" / split / name
        folder.mkdir(parents=True)
        for i in range(2):
            Image.new("L", (8, 8), 40 * i + len(split)).save(folder / f"{i}.png")
    options = Options(models="resnet20_onehot", datasets=f"folder:{tmp_path / 'pictures'}", device="cpu")
    return Request.of(options)


def test_keys_are_of_the_pictures_and_of_the_weights_whoever_promised_them(request_over_pictures):
    request = request_over_pictures
    (dataset,), (model,) = request.datasets, request.selection.models
    assert dataset.fingerprint is None
    unpinned = request.with_models({model.id: replace(model, sha256="")})
    fingerprint = open_images(dataset, request.places.cache).fingerprint
    expected = request.cells({dataset.id: fingerprint})
    assert [cell.key for cell in planned_cells(unpinned)] == [cell.key for cell in expected]
    assert unpinned.cells({dataset.id: fingerprint})[0].key != expected[0].key


def test_it_says_what_it_wrote_and_what_cannot_count(u1, tmp_path):
    variants = ["--variants", "original,random-init:3,random-init:7"]
    first = u1(*PLAN, *variants, COLUMNS="80")
    assert first.returncode == 0, first.stderr
    assert "4 cells registered in" in first.stdout
    assert "seeds of random weights: 3, 7" in first.stdout
    assert "done already" not in first.stdout
    again = u1(*PLAN, *variants)
    assert again.returncode == 0
    assert "4 cells known: registered already in" in again.stdout
    lake = Lake.open(tmp_path / "lake")
    (name,) = lake.storage.names("registrations")
    (row,) = read_file(lake.storage, name)
    asked = CellId(row["cell_keys"][0], "digits", "resnet20_onehot", "original")
    assert row["cell_names"][0] == "resnet20_onehot x digits x original"
    assert row["seeds"] == [3, 7]
    lake.commit(asked, {"status": "done"})
    late = u1(*PLAN)
    assert "1 of the cells are done already: these don't count as registered" in late.stdout


def test_nothing_is_registered_while_a_sweep_writes(u1, tmp_path):
    lake = Lake.open(tmp_path / "lake", create=True)
    with lake.alone():
        done = u1(*PLAN)
    assert done.returncode == 1
    assert done.stderr.startswith("u1: expected no other sweep on")
    assert lake.storage.names("registrations") == []
