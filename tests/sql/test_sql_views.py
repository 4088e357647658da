"""Current cells, layers, Sombrero shapes and the path along the layers: literal rows in and out."""

import math

import pytest

from u1core.lake.sql import analysis


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
    "view", ["records", "vectors", "angles", "frames", "energy_maps", "neighbours", "failures"]
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
    path = lake.rows(analysis("layer_path"), split="query")
    assert [row["ee50_over_first"] for row in path] == [1, 0.5]


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


def test_directions_across_models_give_each_model_one_vote(lake):
    for model, angle in (("a", 0.0), ("b", math.pi / 2)):
        lake.angles(lake.cell(model, model=model), {0: [angle] * 3})
    lake.angles(lake.cell("r", model="a", variant="random-init"), {0: [3.0]})
    row = lake.row(analysis("directions_across_models"), split="query")
    assert (row["models"], row["direction_rad"]) == (2, pytest.approx(math.pi / 4))
    assert row["concentration"] == pytest.approx(math.sqrt(0.5))
