"""Current cells, layers, Sombrero shapes and the path along the layers: literal rows in and out."""

import math

import numpy as np
import pytest

from u1core.lake.views import analysis


def test_the_current_cell_is_the_done_one_a_sweep_asked_for_last(lake):
    lake.cell("older", selected_at="2026-01-01 00:00:00+00")
    lake.cell("newer", selected_at="2026-01-02 00:00:00+00")
    lake.cell("broken", selected_at="2026-01-03 00:00:00+00", status="failed")
    lake.cell("control", variant="random-init", selected_at="2025-01-01 00:00:00+00")
    rows = lake.rows("select cell_key, is_current from cells order by cell_key")
    assert {row["cell_key"]: row["is_current"] for row in rows} == {
        "older": False,
        "newer": True,
        "broken": False,
        "control": True,
    }


@pytest.mark.parametrize(
    "view",
    [
        "records",
        "vectors",
        "angles",
        "frames",
        "energy_maps",
        "neighbours",
        "location_neighbours",
        "shapes",
        "theta_bits",
        "beyond_bank",
        "loco_directions",
        "failures",
    ],
)
def test_views_show_rows_of_current_cells_only(lake, view):
    keys = lake.cell("current")
    superseded = lake.cell("superseded", selected_at="2020-01-01 00:00:00+00")
    uncommitted = keys | {"cell_key": "uncommitted", "model": "other"}
    for cell in (keys, superseded, uncommitted):
        lake.insert(view, cell)
    assert [row["cell_key"] for row in lake.rows(f"select cell_key from {view}")] == ["current"]


def test_layers_are_numbered_in_order_of_execution(lake):
    lake.cell(layers=["stem", "deep", "last"], bottleneck="deep")
    rows = lake.rows("select layer, layer_index, is_bottleneck from layers order by layer_index")
    assert [tuple(row.values()) for row in rows] == [
        ("stem", 0, False),
        ("deep", 1, True),
        ("last", 2, False),
    ]


@pytest.mark.parametrize(
    ("b", "c", "shape"),
    [
        (2.0, 2.0, "hat"),  # trough at sqrt(1/2)
        (2.0, 1.0, "hat"),  # trough on the image's edge, radius 1
        (2.0, 0.5, "dome"),  # trough at sqrt(2), outside
        (2.0, -1.0, "dome"),  # falls without end
        (-2.0, 1.0, "bowl"),  # rises from the centre
        (0.0, 0.0, "bowl"),  # flat
        (None, None, None),
    ],
)
def test_shape_of_the_fit(lake, b, c, shape):
    trough = math.sqrt(b / (2 * c)) if b and c and b > 0 and c > 0 else None
    fit = {"sombrero_b": b, "sombrero_c": c, "trough_radius": trough, "split": "query", "layer": "last"}
    keys = lake.cell()
    lake.insert("energy_maps", fit, {**fit, "label": 0}, **keys)
    row = lake.row("select b, c, shape, is_bottleneck from sombrero")
    assert row == {"b": b, "c": c, "shape": shape, "is_bottleneck": True}


def test_concentration_takes_medians_along_the_layers(lake):
    keys = lake.cell(layers=["first", "last"])
    for layer, channels, radii in (("first", 4, [0.8, 0.9, 0.7]), ("last", 16, [0.5, 0.4, 0.3])):
        lake.insert("frames", {"layer": layer, "channels": channels, "coupling_1": 0.2}, **keys)
        for image, radius in enumerate(radii):
            row = {"layer": layer, "image_id": image, "ee50_radius": radius, "polar_angle_rad": 0.1 * image}
            lake.insert("records", row, split="query", **keys)
    lake.angles(keys, {0: [-3, -2], 1: [1, 2]})
    first, last = lake.rows("select * from concentration_by_layer order by layer_index")
    assert (first["ee50_radius"], last["ee50_radius"]) == (0.8, 0.4)
    assert first["polar_angle_bound_rad"] == pytest.approx(math.pi / 3)
    assert (first["n"], first["class_bias_image"], first["is_bottleneck"]) == (3, None, False)
    assert last["class_bias_image"] == pytest.approx(0.5)
    assert last["polar_angle_rad"] == pytest.approx(0.1)
    # The bound of 16 channels is arccos(1/4).
    assert last["polar_angle_share"] == pytest.approx(0.1 / math.acos(1 / 4))


def test_concentration_of_a_single_channel_and_of_a_single_pixel(lake):
    keys = lake.cell(layers=["luminance", "mean"], bottleneck="luminance")
    lake.insert("frames", {"layer": "luminance", "channels": 1}, {"layer": "mean", "channels": 4}, **keys)
    lake.insert("records", {"layer": "luminance", "polar_angle_rad": 0.0}, split="query", **keys)
    lake.insert("records", {"layer": "mean", "polar_angle_rad": 0.5}, split="query", **keys)
    first, last = lake.rows("select * from concentration_by_layer order by layer_index")
    assert (first["polar_angle_bound_rad"], first["polar_angle_share"]) == (0, None)
    assert last["polar_angle_share"] == pytest.approx(0.5 / (math.pi / 3))
    assert (last["is_bottleneck"], last["anisotropy"], last["class_bias_image"]) == (False, None, None)


