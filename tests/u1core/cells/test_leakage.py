"""Labels and query images never reach a frame, a mean, a floor or a memory image's angle: byte for byte."""

import dataclasses

import numpy as np
import pyarrow.parquet as pq
import pytest
from test_extract import run

from u1core.cells.cell import Cell
from u1core.lake.connect import connect
from u1core.lake.store import Lake

ABOUT_LABELS = ("label", "class_name", "head_correct", "memory_label")
UNLABELLED = ("frames", "angles", "vectors", "records", "neighbours")


@pytest.fixture(scope="module")
def images(digits):
    """The first 60 digits of each split, chosen by position alone."""
    memory, query = np.flatnonzero(~digits.is_query), np.flatnonzero(digits.is_query)
    chosen = np.sort(np.r_[memory[:60], query[:60]])
    return dataclasses.replace(
        digits,
        pixels=np.array(digits.pixels[chosen]),
        labels=digits.labels[chosen],
        is_query=digits.is_query[chosen],
        image_ids=digits.image_ids[chosen],
        found=len(chosen),
        digests=None,
    )


@pytest.fixture(scope="module")
def sweep(catalog, digits, tmp_path_factory):
    """Run the whole pipeline over images into a lake of its own, all of them under one key."""
    model, dataset = catalog.models["cifar10_resnet20"], catalog.datasets["digits"]
    cell = Cell(model, dataset, digits.fingerprint, "random-init")
    return lambda images: run(cell, images, Lake.open(tmp_path_factory.mktemp("lake") / "lake", create=True))


@pytest.fixture(scope="module")
def untouched(sweep, images):
    return sweep(images)


def content(lake, table, split=None):
    """Every file of a table without what is about labels; of one split where asked for."""
    files = {}
    for path in sorted((lake.root / table).rglob("*.parquet")):
        data = pq.ParquetFile(path).read()
        if split and "split" in data.column_names:
            data = data.filter(np.array(data["split"].to_pylist()) == split)
        if table == "energy_maps":
            data = data.filter(np.array([label is None for label in data["label"].to_pylist()]))
        kept = [name for name in data.column_names if name not in ABOUT_LABELS]
        files[path.relative_to(lake.root)] = data.select(kept)
    assert files
    return files


def bytes_of(lake, table, split=None):
    """The same as text, exact to the last bit: unlike ==, it tells -0.0 from 0.0."""
    return {path: repr(data.to_pydict()) for path, data in content(lake, table, split).items()}


@pytest.mark.parametrize("table", [*UNLABELLED, "energy_maps"])
def test_permuted_labels_leave_everything_that_is_not_about_labels(untouched, sweep_of_permuted, table):
    assert bytes_of(sweep_of_permuted, table) == bytes_of(untouched, table)


@pytest.fixture(scope="module")
def sweep_of_permuted(sweep, images):
    labels = np.random.default_rng(0).permutation(images.labels)
    assert (labels != images.labels).mean() > 0.5
    return sweep(dataclasses.replace(images, labels=labels))


@pytest.fixture(scope="module")
def sweep_of_noise(sweep, images):
    pixels = images.pixels.copy()
    noise = np.random.default_rng(1).integers(0, 256, pixels.shape, dtype=np.uint8)
    pixels[images.is_query] = noise[images.is_query]
    return sweep(dataclasses.replace(images, pixels=pixels))


@pytest.mark.parametrize("table", ["frames", "angles", "vectors", "records", "energy_maps"])
def test_noise_for_query_images_leaves_frames_and_the_memory(untouched, sweep_of_noise, table):
    assert bytes_of(sweep_of_noise, table, "memory") == bytes_of(untouched, table, "memory")
    if table != "frames":
        assert bytes_of(sweep_of_noise, table, "query") != bytes_of(untouched, table, "query")


FITTED = """
    select
        records.layer,
        count(*) as n_memory,
        avg(dipole_x) as mean_dipole_x,
        avg(dipole_y) as mean_dipole_y,
        0.1 * sqrt(avg(strength_image ** 2)) as floor_image,
        0.1 * sqrt(avg(strength_feature ** 2)) as floor_feature,
    from lake.records
    inner join lake.angles using (cell_key, layer, image_id)
    where records.split = any($splits) and records.layer <> 'mean'  -- 1 x 1: neither direction nor floor
    group by records.layer
    order by records.layer
"""
NAMES = ("mean_dipole_x", "mean_dipole_y", "floor_image", "floor_feature")


def test_means_and_floors_are_those_of_the_memory_split(untouched):
    connection = connect(untouched.root, ())
    stored = connection.sql(f"""
        select layer, n_memory, {", ".join(NAMES)} from lake.frames where layer <> 'mean' order by layer
    """)
    of_memory = connection.execute(FITTED, {"splits": ["memory"]}).fetchall()
    of_all = connection.execute(FITTED, {"splits": ["memory", "query"]}).fetchall()
    for row, fitted, leaked in zip(stored.fetchall(), of_memory, of_all, strict=True):
        assert row[:2] == fitted[:2]
        assert leaked[1] == 2 * row[1]
        for value, expected, with_query in zip(row[2:], fitted[2:], leaked[2:], strict=True):
            assert value == pytest.approx(expected, rel=1e-12, abs=1e-12)
            # The test can tell: with the query split in it, it would be another number.
            assert value != pytest.approx(with_query, rel=1e-6)
