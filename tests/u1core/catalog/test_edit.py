"""Entries written into a user's file: what is in it stays, what is added loads again as it was."""

import tomllib
from dataclasses import fields, replace

import pytest

from u1core.catalog import datasets, models
from u1core.catalog.catalog import load_catalog
from u1core.catalog.dataset_references import dataset_reference
from u1core.catalog.edit import HEADER, add_dataset, add_model
from u1core.catalog.entries import DatasetEntry, ModelEntry
from u1core.common.errors import U1Error

CATALOG = load_catalog()
LITE = CATALOG.models["efficientnet_lite0"]
OWN = """# my lab's entries

[models.ours]  # the good one
architecture = "cifar_resnet:20"
weights = "none"
label_space = "cifar10"   # ten classes
"""


def add(path, entry):
    add_model(path, entry, {layer: f"layer {number}" for number, layer in enumerate(entry.layers)})


@pytest.mark.parametrize("model", [name for name in CATALOG.models if name not in ("pixels", "bank")])
def test_every_built_in_model_comes_back_as_it_was(tmp_path, model):
    path = tmp_path / "catalog.toml"
    entry = replace(CATALOG.models[model], id="mine", head="fc")
    add(path, entry)
    assert load_catalog(path).models["mine"] == entry
    assert path.read_text().startswith(HEADER)
    assert "# layer 0" in path.read_text()


@pytest.mark.parametrize(("form", "entry"), [(models, ModelEntry), (datasets, DatasetEntry)])
def test_a_file_may_give_an_entry_every_field_of_its_class(form, entry):
    found_out = {"id", "code_version"}  # the table's name, and what is read off the user's code
    assert {field.name for field in fields(entry)} - found_out == set(form.FIELDS)


def test_a_dataset_comes_back_with_everything_that_is_known_of_it(tmp_path):
    path = tmp_path / "catalog.toml"
    for name in ("digits", "phantom"):
        entry = replace(CATALOG.datasets[name], id=f"my-{name}")
        add_dataset(path, entry, "as built in")
        assert load_catalog(path).datasets[entry.id] == entry


def test_what_is_in_the_file_stays_byte_for_byte(tmp_path):
    path = tmp_path / "catalog.toml"
    path.write_text(OWN)
    add(path, replace(LITE, id="lite"))
    add(path, replace(LITE, id="lite.2"))
    (tmp_path / "pics" / "a").mkdir(parents=True)
    add_dataset(path, dataset_reference(f"folder:{tmp_path / 'pics'}"), "2 images")
    text = path.read_text()
    assert text.startswith(OWN.rstrip())
    catalog = load_catalog(path)
    assert {"ours", "lite", "lite.2"} <= set(catalog.models)
    assert catalog.datasets["pics"].options["path"] == str(tmp_path / "pics")
    assert "# 2 images" in text
    assert list(tomllib.loads(text)) == ["models", "datasets"]
    assert not [p for p in tmp_path.iterdir() if p.name not in ("catalog.toml", "pics")]


def test_means_and_deviations_keep_every_digit(tmp_path):
    path = tmp_path / "catalog.toml"
    add(path, replace(LITE, id="lite"))
    assert '"127/255"' in path.read_text()
    odd = replace(LITE.preprocessing, mean=(0.1 + 0.2, 1 / 3, 0.0), std=(1.0, 0.26862954, 1 / 7))
    add(path, replace(LITE, id="odd", preprocessing=odd))
    assert load_catalog(path).models["odd"].preprocessing == odd


@pytest.mark.parametrize(
    ("before", "entry_id", "message"),
    [
        (OWN, "ours", r"an id that .* does not have; got 'ours'"),
        ("[models.a\n", "mine", r"a catalog in TOML"),
        ("models = { a = 1 }\n", "mine", r"a catalog with tables \[models\.<id>\]"),
        (OWN, "../up", r"models\.\.\./up: an id is made of"),
        (OWN, "", r"an id is made of"),
    ],
)
def test_a_mistake_leaves_the_file_as_it_was(tmp_path, before, entry_id, message):
    path = tmp_path / "catalog.toml"
    path.write_text(before)
    with pytest.raises(U1Error, match=message) as caught:
        add(path, replace(LITE, id=entry_id))
    assert "\n" not in str(caught.value)
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(U1Error, match=r"a catalog file that can be written; got .*No such file"):
        add(tmp_path / "missing" / "catalog.toml", LITE)


def test_text_that_would_break_out_is_quoted(tmp_path):
    path = tmp_path / "catalog.toml"
    nasty = 'x"\n[models.evil]\narchitecture = "code:os:abort" # \\ \x1b[31m'
    add(path, replace(LITE, id="mine", description=nasty))
    models = load_catalog(path).models
    assert models["mine"].description == nasty
    assert "evil" not in models
