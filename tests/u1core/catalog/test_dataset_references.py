"""Data sets of the user: by reference, by four lines of TOML, by a plugin from its own package."""

import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from u1core.catalog import datasets
from u1core.catalog.catalog import find_problems, load_catalog
from u1core.catalog.dataset_references import dataset_reference, is_dataset_reference
from u1core.catalog.datasets import parse
from u1core.common.errors import U1Error
from u1core.images.cache import open_images
from u1core.images.sources import reading as readers
from u1core.images.sources.listing import Listing

ROOT = Path(__file__).parents[3]
PLUGIN = ROOT / "examples" / "plugin"


# --- references ---


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder below the home directory, which is also the working directory."""
    for name in ("cat", "dog"):
        for i in range(2):
            (tmp_path / "my pictures (1)" / name).mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(np.full((8, 8), i, dtype=np.uint8))
            picture.save(tmp_path / "my pictures (1)" / name / f"{i}.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "my pictures (1)"


@pytest.mark.parametrize("written", ["~/my pictures (1)", "my pictures (1)/", "./x/../my pictures (1)"])
def test_a_folder(pictures, tmp_path, written):
    entry = dataset_reference(f"folder:{written}")
    assert (entry.id, entry.kind, entry.options) == ("my-pictures-1", "folder", {"path": str(pictures)})
    assert entry.label_space == entry.id and entry.class_names == () and entry.fingerprint is None
    assert len(open_images(entry, tmp_path / "cache")) == 4


def test_ids_are_ids_of_the_catalog(tmp_path):
    for name in ("_x", ".hidden", "ümlaut", "a b", "-rf", "日本", "CIFAR-10.v2"):
        (tmp_path / name).mkdir()
        fields = {"kind": "folder"}
        entry = dataset_reference(f"folder:{tmp_path / name}")
        assert find_problems({"datasets": {entry.id: fields}}) == []
    assert entry.id == "CIFAR-10.v2"
    assert dataset_reference(f"folder:{tmp_path / '日本'}").id == "folder"
    assert dataset_reference("folder:/").id == "folder"


def test_tables_and_globs(tmp_path):
    (tmp_path / "labels.v1.csv").touch()
    (tmp_path / "plain_text").mkdir()
    (tmp_path / "plain_text" / "train-0.parquet").touch()
    assert dataset_reference(f"csv:{tmp_path}/labels.v1.csv").id == "labels.v1"
    for value in ("plain_text", "plain_text/*.parquet", "plain_text/**/*.parquet"):
        entry = dataset_reference(f"parquet:{tmp_path}/{value}")
        assert (entry.id, entry.options["path"]) == ("plain_text", f"{tmp_path}/{value}")
    assert dataset_reference(f"parquet:{tmp_path}/plain_text/train-0.parquet").id == "train-0"


def test_torchvision_needs_no_files_yet():
    entry = dataset_reference("torchvision:EMNIST")
    assert (entry.id, entry.kind, entry.options) == ("torchvision.EMNIST", "torchvision", {"class": "EMNIST"})
    assert entry.sources == ("directory", "torchvision:EMNIST")


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("foldr:~/x", "nearest kinds: folder"),
        ("cifar10:x", "folder:<path>, parquet:<glob>, csv:<file> or torchvision:<Class>"),
        ("folder:", "name what follows the colon"),
        ("folder:nowhere", "expected folder:<path> to name a folder"),
        ("csv:.", "expected csv:<path> to name a file"),
        ("parquet:*.parquet", "expected parquet:<path> to name files"),
        ("folder:~no_such_user/x", "a user with a home folder; got none for ~no_such_user/x"),
        ("torchvision:EMINST", "nearest: .*EMNIST"),
        ("torchvision:Kinetics", "'Kinetics' is not for classification: its samples are videos"),
        ("torchvision:ImageFolder", "folder:<path> reads folders of any name"),
        ("torchvision:LSUN", "runs a pickle"),
        ("torchvision:os", "no classification set 'os'"),
    ],
)
def test_a_wrong_reference_is_one_line(reference, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_dataset_reference(reference)
    with pytest.raises(U1Error, match=told) as caught:
        dataset_reference(reference)
    assert "\n" not in str(caught.value)


def test_references_import_no_torch():
    code = "import sys; from u1core.catalog.dataset_references import dataset_reference as r; "
    code += "r('torchvision:MNIST'); assert not {'torch', 'torchvision', 'pyarrow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# --- catalog entries ---


def found_in(text):
    return find_problems(tomllib.loads("[datasets.mine]\n" + text))


@pytest.mark.parametrize(
    "text",
    [
        'kind = "folder"\noptions = { path = "/data/x" }',
        'kind = "folder"\nsources = ["directory:/data/x"]\noptions = { size = 64 }',
        'kind = "folder"',
        'kind = "folder"\noptions = { path = "/x", follow_links = true }',
        'kind = "parquet"\noptions = { path = "/x/*.parquet", image = "img", label = "fine_label" }',
        'kind = "csv"\nsources = ["directory:/x/labels.csv"]',
        'kind = "torchvision"\noptions = { class = "EMNIST", arguments = { split = "letters" } }',
    ],
)
def test_four_lines_are_enough(text):
    assert found_in(text) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('kind = "foldr"', r"mine.kind: 'foldr' is not valid; one of .*folder.*plugin"),
        ("kind = 3", "mine.kind: 3 is not valid"),
        ('kind = "csv"', "mine.options.path: missing"),
        ('kind = "parquet"\nsources = ["directory"]', "mine.options.path: missing"),
        ('kind = "folder"\noptions = { sise = 3 }', "mine.options.sise: no such field; nearest valid: size"),
        ('kind = "folder"\noptions = { size = true }', "mine.options.size: True is not valid"),
        (
            'kind = "folder"\noptions = { follow_links = "yes" }',
            "follow_links: 'yes' is not valid; true or false",
        ),
        ('kind = "torchvision"', "mine.options.class: missing"),
        ('kind = "torchvision"\noptions = { class = "CIFAR1O" }', "mine.options.class: .*nearest: CIFAR10"),
        ('kind = "torchvision"\noptions = { class = "Sintel" }', "its samples are pairs"),
        (
            'kind = "torchvision"\noptions = { class = "MNIST", arguments = { download = true } }',
            "mine.options.arguments.download: is set by the sweep",
        ),
        ('kind = "torchvision"\noptions = { class = "MNIST", arguments = 3 }', "mine.options.arguments: 3"),
        ('kind = "cifar10"\nclass_names = ["a", "b"]', "mine.sources: missing"),
        ('kind = "digits"\nsources = ["sklearn:load_digits"]', "mine.class_names: missing"),
    ],
)
def test_wrong_entries_are_told_by_field(text, problem):
    import re

    assert any(re.search(problem, line) for line in found_in(text)), found_in(text)


def test_a_download_is_only_tried_where_no_path_is_given():
    with_path = parse("mine", {"kind": "torchvision", "options": {"class": "MNIST", "path": "/x"}})
    assert with_path.sources == ("directory",)


# --- a plugin ---


def plugin_kinds(monkeypatch, value):
    point = EntryPoint("odd", value, datasets.PLUGIN_GROUP)
    for module in (datasets, readers):
        monkeypatch.setattr(module, "plugin_kinds", lambda: {"odd": point})
    return parse("mine", {"kind": "odd", "options": {"path": "/nowhere"}})


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("no_such_module:read", "the reader of odd: ModuleNotFoundError: No module named 'no_such_module'"),
        ("json:loads", "the reader of odd: TypeError"),
        ("operator:is_not", "the reader of odd gave a bool, not a Listing"),
    ],
)
def test_a_broken_plugin_is_one_line(monkeypatch, tmp_path, value, told):
    entry = plugin_kinds(monkeypatch, value)
    with pytest.raises(U1Error) as caught:
        open_images(entry, tmp_path)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def unlabelled(entry, places):
    return Listing(("a", "b"), np.array([0, 1, -1]), lambda: [])


def test_a_plugin_without_a_label_is_told(monkeypatch, tmp_path):
    entry = plugin_kinds(monkeypatch, f"{__name__}:unlabelled")
    with pytest.raises(U1Error, match="labels -1 to 1, but 2 class names"):
        open_images(entry, tmp_path)


def test_an_uninstalled_plugin_is_told(tmp_path):
    (tmp_path / "mine.toml").write_text('[datasets.mine]\nkind = "npz"\noptions = { path = "/x.npz" }\n')
    with pytest.raises(U1Error, match=r"'npz' is not valid; one of .* or of a plugin that is not installed"):
        load_catalog(tmp_path / "mine.toml")


USE = """
import json, sys
from pathlib import Path
from u1core.catalog.catalog import load_catalog
from u1core.catalog.dataset_references import dataset_reference
from u1core.images.cache import open_images

