"""Extraction and completion of a real cell: same answers whatever is incidental, resumed after a crash."""

import dataclasses

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from u1core.catalog.datasets import parse
from u1core.cells import batches, extract, finish, search
from u1core.cells.cell import Cell, cell_states
from u1core.cells.forward import Extractor
from u1core.cells.open_cell import OpenCell
from u1core.common.errors import U1Error
from u1core.common.runtime import Runtime, _without_tf32, resolve_device
from u1core.images.cache import open_images
from u1core.lake.schema import CELL_TABLES, SCHEMAS
from u1core.lake.store import Lake
from u1core.measures.reduce import collapse


def run(cell, images, lake, runtime=None):
    runtime = runtime or Runtime(batch_size=32)
    opened = OpenCell(cell, images, lake)
    extract.extract(opened, runtime)
    sums = extract.load_sums(opened)
    finish.fit_frames(opened, sums)
    finish.commit(opened, sums, search.search_memory(opened), runtime)
    return lake


def rows(lake, table, layer=None):
    pattern = f"{table}/**/layer={layer}/*.parquet" if layer else f"{table}/**/*.parquet"
    tables = [pq.ParquetFile(path).read().to_pylist() for path in sorted(lake.root.glob(pattern))]
    return [row for table in tables for row in table]


def column(lake, table, name, layer="layer3"):
    found = sorted(rows(lake, table, layer), key=lambda row: row["image_id"])
    return np.array([row[name] for row in found], dtype=float)


def test_every_image_has_one_row_per_layer(cell, digits, lake):
    run(cell, digits, lake)
    assert len(rows(lake, "records")) == 4 * 120
    (committed,) = lake.cells().values()
    assert (
        committed["rows"] + committed["failures"]
        == committed["images_memory"] + committed["images_query"]
        == 120
    )
    per_layer = [row["layer"] for row in rows(lake, "frames")]
    assert per_layer == ["layer1", "layer2", "layer3", "mean"]
    assert cell_states([cell], lake) == ["done"]
    assert cell_states([dataclasses.replace(cell, limit=50)], lake) == ["stale"]
    assert not lake.work(cell.id).exists()


def test_a_variant_estimates_over_the_memory_of_its_own_cell(cell, digits, lake):
    seeded = dataclasses.replace(cell, variant="random-init:3", limit=20)
    opened = OpenCell(seeded, digits, lake)
    extract.extract(opened, Runtime(batch_size=40))
    assert len(rows(lake, "records", "layer3")) == 40
    execution = extract.load_sums(opened).timing.execution
    assert execution.endswith("19 batch norms re-estimated over 20 pictures")
    finish.fail(seeded, lake, "why")
    assert [row["weights"] for row in lake.cells().values()] == ["random, seed 3"]


def test_every_column_of_a_cell_is_filled_somewhere(cell, digits, lake):
    """A column that nobody fills is null in every row, and no query says so."""
    run(dataclasses.replace(cell, location_limit=20), digits, lake)
    of_networks_own_heads = {"head_label", "head_correct"}  # random weights know no class
    of_placed_pictures = {"roll_x", "roll_y", "object_x", "object_y", "object_radius"}
    of_failed_cells = {"error", "weights_sha256", "objective"}
    of_troughs = {"rise", "rise_se"}  # random weights draw none on digits
    empty_tables = ("failures", "beyond_bank", "likeness")  # of what failed, and of cells that change nothing
    for table in CELL_TABLES:
        found = rows(lake, table)
        empty = {column for column in SCHEMAS[table].names if all(row[column] is None for row in found)}
        assert found or table in empty_tables, table
        expected = of_networks_own_heads | of_placed_pictures | of_failed_cells | of_troughs
        assert not found or empty <= expected, table


