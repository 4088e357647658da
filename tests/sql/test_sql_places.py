"""Objects at known places and hidden halves: literal rows in, literal rows out."""

import math

import numpy as np
import pytest

PI = math.pi


def insert_places(lake, keys, places, theta, *, radius=0.25, **more):
    """Store one image per place (x, y) with its angle theta in the image plane."""
    for image, ((x, y), angle) in enumerate(zip(places, theta, strict=True)):
        row = {"image_id": image, "label": image % 3, "split": "query", "layer": "last"}
        placed = {"object_x": x, "object_y": y, "object_radius": radius}
        lake.insert("records", row | placed | more, **keys)
        lake.insert("angles", row | {"theta_image_rad": angle, "strength_image": 0.1}, **keys)


def circle(n=12, radius=0.5):
    angle = np.linspace(-PI, PI, n, endpoint=False) + 0.1
    return list(zip(radius * np.cos(angle), radius * np.sin(angle), strict=True)), angle


def test_theta_at_the_object(lake):
    places, angle = circle()
    insert_places(lake, lake.cell(), places, angle.tolist())
    row = lake.row("select * from placed_angles")
    assert (row["n"], row["object_radius"], row["is_whole"], row["plane"]) == (12, 0.25, True, "image")
    assert row["is_bottleneck"] is True
    for name, value in (("mean_cosine", 1), ("circular_correlation", 1), ("median_error_rad", 0)):
        assert row[name] == pytest.approx(value, abs=1e-12)


def test_a_constant_turn_is_seen_by_the_cosine_and_not_by_the_correlation(lake):
    places, angle = circle()
    insert_places(lake, lake.cell(), places, np.angle(np.exp(1j * (angle + PI / 3))).tolist())
    row = lake.row("select * from placed_angles")
    assert row["mean_cosine"] == pytest.approx(0.5)
    assert row["mean_cosine_se"] == pytest.approx(0, abs=1e-9)
    assert row["circular_correlation"] == pytest.approx(1)
    assert row["median_error_rad"] == pytest.approx(PI / 3)


def test_figures_equal_numpy(lake):
    """Fisher and Lee's rho_T by its definition over pairs of images (Fisher 1993, eq. 6.35)."""
    rng = np.random.default_rng(3)
    places, angle = circle(20)
    theta = rng.vonmises(angle, 2.0)
    insert_places(lake, lake.cell(), places, theta.tolist())
    row = lake.row("select * from placed_angles")
    a, b = (np.sin(x[:, None] - x[None]) for x in (theta, angle))
    assert row["circular_correlation"] == pytest.approx((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))
    cosine = np.cos(theta - angle)
    assert row["mean_cosine"] == pytest.approx(cosine.mean())
    assert row["mean_cosine_se"] == pytest.approx(cosine.std(ddof=1) / np.sqrt(20))


@pytest.mark.parametrize(
    ("variant", "moved"),
    [
        ("hflip", lambda a: PI - a),
        ("rot90", lambda a: a + PI / 2),
        ("gray", lambda a: a),
        ("random-init", lambda a: a),
    ],
)
def test_the_object_moves_with_the_picture(lake, variant, moved):
    places, angle = circle()
    theta = np.angle(np.exp(1j * moved(angle)))
    insert_places(lake, lake.cell(variant=variant), places, theta.tolist())
    assert lake.row("select mean_cosine from placed_angles")["mean_cosine"] == pytest.approx(1)


def test_a_roll_moves_the_object_over_the_edge(lake):
    theta = [math.atan2(-0.4, -0.5)]
    insert_places(lake, lake.cell(variant="roll"), [(0.5, 0.6)], theta, roll_x=1.0, roll_y=-1.0)
    row = lake.row("select * from placed_angles")
    assert (row["mean_cosine"], row["is_whole"]) == (pytest.approx(1), True)


def test_objects_that_an_edge_cuts_stand_apart_and_those_on_the_axis_have_no_angle(lake):
    places = [(0.5, 0.0), (0.76, 0.0), (-0.75, 0.0), (0.0, 0.0), (0.1, -0.9)]
    insert_places(lake, lake.cell(), places, [0.0] * 5)
    rows = lake.rows("select is_whole, n from placed_angles order by is_whole")
    assert [tuple(row.values()) for row in rows] == [(False, 2), (True, 2)]


def test_nothing_is_asked_of_pictures_without_an_object(lake):
    insert_places(lake, lake.cell(variant="constant"), [(0.5, 0.0)], [0.0])
    insert_places(lake, lake.cell("k2", dataset="other"), [(None, None)], [0.0], radius=None)
    assert lake.rows("select * from placed_angles") == []


def insert_map(lake, keys, energy):
    height, width = np.shape(energy)
    row = {"layer": "last", "split": "query", "n": 4, "height": height, "width": width}
    lake.insert("energy_maps", row | {"mean_energy": np.ravel(energy).tolist()}, **keys)


def test_hidden_halves_hold_the_energy_that_is_there(lake):
    original = lake.cell()
    energy = np.ones((32, 32))
    insert_map(lake, original, energy)
    for variant in ("occlude-centre", "occlude-ring"):
        lake.cell(variant, variant=variant)
    rows = lake.rows("select variant, original_key, energy_share from occlusion order by variant")
    assert [row["original_key"] for row in rows] == ["k1", "k1"]
    shares = [row["energy_share"] for row in rows]
    assert shares == pytest.approx([0.5, 0.5], abs=2e-3) and sum(shares) == pytest.approx(1)


def test_all_energy_in_the_centre_is_hidden_by_the_disc(lake):
    energy = np.zeros((8, 8))
    energy[3:5, 3:5] = 1
    insert_map(lake, lake.cell(), energy)
    lake.cell("k2", variant="occlude-centre")
    lake.cell("k3", variant="occlude-ring")
    lake.cell("k4", variant="hflip")
    rows = lake.rows("select variant, energy_share, head_accuracy from occlusion order by variant")
    assert [tuple(row.values()) for row in rows] == [("occlude-centre", 1, None), ("occlude-ring", 0, None)]
