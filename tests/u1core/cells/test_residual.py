"""Angles beyond the pixel bank, from the records of two cells."""

import numpy as np
import pytest

from u1core.cells.residual import residual_angles
from u1core.common.errors import U1Error
from u1core.lake.store import CellId, Lake

NET, BANK = CellId("k1", "toy", "net", "original"), CellId("k2", "toy", "bank", "original")
RNG = np.random.default_rng(2)


@pytest.fixture
def lake(tmp_path):
    return Lake.open(tmp_path / "lake", create=True)


def write(lake, cell, layer, ids, dipole, parts=1):
    for part, rows in enumerate(np.array_split(np.arange(len(ids)), parts)):
        columns = {
            "image_id": ids[rows],
            "split": np.where(ids[rows] < 100, "memory", "query"),
            "label": ids[rows] % 3,
            "dipole_x": dipole[rows, 0],
            "dipole_y": dipole[rows, 1],
        }
        lake.write("records", cell, columns, layer=layer, part=part)


def test_what_the_bank_explains_is_gone_and_the_rest_is_there(lake):
    ids = np.arange(150)
    first, second = RNG.normal(scale=0.1, size=(2, 150, 2))
    first[::7] = np.nan  # without energy: no lean
    leaning = np.nan_to_num(first)
    beyond = np.where(ids[:, None] < 100, 0, [0.0, 0.2])  # in the query split alone
    write(lake, NET, "last", ids, 0.3 + leaning * second + second**2 + beyond, parts=3)
    shuffled = RNG.permutation(150)
    for layer, values in (("a", first), ("b", second)):
        write(lake, BANK, layer, ids[shuffled], values[shuffled], parts=2)
    found = residual_angles(lake, NET, "last", BANK, maps=("a", "b"))
    assert found.keys["image_id"].to_pylist() == ids.tolist()
    assert np.isnan(found.theta_rad[:100]).all() and found.strength[:100].max() < 1e-12
    np.testing.assert_allclose(found.theta_rad[100:], np.pi / 2, atol=1e-9)
    np.testing.assert_allclose(found.strength[100:], 0.2, atol=1e-9)
    assert (found.fit.n, found.fit.rank) == (100, 15)


def test_only_images_of_both_cells_count_and_too_few_are_told(lake):
    write(lake, NET, "last", np.arange(90, 120), RNG.normal(size=(30, 2)))
    write(lake, BANK, "a", np.arange(80, 115), RNG.normal(size=(35, 2)))
    with pytest.raises(U1Error, match=r"10 images; .*--limit"):
        residual_angles(lake, NET, "last", BANK, maps=("a",))
    with pytest.raises(U1Error, match="layer b of"):
        residual_angles(lake, NET, "last", BANK, maps=("b",))
