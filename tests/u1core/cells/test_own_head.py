"""The network's own head on other data sets' classes: by name, whatever their number and order."""

import dataclasses
import unicodedata

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from u1core.cells import extract, finish, search
from u1core.cells.cell import Cell
from u1core.cells.forward import Extractor
from u1core.cells.open_cell import OpenCell
from u1core.cells.own_head import OwnHead, match_names
from u1core.common.runtime import Runtime
from u1core.networks.head import class_names_of, head_width, vocabularies
from u1core.networks.resolve import select_networks

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@pytest.mark.parametrize(
    ("classes", "head", "found"),
    [
        (CIFAR10, CIFAR10, range(10)),
        (("dog", "frog"), CIFAR10, (5, 6)),
        (("Dog", "FROG", "emu"), CIFAR10, (5, 6, -1)),
        (("polar_bear", "Ankle-Boot"), ("ankle boot", "Polar  Bear"), (1, 0)),
        (("T-shirt/top", "Shirt"), ("t-shirt", "shirt"), (0, 1)),
        (("tench",), ("tench, Tinca tinca", "crane"), (0,)),
        (("a", "A"), ("A", "a"), (1, 0)),  # exact before folded
        (("a", "A"), ("a", "b"), (0, -1)),
        (("Cat", "CAT"), ("cat", "dog"), (-1, -1)),  # which of them?
        (("crane",), ("crane", "crane"), (-1,)),
        (("crane", "crane"), ("crane", "crane"), (0, 1)),
        (("kite",), ("kite, bird", "kite, toy"), (-1,)),
        (("", "-"), ("_", "x"), (-1, -1)),
        (("0", "1"), CIFAR10, (-1, -1)),
    ],
)
def test_names_are_matched(classes, head, found):
    assert match_names(classes, head).tolist() == list(found)


SPELLINGS = st.sampled_from(
    (str, str.upper, str.title, lambda name: f" {name}_", lambda name: unicodedata.normalize("NFD", name))
)


@given(st.permutations([*CIFAR10, "sea lion", "éclair"]), st.integers(1, 12), SPELLINGS)
def test_any_order_and_any_part_is_matched_by_name(names, count, spelt):
    head = [*CIFAR10, "sea_lion", "éclair"]
    found = match_names([spelt(name) for name in names[:count]], head)
    assert [head[index].replace("_", " ") for index in found] == names[:count]


@pytest.fixture
def entry(catalog):
    (found,) = select_networks(catalog, "resnet20_onehot").models
    return found


@pytest.fixture
def cell_of(catalog, entry):
    """Make a cell of the network on a data set of a label space."""

    def make(label_space="cifar10", dataset="mini", model=entry, **more):
        mini = dataclasses.replace(
            catalog.datasets["digits"], id=dataset, label_space=label_space, class_names=()
        )
        return Cell(model, mini, "0", **more)

    return make


def test_names_come_from_the_entry_or_the_catalogs_data_set(catalog, entry):
    assert (entry.class_names, head_width(entry)) == (CIFAR10, 10)
    own = dataclasses.replace(entry, class_names=("x",))
    assert class_names_of(own, catalog) == ("x",) and vocabularies(own) == (("x",),)
    assert class_names_of(dataclasses.replace(entry, class_names=(), label_space="?"), catalog) == ()


def test_imagenet_is_known_by_synsets_and_by_words(catalog):
    (entry,) = select_networks(catalog, "efficientnet_lite0").models
    names = vocabularies(entry)
    assert head_width(entry) == 1000 and [len(found) for found in names] == [1000] * 3
    assert [found[207].lower() for found in names] == ["n02099601", "golden retriever", "golden retriever"]
    assert match_names(names[1], names[0]).max() == -1  # no synset is a word