def test_records_agree_with_the_activations(cell, digits, lake):
    run(cell, digits, lake)
    extractor = Extractor(cell, Runtime())
    image_id = int(column(lake, "records", "image_id")[0])
    pixels = torch.from_numpy(np.array(digits.pixels[image_id : image_id + 1]))
    with torch.inference_mode():
        A = extractor.network(extractor.preprocess(pixels))["layer3"][0].double().numpy()
    E = (A**2).sum(axis=0)
    x = (2 * np.arange(8) + 1) / 8 - 1
    assert column(lake, "records", "energy_total")[0] == pytest.approx(E.sum(), rel=1e-5)
    assert column(lake, "records", "dipole_x")[0] == pytest.approx((E * x).sum() / E.sum(), abs=1e-5)
    assert column(lake, "records", "dipole_y")[0] == pytest.approx(
        (E * -x[:, None]).sum() / E.sum(), abs=1e-5
    )
    pooled = A.mean(axis=(1, 2))
    stored = next(r for r in rows(lake, "vectors", "layer3") if r["image_id"] == image_id)
    assert stored["pooled"] == pytest.approx(pooled, rel=1e-4, abs=1e-6)
    assert stored["energy_map"] == pytest.approx(E.ravel(), rel=1e-4)
    assert rows(lake, "vectors", "layer1")[0]["energy_map"] is None


