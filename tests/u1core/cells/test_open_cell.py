"""A cell beside its images and its lake: what the steps read and write through it."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from u1core.cells.open_cell import OpenCell
from u1core.images.sources.listing import ImageFailure
from u1core.networks.identity import identity_of


@pytest.fixture
def opened(cell, digits, lake):
    return OpenCell(cell, digits, lake)


def test_what_is_written_is_read_back_under_the_cells_keys(opened, cell):
    positions = opened.positions[[0, 3]]
    opened.write("records", opened.image_columns(positions), layer="layer3", part=2)
    assert opened.parts("records", layer="layer3") == [2]
    found = opened.read("records", ["cell_key", "image_id", "split", "class_name"], layer="layer3", part=2)
    ids = opened.images.image_ids[positions].tolist()
    names = [opened.images.class_names[label] for label in opened.images.labels[positions]]
    assert found.to_pydict() == {
        "cell_key": [cell.key] * 2,
        "image_id": ids,
        "split": ["memory", "memory"],
        "class_name": names,
    }
    (block,) = opened.batches("records", 10, ["image_id"], layer="layer3")
    assert block["image_id"].to_pylist() == ids


def test_the_cells_images_are_its_limit_of_each_split(opened):
    is_query = opened.images.is_query[opened.positions]
    assert (np.count_nonzero(~is_query), np.count_nonzero(is_query)) == (60, 60)


def test_every_failure_is_a_row_and_none_is_no_file(opened):
    opened.write_failures([], 0)
    assert opened.parts("failures") == []
    lost = opened.images.failure(5, "forward", "not finite")
    opened.write_failures([ImageFailure(7, 1, True, "decode", "torn"), lost], 3)
    (first, second) = opened.read("failures", part=3).to_pylist()
    assert (first["image_id"], first["split"], first["class_name"], first["stage"]) == (
        7,
        "query",
        "1",
        "decode",
    )
    assert (second["image_id"], second["label"]) == (opened.images.image_ids[5], opened.images.labels[5])
    assert (second["stage"], second["error"]) == ("forward", "not finite")


def test_another_memory_is_another_cell_and_the_official_one_keeps_its_key(cell):
    held_out = replace(cell, memory="held-out")
    assert held_out.key != cell.key
    assert held_out.id.variant == cell.id.variant
    identity = {
        "model": {"id": cell.model.id, **identity_of(cell.model)},
        "dataset": {"id": cell.dataset.id, "fingerprint": cell.fingerprint},
        "variant": cell.variant,
        "precision": cell.precision,
        "limit": cell.limit,
        "location_limit": cell.location_limit,
        "schema": 3,
    }
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    assert cell.key == digest[:16]  # as keys were before there was a choice