@pytest.mark.parametrize(
    ("label_space", "classes", "found"),
    [
        ("cifar10", ("dog", "frog"), (5, 6)),
        ("cifar10", (*CIFAR10[::-1], "emu"), (*range(9, -1, -1), -1)),
        ("cifar10", ("yes", "no"), None),
        ("cifar100", ("dog", "frog"), None),
    ],
)
def test_a_head_is_matched_where_the_label_space_and_a_name_are(cell_of, label_space, classes, found):
    head = OwnHead.of(cell_of(label_space), classes)
    assert (None if head is None else tuple(head.indices)) == found


def test_without_names_numbers_count_on_the_space_s_own_data_set_alone(cell_of, entry):
    unnamed = dataclasses.replace(entry, class_names=(), label_space="mine")
    ten = [f"class {number}" for number in range(10)]
    own = cell_of("mine", "mine", unnamed)
    assert OwnHead.of(own, ten).indices.tolist() == list(range(10))
    assert OwnHead.of(own, ten[:9]) is None
    assert OwnHead.of(cell_of("mine", "other", unnamed), ten) is None
    assert OwnHead.of(own, ten).indices.tolist() == list(range(10))


def test_names_of_another_number_than_the_heads_say_nothing(cell_of, entry):
    wrong = dataclasses.replace(entry, class_names=CIFAR10[:9])
    assert OwnHead.of(cell_of(model=wrong), CIFAR10) is None


def test_controls_and_random_weights_have_no_head_of_their_own(cell_of):
    assert OwnHead.of(cell_of(variant="random-init"), CIFAR10) is None
    assert OwnHead.of(cell_of(variant="hflip"), CIFAR10) is None


def as_lists(columns):
    return {
        name: list(values.to_pylist() if hasattr(values, "to_pylist") else values)
        for name, values in columns.items()
    }


def test_what_is_scored():
    predicted, label = np.array([2, 0, 1, 2]), np.array([0, 0, 1, 1])
    other_order = OwnHead(np.array([2, 0, 1]), 3)
    assert as_lists(other_order.columns(predicted, np.array([0, 1, 2, 2]))) == {
        "head_label": [0, 1, 2, 0],
        "head_correct": [True, True, True, False],
    }
    some = OwnHead(np.array([2, 0]), 3)  # the head's class 1 is none here: not every answer has a label
    assert as_lists(some.columns(predicted, label)) == {"head_correct": [True, False, False, False]}
    more = OwnHead(np.array([1, -1, 0]), 2)  # class 1 is not the head's
    assert as_lists(more.columns(np.array([1, 1, 0]), np.array([0, 1, 2]))) == {
        "head_label": [0, None, 2],
        "head_correct": [True, None, True],
    }


@pytest.mark.parametrize("classes", [CIFAR10, CIFAR10[::-1], ("dog", *CIFAR10[:5], *CIFAR10[6:9], "emu")])
def test_a_cell_is_scored_by_name(cell_of, digits, lake, classes):
    images = dataclasses.replace(digits, class_names=classes)
    cell = cell_of(limit=20)
    opened = OpenCell(cell, images, lake)
    extract.extract(opened, Runtime(batch_size=16))
    sums = extract.load_sums(opened)
    finish.fit_frames(opened, sums)
    finish.commit(opened, sums, search.search_memory(opened), Runtime())
    rows = opened.read("records", layer="mean").to_pylist()
    extractor = Extractor(cell, Runtime())
    with torch.inference_mode():
        answers = extractor(torch.from_numpy(np.array(digits.pixels[opened.positions])))["head"].argmax(dim=1)
    named = [CIFAR10[answer] for answer in answers.tolist()]
    has_all = set(CIFAR10) <= set(classes)
    assert [row["head_label"] for row in rows] == [classes.index(name) if has_all else None for name in named]
    truth = [classes[label] for label in images.labels[opened.positions]]
    expected = [name == true if true in CIFAR10 else None for name, true in zip(named, truth, strict=True)]
    assert [row["head_correct"] for row in rows] == expected
    (row,) = lake.cells().values()
    assert row["head_matches"]