def test_a_lost_part_is_all_that_is_computed_again(cell, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(extract, "PART_IMAGES", 40)
    undisturbed = run(cell, digits, Lake.open(tmp_path / "a", create=True))
    lake = Lake.open(tmp_path / "b", create=True)
    calls = []

    def dying(self, pixels, image_ids, real=Extractor.__call__):
        calls.append(len(pixels))
        if len(calls) == 4:
            raise RuntimeError("the machine went away")
        return real(self, pixels, image_ids)

    monkeypatch.setattr(Extractor, "__call__", dying)
    with pytest.raises(RuntimeError):
        extract.extract(OpenCell(cell, digits, lake), Runtime(batch_size=20))
    run(cell, digits, lake, Runtime(batch_size=20))
    # 3 batches, the fourth fails, then parts 2 and 3 again: part 1 is not repeated.
    assert calls == [20] * 8
    for table in ("records", "vectors", "angles"):
        assert len(rows(lake, table)) == len(rows(undisturbed, table)) == 480
    assert column(lake, "angles", "theta_image_rad") == pytest.approx(
        column(undisturbed, "angles", "theta_image_rad"), abs=1e-3
    )


def test_activations_that_are_not_finite_become_failures(cell, digits, lake, monkeypatch):
    def poisoned(activations, signed):
        activations = activations.clone()
        activations[0] = torch.inf
        return collapse(activations, signed=signed)

    monkeypatch.setattr(batches, "collapse", poisoned)
    run(cell, digits, lake, Runtime(batch_size=60))
    (committed,) = lake.cells().values()
    assert (committed["rows"], committed["failures"]) == (118, 2)
    assert {row["error"] for row in rows(lake, "failures")} == {"activations that are not finite"}
    assert len(rows(lake, "records", "layer3")) == 118


def test_a_network_that_gives_nothing_finite_is_one_line(cell, digits, lake, monkeypatch):
    monkeypatch.setattr(batches, "collapse", lambda a, signed: collapse(a * torch.nan))
    with pytest.raises(U1Error, match="finite activations"):
        extract.extract(OpenCell(cell, digits, lake), Runtime())


@pytest.fixture
def with_head(cell, digits):
    """The same network with its weights, asked for the classes of its own head."""
    dataset = dataclasses.replace(cell.dataset, label_space=cell.model.label_space)
    own = {"weights": "embedded:resnet20_onehot", "sha256": "", "class_names": digits.class_names}
    model = dataclasses.replace(cell.model, **own)
    return dataclasses.replace(cell, model=model, dataset=dataset, variant="original")


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_logits_that_are_not_finite_are_failures_and_no_class(with_head, digits, lake, monkeypatch, wrong):
    def poisoned(self, pixels, image_ids, real=Extractor.__call__):
        answer = real(self, pixels, image_ids)
        head = answer["head"].clone()
        head[0, 3] = wrong
        head[1] = -torch.inf  # all of them: nothing is the largest
        head[2, 3:] = -torch.inf  # classes that are ruled out leave others
        return answer | {"head": head}

    monkeypatch.setattr(Extractor, "__call__", poisoned)
    run(with_head, digits, lake, Runtime(batch_size=60))
    (committed,) = lake.cells().values()
    assert committed["head_matches"] and (committed["rows"], committed["failures"]) == (116, 4)
    assert {row["error"] for row in rows(lake, "failures")} == {"activations or logits that are not finite"}
    found = rows(lake, "records", "layer3")
    assert {row["head_label"] for row in found} <= set(range(10))
    assert all(row["head_correct"] == (row["head_label"] == row["label"]) for row in found)


def test_a_head_of_other_classes_is_one_line_before_any_picture(with_head, digits, lake):
    nine = dataclasses.replace(with_head.model, class_names=digits.class_names[:9])
    opened = OpenCell(dataclasses.replace(with_head, model=nine), digits, lake)
    with pytest.raises(U1Error, match=r"a head of 9 classes, those of label space cifar10, .* got one of 10"):
        extract.extract(opened, Runtime())
    assert opened.state.names() == []


def test_neighbours_are_those_of_brute_force(cell, digits, lake):
    run(cell, digits, lake)
    vectors = rows(lake, "vectors", "layer3")
    memory = [r for r in vectors if r["split"] == "memory"]
    query = next(r for r in vectors if r["split"] == "query")
    unit = lambda v: np.array(v) / np.linalg.norm(v)  # noqa: E731
    cosine = np.array([unit(m["pooled"]) @ unit(query["pooled"]) for m in memory])
    found = [
        r for r in rows(lake, "neighbours") if r["image_id"] == query["image_id"] and r["scheme"] == "pooled"
    ]
    assert len(found) == 20
    assert [r["rank"] for r in found] == list(range(1, 21))
    assert [r["similarity"] for r in found] == pytest.approx(np.sort(cosine)[::-1][:20], abs=1e-6)
    assert {r["scheme"] for r in rows(lake, "neighbours")} == set(search.SCHEMES)


def test_neighbours_do_not_depend_on_blocks_of_queries(cell, digits, tmp_path, monkeypatch):
    whole = rows(run(cell, digits, Lake.open(tmp_path / "a", create=True)), "neighbours")
    monkeypatch.setattr(search, "BLOCK_ROWS", 17)
    lake = run(cell, digits, Lake.open(tmp_path / "b", create=True))
    assert len(lake.parts("neighbours", cell.id, layer="layer3")) > 1
    key = lambda row: (row["scheme"], row["image_id"], row["rank"])  # noqa: E731
    assert [(*key(row), row["memory_image_id"]) for row in sorted(rows(lake, "neighbours"), key=key)] == [
        (*key(row), row["memory_image_id"]) for row in sorted(whole, key=key)
    ]


def test_the_key_hears_what_matters_and_nothing_else(cell):
    others = [
        dataclasses.replace(cell, variant="original"),
        dataclasses.replace(cell, precision="bfloat16"),
        dataclasses.replace(cell, limit=61),
        dataclasses.replace(cell, fingerprint="other"),
        dataclasses.replace(cell, model=dataclasses.replace(cell.model, layers=cell.model.layers[1:])),
        dataclasses.replace(cell, model=dataclasses.replace(cell.model, sha256="0" * 64)),
    ]
    assert len({c.key for c in [cell, *others]}) == 7
    renamed = dataclasses.replace(cell, model=dataclasses.replace(cell.model, description="other words"))
    assert renamed.key == cell.key


def test_bfloat16_is_obeyed_and_close(cell, digits, tmp_path):
    exact = run(cell, digits, Lake.open(tmp_path / "a", create=True))
    rough = run(
        dataclasses.replace(cell, precision="bfloat16"), digits, Lake.open(tmp_path / "b", create=True)
    )
    a, b = column(exact, "angles", "theta_image_rad"), column(rough, "angles", "theta_image_rad")
    difference = np.abs(np.angle(np.exp(1j * (a - b))))
    assert 0 < np.median(difference) < np.radians(5)
    assert next(iter(rough.cells().values()))["precision"] == "bfloat16"


def test_an_unknown_device_is_one_line():
    with pytest.raises(U1Error, match="--device"):
        resolve_device("abacus")
    assert resolve_device("cpu") == "cpu"


def test_progress_counts_every_image_once(cell, digits, lake):
    seen, opened = [], OpenCell(cell, digits, lake)

    def note(done, total, phases):
        seen.append((done, total))

    extract.extract(opened, Runtime(batch_size=50), note)
    assert seen == [(0, 120), (50, 120), (100, 120), (120, 120)]
    seen.clear()
    extract.extract(opened, Runtime(batch_size=50), note)
    assert seen == [(120, 120)]


def test_cells_name_themselves(cell):
    assert str(cell) == "cifar10_resnet20 (random-init) on digits"
    assert str(Cell(cell.model, cell.dataset, "f")) == "cifar10_resnet20 on digits"


@pytest.mark.parametrize(
    ("layers", "bottleneck"), [(("layer3", "layer1"), "layer3"), (("layer1", "layer2", "layer3"), "layer2")]
)
def test_a_path_out_of_order_is_refused(cell, digits, lake, layers, bottleneck):
    wrong = dataclasses.replace(
        cell, model=dataclasses.replace(cell.model, layers=layers, bottleneck=bottleneck)
    )
    with pytest.raises(U1Error, match="falling resolution"):
        extract.extract(OpenCell(wrong, digits, lake), Runtime())


@pytest.fixture
def photographs(tmp_path):
    """Two classes of eight pictures of two sizes; one of each is cut short."""
    rng = np.random.default_rng(0)
    for number in range(16):
        path = tmp_path / "data" / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (40 + number % 4, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        if number >= 14:
            path.write_bytes(path.read_bytes()[:2000])
    entry = parse("photographs", {"kind": "folder", "options": {"path": str(tmp_path / "data")}})
    return entry, open_images(entry, tmp_path / "cache")


def test_pictures_in_their_files_are_extracted_and_damaged_ones_told(cell, photographs, tmp_path):
    entry, images = photographs
    cell = dataclasses.replace(cell, dataset=entry, fingerprint=images.fingerprint, limit=None)
    lakes = [Lake.open(tmp_path / name, create=True) for name in ("first", "from the store")]
    for lake in lakes:
        run(cell, images, lake, Runtime(batch_size=4))
        (committed,) = lake.cells().values()
        assert (committed["rows"], committed["failures"]) == (14, 2)
        assert committed["images_memory"] + committed["images_query"] == 16
        failed = rows(lake, "failures")
        assert {(row["stage"], row["class_name"]) for row in failed} == {("decode", "a"), ("decode", "b")}
        ids = {row["image_id"] for row in failed} | {row["image_id"] for row in rows(lake, "records")}
        assert ids == set(range(16))
    told = ("pictures_found", "pictures_unlabelled", "pictures_ignored", "pictures_not_selected")
    assert [committed[name] for name in (*told, "pictures_repeated")] == [16, 0, 0, 0, 0]
    for name in ("energy_total", "dipole_x"):
        np.testing.assert_array_equal(*(column(lake, "records", name) for lake in lakes))


def test_tf32_stays_off_while_any_thread_computes():
    """Threads of several GPUs share the switch; the last to leave restores it."""
    torch.backends.cudnn.allow_tf32 = True
    first, second = _without_tf32(), _without_tf32()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not torch.backends.cudnn.allow_tf32
    second.__exit__(None, None, None)
    assert torch.backends.cudnn.allow_tf32
