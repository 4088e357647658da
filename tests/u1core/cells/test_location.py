"""The location memory, beside a search one can check by eye and one by brute force."""

import numpy as np
import pyarrow.parquet as pq
import torch
from scipy.spatial.distance import cdist

from u1core.cells import extract, finish, search
from u1core.cells.forward import Extractor
from u1core.cells.location_maps import LocationMaps, by_place
from u1core.cells.open_cell import OpenCell
from u1core.common.runtime import Runtime, arithmetic
from u1core.measures import nearest_by_place


def all_rows(maps):
    return np.arange(maps.shape[1])


def test_every_place_asks_its_own_memory():
    # Two places, two memory images, two channels: image 0 is red on the left and green on the right.
    memory = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]]], dtype=np.float16)
    query = np.array([[[2, 1]], [[3, 0]]], dtype=np.float16)
    found = nearest_by_place.search(query, memory, all_rows(query), all_rows(memory))
    assert [place.position.tolist() for place in found.location] == [[0], [1]]
    np.testing.assert_allclose(found.location[0].similarity, [2 / np.sqrt(5)], rtol=1e-6)
    # Whole maps: 2*1 + 3*0 = 2 against 1*1 + 3*1 = 4; sums (5, 1) against (1, 1) and (1, 1): the first.
    assert found.full.position.tolist() == [1]
    assert found.pooled.position.tolist() == [0]


def test_blocks_and_rows_equal_brute_force(monkeypatch):
    rng = np.random.default_rng(0)
    query, memory = rng.random((6, 40, 5)), rng.random((6, 30, 5))
    query_rows, memory_rows = np.flatnonzero(rng.random(40) < 0.8), np.flatnonzero(rng.random(30) < 0.7)
    monkeypatch.setattr(nearest_by_place, "QUERY_BLOCK", 7)
    found = nearest_by_place.search(query, memory, query_rows, memory_rows)
    q, m = query[:, query_rows], memory[:, memory_rows]

    def nearest(a, b):
        return cdist(a, b, "cosine").argmin(axis=1).tolist()

    for place in range(6):
        assert found.location[place].position.tolist() == nearest(q[place], m[place])
    flat_q, flat_m = (v.transpose(1, 0, 2).reshape(v.shape[1], -1) for v in (q, m))
    assert found.full.position.tolist() == nearest(flat_q, flat_m)
    assert found.pooled.position.tolist() == nearest(q.mean(axis=0), m.mean(axis=0))


def test_a_dark_place_is_equally_unlike_everything():
    query, memory = np.zeros((1, 1, 3)), np.ones((1, 4, 3))
    found = nearest_by_place.search(query, memory, all_rows(query), all_rows(memory))
    assert (found.location[0].position.tolist(), found.location[0].similarity.tolist()) == ([0], [0.0])


def test_maps_are_scaled_so_that_float16_holds_them():
    a = torch.tensor([[[[1e6, 0.0]], [[5e5, 2e6]]]])  # (1, 2, 1, 2)
    maps = by_place(a)
    assert maps.dtype == np.float16
    np.testing.assert_allclose(maps, [[[0.5, 0.25]], [[0.0, 1.0]]])
    assert by_place(torch.zeros(1, 2, 1, 2)).max() == 0


def run(cell, images, lake, batch_size=16):
    opened = OpenCell(cell, images, lake)
    extract.extract(opened, Runtime(batch_size=batch_size))
    finish.fit_frames(opened, extract.load_sums(opened))
    return opened, search.search_memory(opened)


def test_the_lake_gets_one_neighbour_per_query_and_place(cell, digits, lake, replaced, monkeypatch):
    cell = replaced(cell, limit=60, location_limit=20)
    monkeypatch.setattr(extract, "PART_IMAGES", 35)
    opened, located = run(cell, digits, lake)
    positions = LocationMaps(opened).positions
    assert {split: len(rows) for split, rows in positions.items()} == {"memory": 20, "query": 20}
    table = pq.ParquetFile(lake.path("location_neighbours", cell.id, layer="layer3")).read()
    schemes = table["scheme"].to_pylist()
    assert (schemes.count("location"), schemes.count("full"), schemes.count("pooled")) == (64 * 20, 20, 20)
    memory_ids = set(digits.image_ids[positions["memory"]].tolist())
    assert set(table["memory_image_id"].to_pylist()) <= memory_ids
    labels = dict(zip(digits.image_ids.tolist(), digits.labels.tolist(), strict=True))
    for side in ("", "memory_"):
        named = zip(table[f"{side}image_id"].to_pylist(), table[f"{side}label"].to_pylist(), strict=True)
        assert all(labels[image] == label for image, label in named)
    finish.commit(opened, extract.load_sums(opened), located, Runtime())
    row = lake.cells()[cell.key]
    assert (row["location_limit"], row["location_memory"], row["location_query"]) == (20, 20, 20)


def test_float16_maps_find_what_float32_maps_find(cell, digits, lake, replaced):
    cell = replaced(cell, limit=60, location_limit=60)
    run(cell, digits, lake)
    extractor = Extractor(cell, Runtime())
    positions = LocationMaps(OpenCell(cell, digits, lake)).positions
    maps = {}
    for split, rows in positions.items():
        with arithmetic("cpu", "float32"):
            a = extractor.network(extractor.preprocess(torch.from_numpy(digits.pixels[rows])))["layer3"]
        maps[split] = a.flatten(2).permute(2, 0, 1).numpy()
    exact = nearest_by_place.search(maps["query"], maps["memory"], np.arange(60), np.arange(60))
    table = pq.ParquetFile(lake.path("location_neighbours", cell.id, layer="layer3")).read()
    kept = np.asarray(table["similarity"])[: 64 * 60].reshape(64, 60)
    np.testing.assert_allclose(kept, [place.similarity for place in exact.location], atol=2e-3)


def test_no_location_memory_unless_asked_for(cell, digits, lake, replaced):
    run(replaced(cell, location_limit=0), digits, lake)
    assert not (lake.root / "location_neighbours").exists()
