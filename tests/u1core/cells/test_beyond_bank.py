"""What is left of a cell's angles beyond the pixel bank: its row, from the pictures the network was fed."""

import dataclasses

import numpy as np
import pytest

from u1core.catalog.entries import Preprocessing
from u1core.cells import beyond_bank
from u1core.cells.beyond_bank import BankDipoles, bank_dipoles, write_beyond_bank
from u1core.cells.cost import BANK_SECONDS, estimate
from u1core.cells.extract import extract
from u1core.cells.open_cell import OpenCell
from u1core.common.errors import U1Error
from u1core.common.runtime import Runtime
from u1core.measures.effect import corrected_effect
from u1core.networks.sources.pixels import BANK

MEMORY = 100
"""Grey pictures determine 45 terms: luminance, edges, deviation and darkness."""


@pytest.fixture
def opened(cell, digits, lake):
    """A network on digits, nothing changed, nothing written yet."""
    return OpenCell(dataclasses.replace(cell, variant="original", limit=MEMORY), digits, lake)


def write_records(opened, dipole):
    """Write the bottleneck's records by hand, in two parts: dipoles (n, 2) of a cell's images in order."""
    places = np.array_split(np.arange(len(opened.positions)), 2)
    for part, rows in enumerate(places):
        x, y = dipole[rows].T
        about = opened.image_columns(opened.positions[rows])
        opened.write(
            "records", about | {"dipole_x": x, "dipole_y": y}, layer=opened.model.bottleneck, part=part
        )


def row_of(opened):
    (row,) = opened.read("beyond_bank").to_pylist()
    return {name: value for name, value in row.items() if name not in ("dataset", "model", "cell_key")}


def seen(opened):
    """Return the bank's dipoles (n, 7, 2) of a cell's images in their order, and their labels."""
    image_ids = opened.images.image_ids[opened.positions]
    return np.nan_to_num(bank_dipoles(opened).of(image_ids)), opened.images.labels[opened.positions]


@pytest.mark.parametrize(("size", "share"), [(32, 1.0), (48, 0.8)])
def test_the_bank_sees_what_the_network_is_fed(catalog, opened, size, share):
    geometry = Preprocessing(size, share, "bicubic", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    bank = dataclasses.replace(catalog.models["bank"], preprocessing=geometry)
    cell = dataclasses.replace(opened.cell, model=bank, limit=12)
    of_model = OpenCell(cell, opened.images, opened.lake)
    extract(of_model, Runtime(batch_size=8))
    scaled = dataclasses.replace(geometry, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2))
    network = dataclasses.replace(opened.model, preprocessing=scaled)
    fed = OpenCell(dataclasses.replace(cell, model=network), opened.images, opened.lake)
    for index, name in enumerate(BANK):
        records = of_model.read("records", ["image_id", "dipole_x", "dipole_y"], layer=name)
        expected = np.stack([records["dipole_x"].to_numpy(), records["dipole_y"].to_numpy()], axis=1)
        found = bank_dipoles(fed).of(records["image_id"].to_numpy())[:, index]
        np.testing.assert_allclose(found, expected, atol=1e-6, err_msg=name)


def test_networks_fed_the_same_pictures_look_once(opened):
    other = dataclasses.replace(opened.cell, model=dataclasses.replace(opened.model, id="other"))
    assert bank_dipoles(opened) is bank_dipoles(OpenCell(other, opened.images, opened.lake))
    fewer = OpenCell(dataclasses.replace(opened.cell, limit=20), opened.images, opened.lake)
    assert bank_dipoles(fewer) is not bank_dipoles(opened)


def test_batches_of_pictures_make_no_difference(opened, monkeypatch):
    at_once = bank_dipoles(opened)
    beyond_bank._look.cache_clear()
    monkeypatch.setattr(beyond_bank, "_BATCH_PIXELS", 7 * 32**2)
    np.testing.assert_array_equal(bank_dipoles(opened).dipoles, at_once.dipoles)


def test_what_the_bank_explains_is_no_effect(opened):
    bank, _ = seen(opened)
    write_records(opened, 0.3 + bank[:, 0] * bank[:, 1] + bank[:, 4] ** 2)
    write_beyond_bank(opened)
    assert row_of(opened) == {
        "variant": "original", "layer": opened.model.bottleneck, "n_memory": MEMORY, "terms": 45, "n": 0,
        "classes": 0, "explained": pytest.approx(1.0), "effect_corrected": None, "effect_se": None,
    }  # fmt: skip


def test_what_classes_have_beyond_it_is_there(opened):
    bank, label = seen(opened)
    turn = 2 * np.pi * label / 10 + np.random.default_rng(3).normal(scale=0.3, size=len(label))
    lean = 0.05 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    in_query = opened.images.is_query[opened.positions]
    write_records(opened, bank[:, 0] ** 2 + np.where(in_query[:, None], lean, 0))
    write_beyond_bank(opened)
    row = row_of(opened)
    expected = corrected_effect(np.angle(np.exp(1j * turn[in_query])), label[in_query])
    assert (row["n"], row["classes"]) == (MEMORY, 10)
    assert row["effect_corrected"] == pytest.approx(expected.corrected, abs=1e-6) and expected.corrected > 0.8
    assert row["effect_se"] == pytest.approx(expected.error, abs=1e-6)
    left = (lean[in_query] ** 2).sum(axis=1).mean()
    variance = (bank[in_query, 0] ** 2 + lean[in_query]).var(axis=0).sum()
    assert row["explained"] == pytest.approx(1 - left / variance, abs=1e-6)


def test_too_few_memory_images_are_told_as_such(opened):
    few = OpenCell(dataclasses.replace(opened.cell, limit=80), opened.images, opened.lake)
    bank, _ = seen(few)
    bank[0] = np.nan  # a picture without a dipole is not fitted
    write_records(few, bank[:, 0])
    write_beyond_bank(few)
    row = row_of(few)
    assert row["n_memory"] == 79
    assert all(row[name] is None for name in ("terms", "n", "classes", "explained", "effect_corrected"))


def test_cells_that_change_something_have_none(opened):
    changed = OpenCell(dataclasses.replace(opened.cell, variant="hflip"), opened.images, opened.lake)
    write_beyond_bank(changed)
    assert changed.parts("beyond_bank") == []


def test_a_plan_counts_what_the_bank_looks_at(opened):
    changed = dataclasses.replace(opened.cell, variant="hflip")
    one, other = (estimate(cell, 5000, Runtime(), []).seconds for cell in (opened.cell, changed))
    assert one - other == pytest.approx(5000 * 32**2 * BANK_SECONDS)


def test_a_picture_that_is_gone_is_told():
    known = BankDipoles(np.array([2, 5]), np.arange(28.0).reshape(2, 7, 2))
    assert known.of(np.array([5, 2, 5]))[:, 0, 0].tolist() == [14, 0, 14]
    with pytest.raises(U1Error, match=r"got none of image 7, whose activations .*; put it back"):
        known.of(np.array([2, 7]))