@pytest.mark.parametrize(
    ("ee50", "polar", "verdict"),
    [
        ((0.8, 0.5), (0.9, 0.3), "both"),
        ((0.8, 0.5), (0.3, 0.9), "image"),
        ((0.5, 0.8), (0.9, 0.3), "feature"),
        ((0.5, 0.8), (0.3, 0.9), "neither"),
        ((0.8, None), (0.9, 0.3), None),
    ],
)
def test_focus_is_judged_from_the_first_layer_to_the_bottleneck(lake, ee50, polar, verdict):
    keys = lake.cell(layers=["first", "last", "mean"])
    for number, layer in enumerate(("first", "last")):
        lake.insert("frames", {"layer": layer, "channels": 4}, **keys)
        row = {"layer": layer, "ee50_radius": ee50[number], "polar_angle_rad": polar[number]}
        lake.insert("records", row, split="query", **keys)
    lake.insert(
        "records", {"layer": "mean", "ee50_radius": 0.1, "polar_angle_rad": 0.1}, split="query", **keys
    )
    row = lake.row(analysis("focus_along_layers"), split="query")
    assert (row["layers"], row["first_layer"], row["bottleneck"]) == (2, "first", "last")
    assert row["verdict"] == verdict
    assert row["polar_angle_ratio"] == pytest.approx(polar[1] / polar[0])


@pytest.mark.parametrize(
    ("cell", "is_evidence"),
    [
        ({}, True),
        ({"weights": "torchvision"}, True),
        ({"objective": None}, False),
        ({"objective": "onehot+u1"}, False),
        ({"variant": "hflip"}, False),
        ({"dataset": "phantom_null"}, False),
        ({"dataset": "placed"}, False),
        ({"dataset": "placed_fashion"}, False),
        ({"dataset": "places365"}, True),
    ],
)
def test_controls_are_no_evidence(lake, cell, is_evidence):
    lake.cell(**cell)
    assert lake.row("select is_evidence from cells") == {"is_evidence": is_evidence}
    assert lake.row("select is_evidence from layers") == {"is_evidence": is_evidence}


def test_angles_below_the_floor_are_weak(lake):
    keys = lake.cell()
    lake.insert("frames", {"layer": "last", "floor_image": 0.1, "floor_feature": None}, **keys)
    for image, strength in enumerate([0.05, 0.1, None]):
        row = {"image_id": image, "strength_image": strength, "strength_feature": 0.3}
        lake.insert("angles", row, layer="last", **keys)
    rows = lake.rows("select is_weak_image, is_weak_feature from angles order by image_id")
    assert [tuple(row.values()) for row in rows] == [(True, None), (False, None), (None, None)]
    planes = lake.rows("select plane, is_weak from plane_angles where image_id = 0 order by plane")
    assert [tuple(row.values()) for row in planes] == [("feature", None), ("image", True)]


def insert_fits(lake, coefficients):
    """Store one image per (a, b, c) and the mean map's fit; return the view's row."""
    keys = lake.cell() | {"split": "query", "layer": "last"}
    for image, (a, b, c) in enumerate(coefficients.tolist()):
        lake.insert("records", {"image_id": image, "sombrero_a": a, "sombrero_b": b, "sombrero_c": c}, **keys)
    a, b, c = coefficients.mean(axis=0).tolist()
    trough = math.sqrt(b / (2 * c)) if b > 0 and c > 0 else None
    fit = {"sombrero_a": a, "sombrero_b": b, "sombrero_c": c, "trough_radius": trough}
    lake.insert("energy_maps", fit, **keys)
    return lake.row("select * from sombrero")


def test_standard_errors_are_those_of_means_over_images(lake):
    rng = np.random.default_rng(51)
    mixing = np.array([[1.0, 0.3, 0.1], [0.0, 0.5, 0.4], [0.0, 0.0, 0.2]])
    images = np.array([5.0, 4.0, 2.5]) + rng.normal(size=(30, 3)) @ mixing
    row = insert_fits(lake, images)
    covariance = np.cov(images.T) / 30
    assert [row["a_se"], row["b_se"], row["c_se"]] == pytest.approx(np.sqrt(np.diag(covariance)).tolist())
    # The delta method with numerical derivatives of sqrt(b / 2c).
    b, c = images.mean(axis=0)[1:]
    step = 1e-6
    moved = np.sqrt([(b + step) / c, (b - step) / c, b / (c + step), b / (c - step)]) / math.sqrt(2)
    slope = np.array([moved[0] - moved[1], moved[2] - moved[3]]) / (2 * step)
    expected = math.sqrt(slope @ covariance[1:, 1:] @ slope)
    assert row["trough_radius_se"] == pytest.approx(expected, rel=1e-6)


def test_one_image_has_no_standard_error(lake):
    row = insert_fits(lake, np.array([[1.0, 2.0, 2.0]]))
    assert (row["b_se"], row["trough_radius_se"], row["shape_is_certain"]) == (None, None, None)


