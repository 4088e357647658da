"""The table `planes` of a real cell: the coupled row is what views say; reading in pieces changes nothing."""

import numpy as np
import pytest
from test_extract import rows, run

from u1core.cells import planes
from u1core.cells.cell import Cell
from u1core.cells.open_cell import OpenCell
from u1core.lake.connect import connect
from u1core.lake.store import Lake
from u1core.measures import planes as measures
from u1core.measures.frames import CoMoments, fit_frame


@pytest.fixture(scope="module")
def finished(catalog, digits, tmp_path_factory):
    model, dataset = catalog.models["cifar10_resnet20"], catalog.datasets["digits"]
    cell = Cell(model, dataset, digits.fingerprint, "random-init", limit=60)
    lake = Lake.open(tmp_path_factory.mktemp("planes") / "lake", create=True)
    return OpenCell(cell, digits, run(cell, digits, lake))


@pytest.fixture(scope="module")
def found(finished):
    return {(row["layer"], row["frame"]): row for row in rows(finished.lake, "planes")}


@pytest.fixture
def again(finished):
    """What one layer gives when it is compared once more."""

    def figures():
        blocks = planes.LayerImages(finished, "layer3").blocks("memory")
        first, *others = [CoMoments.of(block.chroma, block.dipole) for block in blocks]
        assert not others
        compared = planes._compared(finished, "layer3", fit_frame(first))
        return planes._figures(compared, is_bottleneck=True)

    return figures


@pytest.fixture(scope="module")
def images(finished):
    """Labels, halves, dipoles and chroma of the bottleneck's query images."""
    return list(planes.LayerImages(finished, "layer3").by_class(np.full(10, 6)))


def test_every_layer_has_every_frame(found):
    layers = ("layer1", "layer2", "layer3", "mean")
    assert list(found) == [(layer, frame) for layer in layers for frame in planes.FRAMES]
    assert found["layer3", "loco"]["draws"] == found["layer3", "within"]["draws"] == 10_000
    assert found["layer3", "coupled"]["draws"] == 200
    for (layer, frame), row in found.items():
        # Behind a global pool there is no image plane, hence no frame; three are tested against a null.
        is_tested = frame in ("loco", "within", "coupled")
        assert (row["agreement"] is None) == (layer == "mean"), (layer, frame)
        assert (row["agreement_p"] is None) == (layer == "mean" or not is_tested), (layer, frame)
        assert (row["accuracy"] is None) == (layer != "layer3" or frame == "loco"), (layer, frame)
    swapped, coupled = found["layer3", "swapped"], found["layer3", "coupled"]
    assert swapped["fits"] == 199
    assert swapped["agreement_low"] < swapped["agreement"] < swapped["agreement_high"]
    assert swapped["agreement"] == pytest.approx(coupled["null_agreement_median"], abs=0.02)


def test_every_class_is_halved_once_for_all_networks(finished, images):
    ids = {}
    for layer in ("layer1", "layer3"):
        records = finished.read("records", ["image_id", "split", "label"], layer=layer).to_pylist()
        half = planes.LayerImages(finished, layer)._half
        ids[layer] = {row["image_id"]: half[row["image_id"]] for row in records if row["split"] == "query"}
    assert ids["layer1"] == ids["layer3"]
    for label, block in images:
        assert np.bincount(block.half).tolist() == [3, 3], label


def test_the_coupled_row_says_what_stored_angles_say(finished, found):
    rows = finished.read("angles", layer="layer3").to_pylist()
    half = planes.LayerImages(finished, "layer3")._half
    angles = {}
    for row in rows:
        if row["split"] == "query":
            key = row["label"], half[row["image_id"]]
            angles.setdefault(key, []).append((row["theta_image_rad"], row["theta_feature_rad"]))
    means = {key: np.angle(np.exp(1j * np.array(of)).mean(axis=0)) for key, of in angles.items()}
    crossings = [means[c, h][0] - means[c, 1 - h][1] for c in range(10) for h in (0, 1)]
    assert found["layer3", "coupled"]["agreement"] == pytest.approx(np.cos(crossings).mean(), abs=1e-9)
    connection = connect(finished.lake.root)
    accuracy = "select accuracy from memory_report where scheme = 'theta' and k = 1"
    by_frame = "select accuracy from memory_by_frame where frame = 'coupled'"
    assert connection.sql(accuracy).fetchall() == connection.sql(by_frame).fetchall()
    assert connection.sql("select count(*) from plane_agreement_by_frame").fetchall() == [(len(found),)]


def test_directions_of_classes_left_out_give_the_agreement_again(finished, found):
    stored = rows(finished.lake, "loco_directions")
    assert [(row["label"], row["half"], row["n"]) for row in stored] == [
        (c, h, 3) for c in range(10) for h in (0, 1)
    ]
    assert {row["class_name"] for row in stored} == set(finished.images.class_names)
    image, feature = (
        np.array([row[f"resultant_{plane}_x"] + 1j * row[f"resultant_{plane}_y"] for row in stored])
        .reshape(10, 2)
        .T
        for plane in ("image", "feature")
    )
    crossed = measures.cross(image[..., None], feature[..., None])
    row = found["layer3", "loco"]
    assert crossed.agreement.mean() == pytest.approx(row["agreement"], abs=1e-12)
    assert crossed.joint.mean() == pytest.approx(row["joint_effect"], abs=1e-12)
    for name in ("agreement_se", "joint_effect_se"):
        has = {key for key, row in found.items() if row[name] is not None}
        assert has == {(layer, "loco") for layer in ("layer1", "layer2", "layer3")}


def test_pieces_do_not_show(found, again, monkeypatch):
    monkeypatch.setattr(planes, "_NUMBERS", 800)  # two classes, a dozen frames at a time
    for frame, figures in again().items():
        for name, value in figures.items():
            assert value == pytest.approx(found["layer3", frame][name], abs=1e-9), (frame, name)


def test_too_few_images_of_a_class_are_not_tested(again, monkeypatch):
    monkeypatch.setattr(measures, "MIN_IMAGES", 7)  # every class has six
    figures = again()
    assert not any(
        "draws" in row or "agreement_p" in row or "agreement_se" in row for row in figures.values()
    )
    assert [name for name, row in figures.items() if "agreement" not in row] == ["loco", "swapped"]