entry = load_catalog(Path("mine.toml")).datasets["mine"]
images = open_images(entry, Path("cache"))
again = open_images(dataset_reference("npz:pictures.npz"), Path("cache"))
assert again.fingerprint == images.fingerprint, (again, images)
found = images.pixels[:, 0, 0, 0].tolist(), [images.class_names[label] for label in images.labels]
json.dump([*found, images.is_query.tolist(), [f.error for f in images.failures]], sys.stdout)
"""


@pytest.mark.slow
def test_the_example_is_installed_and_used(tmp_path):
    target = tmp_path / "installed"
    uv = [Path(sys.executable).with_name("uv"), "pip", "install", "--quiet", "--no-deps", "--target", target]
    subprocess.run([*uv, PLUGIN], check=True, timeout=300)
    assert {path.name for path in target.glob("u1_*.py")} >= {"u1_npz_pictures.py"}
    images = np.stack([np.full((6, 6, 3), i, dtype=np.uint8) for i in range(8)])
    np.savez(tmp_path / "pictures.npz", images=images, labels=["pear", "fig"] * 4)
    (tmp_path / "mine.toml").write_text(
        '[datasets.mine]\nkind = "npz"\noptions = { path = "pictures.npz" }\n'
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (target, ROOT)))}
    done = subprocess.run(
        [sys.executable, "-c", USE],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    greys, names, is_query, failures = json.loads(done.stdout)
    assert greys == list(range(8)) and names == ["pear", "fig"] * 4 and failures == []
    assert is_query == [False, False, True, True] * 2


def test_the_example_is_thirty_lines():
    assert len((PLUGIN / "u1_npz_pictures.py").read_text().splitlines()) <= 35