@pytest.mark.parametrize(
    ("b", "c", "spread", "shape", "is_certain"),
    [
        (2.0, 2.0, 0.1, "hat", True),
        (2.0, 1.05, 1.0, "hat", False),  # trough at 0.98: 2c - b = 0.1
        (2.0, 0.95, 1.0, "dome", False),
        (2.0, -1.0, 0.1, "dome", True),  # no trough at all
        (-2.0, 1.0, 0.1, "bowl", True),
        (-0.1, 1.0, 1.0, "bowl", False),
    ],
)
def test_a_shape_is_certain_beyond_its_standard_errors(lake, b, c, spread, shape, is_certain):
    around = spread * np.array([[0, -1, 0], [0, 1, 0], [0, 0, -1], [0, 0, 1]])
    row = insert_fits(lake, np.array([1.0, b, c]) + around)
    assert (row["shape"], row["shape_is_certain"]) == (shape, is_certain)


def test_sombrero_by_dataset_counts_shapes(lake):
    for model, shape in (("a", 2.0), ("b", 0.5)):
        fit = {
            "sombrero_b": 2.0,
            "sombrero_c": shape,
            "trough_radius": math.sqrt(1 / shape),
            "r_squared": shape,
        }
        lake.insert("energy_maps", fit, split="query", layer="last", **lake.cell(model, model=model))
    row = lake.row(analysis("sombrero_by_dataset"))
    assert (row["models"], row["hats"], row["domes"], row["r_squared"]) == (2, 1, 1, 1.25)


def test_ambiguous_images_are_the_weakest(lake):
    keys = lake.cell()
    for image, strength in enumerate([0.4, 0.1, 0.2]):
        row = {"image_id": image, "strength_image": strength, "strength_feature": 1 - strength}
        lake.insert("angles", row, split="query", layer="last", **keys)
    rows = lake.rows(analysis("ambiguous_images"), split="query", images=2)
    assert [(row["plane"], row["image_id"]) for row in rows] == [
        ("feature", 0),
        ("feature", 2),
        ("image", 1),
        ("image", 2),
    ]
    assert rows[2]["strength_over_median"] == pytest.approx(0.5)


def shape(half, **more):
    return {
        "layer": "last",
        "split": "query",
        "half": half,
        "n": 100 + half,
        "radii": 9,
        "is_flat": False,
        "sombrero_r_squared": 0.98,
        "parabola_r_squared": 0.90,
        "gaussian_r_squared": 0.95 + 0.01 * half,
        "trough_radius": 0.8 + 0.1 * half,
        "rise": 0.2 + 0.1 * half,
        "rise_se": 0.03 + 0.01 * half,
    } | more


FLAT = dict.fromkeys(
    ("sombrero_r_squared", "parabola_r_squared", "gaussian_r_squared", "trough_radius", "rise", "rise_se")
)


@pytest.mark.parametrize(
    ("one", "other", "is_shaped"),
    [
        ({}, {}, True),
        ({"gaussian_r_squared": 0.99}, {}, False),  # a Gaussian does as well in one half
        ({}, {"parabola_r_squared": 0.98}, False),  # and a tie is no gain
        ({}, {"trough_radius": 1.01}, False),  # outside the image
        ({"trough_radius": None, "rise": None, "rise_se": None}, {}, False),
        (FLAT | {"is_flat": True}, FLAT | {"is_flat": True}, None),
        (FLAT | {"radii": 3}, FLAT | {"radii": 3}, None),
    ],
)
def test_a_sombrero_is_judged_on_images_that_it_was_not_fitted_to(lake, one, other, is_shaped):
    keys = lake.cell()
    lake.insert("shapes", shape(0, **one), shape(1, **other), **keys)
    lake.insert("energy_maps", {"anisotropy": 0.2, "sombrero_b": 1.0}, layer="last", split="query", **keys)
    row = lake.row("select * from sombrero_test")
    assert row["is_shaped"] is is_shaped
    if is_shaped:
        assert (row["n"], row["r_squared_gain"], row["trough_radius"]) == (201, pytest.approx(0.02), 0.9)
        assert (row["rise"], row["rise_se"]) == (pytest.approx(0.25), pytest.approx(0.025))


def test_half_a_split_is_no_test(lake):
    lake.insert("shapes", shape(0), **lake.cell())
    assert lake.rows("select * from sombrero_test") == []


@pytest.mark.parametrize(("range_", "told"), [(5e-6, ("flat", None)), (1e-3, ("dome", True))])
def test_a_constant_map_is_flat_and_no_dome_for_certain(lake, range_, told):
    # Rounding leaves a sign in every image's b, the same one: it is certain, and it is no shape.
    keys = lake.cell()
    lake.insert(
        "energy_maps",
        {"mean_energy": [0.3, 0.3 * (1 + range_)], "sombrero_b": range_, "sombrero_c": -range_},
        layer="last", split="query", **keys,
    )  # fmt: skip
    for image in range(10):
        row = {"image_id": image, "sombrero_b": range_ * (1 + image / 100), "sombrero_c": -range_}
        lake.insert("records", row, layer="last", split="query", **keys)
    row = lake.row("select shape, shape_is_certain from sombrero")
    assert tuple(row.values()) == told
