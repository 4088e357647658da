"""Controls and the uncertainty of theta: literal rows in and out, and parity with numpy and scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from u1core.cells.variants import VARIANTS
from u1core.lake.views import analysis

PI = math.pi
EXPECTED = {
    **{
        name: ("none", lambda z: z)
        for name in (
            "random-init", "roll", "constant", "phase-noise", "white", "occlude-centre", "occlude-ring"
        )
    },
    "hflip": ("pi - theta", lambda z: -z.conjugate()),
    "rot90": ("theta + pi/2", lambda z: 1j * z),
    "rot180": ("theta + pi", lambda z: -z),
    "rot270": ("theta - pi/2", lambda z: -1j * z),
} | {
    name: ("theta", lambda z: z)
    for name in (
        "channel-permuted", "gray", "shift-left", "shift-right", "shift-up", "shift-down", "bfloat16",
        "reestimated", "pad-circular", "pad-reflect", "unit-channels",
    )
} | {
    "pad-circular+roll": ("none", lambda z: z),
} | {
    f"{padding}random-init:{seed}": ("none", lambda z: z)
    for padding in ("", "pad-circular+")
    for seed in range(20)
}  # fmt: skip
"""By variant: what docs/method.md expects of theta, and the same as an operation on z."""


def insert_z(lake, keys, z, plane="image", split="query", layer="last"):
    """Store one image per complex number; image i has class i % 3."""
    for image, value in enumerate(z):
        row = {
            "image_id": image,
            "label": image % 3,
            f"theta_{plane}_rad": None if value == 0 else float(np.angle(value)),
            f"strength_{plane}": abs(value),
        }
        lake.insert("angles", row, split=split, layer=layer, **keys)


def test_every_variant_has_its_transform(lake):
    rows = lake.rows("select variant, expected from variant_transforms")
    assert {row["variant"]: row["expected"] for row in rows} == {
        "original": "theta",
        **{variant: expected for variant, (expected, _) in EXPECTED.items()},
    }
    assert {row["variant"] for row in rows} == set(VARIANTS)


def test_jitter_are_the_readings_of_one_angle(lake):
    rows = lake.rows("select variant from variant_transforms where is_jitter")
    jitter = {name for name, variant in VARIANTS.items() if variant.group == "jitter"}
    assert {row["variant"] for row in rows} == {"original", "hflip"} | jitter


@pytest.mark.parametrize("plane", ["image", "feature"])
@pytest.mark.parametrize("variant", [name for name in EXPECTED if ":" not in name or name.endswith(":19")])
def test_a_control_that_does_as_expected_correlates_perfectly(lake, variant, plane):
    z = [0.3 + 0.1j, -0.2 + 0.4j, 0.1 - 0.7j, -0.5 - 0.2j]
    expected, transform = EXPECTED[variant]
    insert_z(lake, lake.cell(), z, plane)
    insert_z(lake, lake.cell("k2", variant=variant), [transform(value) for value in z], plane)
    row = lake.row("select * from controls")
    assert (row["variant"], row["expected"], row["plane"], row["n"]) == (variant, expected, plane, 4)
    assert row["is_bottleneck"] is True
    assert row["complex_correlation"] == pytest.approx(1)
    assert row["turn_rad"] == pytest.approx(0, abs=1e-12)
    assert row["mean_cosine"] == pytest.approx(1)
    assert row["median_error_rad"] == pytest.approx(0, abs=1e-12)
    assert row["class_agreement"] == pytest.approx(1)


def test_figures_of_a_control_by_hand(lake):
    insert_z(lake, lake.cell(), [1, 2j])
    insert_z(lake, lake.cell("k2", variant="bfloat16"), [1j, 2j])
    # sum conj(w) z = 1j + 4, sum |w|^2 = sum |z|^2 = 5.
    row = lake.row("select * from controls")
    assert row["complex_correlation"] == pytest.approx(4 / 5)
    assert row["turn_rad"] == pytest.approx(math.atan2(1, 4))
    assert row["mean_cosine"] == pytest.approx(1 / 2)
    assert row["median_error_rad"] == pytest.approx(PI / 4)
    assert row["class_agreement"] == pytest.approx(1 / 2)


def test_controls_equal_numpy(lake):
    rng = np.random.default_rng(31)
    w, noise = rng.normal(size=(2, 40)) + 1j * rng.normal(size=(2, 40))
    expected = -w.conj()
    z = expected + noise
    insert_z(lake, lake.cell(), w)
    insert_z(lake, lake.cell("k2", variant="hflip"), z)
    row = lake.row("select * from controls")
    coefficient = np.vdot(expected, z) / np.sqrt(np.vdot(w, w).real * np.vdot(z, z).real)
    error = np.angle(z / expected)
    assert row["complex_correlation"] == pytest.approx(coefficient.real)
    assert row["turn_rad"] == pytest.approx(np.angle(coefficient))
    assert row["mean_cosine"] == pytest.approx(np.cos(error).mean())
    assert row["median_error_rad"] == pytest.approx(np.median(abs(error)))


def test_images_without_an_angle_in_either_cell_are_left_out(lake):
    insert_z(lake, lake.cell(), [1, 0, 1j, 1])
    insert_z(lake, lake.cell("k2", variant="gray"), [1, 1, 0])
    row = lake.row("select n, complex_correlation from controls")
    assert row == {"n": 1, "complex_correlation": 1}


def test_a_control_is_compared_within_its_dataset_model_and_layer(lake):
    insert_z(lake, lake.cell(), [1, 1j])
    insert_z(lake, lake.cell("superseded", selected_at="2020-01-01 00:00:00+00"), [-1, -1j])
    insert_z(lake, lake.cell("k2", variant="gray"), [1, 1j])
    insert_z(lake, lake.cell("k3", variant="gray", model="other"), [1, 1j])
    insert_z(lake, lake.cell("k4", variant="gray", dataset="other"), [1, 1j])
    assert [row["cell_key"] for row in lake.rows("select cell_key from controls")] == ["k2"]


def test_uncertainty_is_the_circular_standard_deviation_of_the_readings_undone(lake):
    rng = np.random.default_rng(32)
    theta = rng.uniform(-PI, PI, 5)
    readings = {"original": theta}
    for variant in ("hflip", "shift-left", "shift-up", "bfloat16"):
        readings[variant] = theta + rng.normal(0, 0.3, 5)
    for number, (variant, angles) in enumerate(readings.items()):
        seen = PI - angles if variant == "hflip" else angles
        insert_z(lake, lake.cell(f"k{number}", variant=variant), np.exp(1j * seen))
    insert_z(lake, lake.cell("turned", variant="rot90"), np.exp(1j * theta))
    rows = lake.rows("select * from theta_uncertainty order by image_id")
    expected = stats.circstd(np.array(list(readings.values())), axis=0)
    assert [row["theta_image_sd_rad"] for row in rows] == pytest.approx(expected.tolist())
    assert {(row["cell_key"], row["variant"], row["readings"]) for row in rows} == {("k0", "original", 5)}
    assert {row["theta_feature_sd_rad"] for row in rows} == {None}


def test_two_readings_give_no_uncertainty_and_three_alike_give_none_at_all(lake):
    insert_z(lake, lake.cell(), [1j, 1j])
    insert_z(lake, lake.cell("k2", variant="shift-up"), [1j, 1j])
    insert_z(lake, lake.cell("k3", variant="bfloat16"), [1j, 0])
    rows = lake.rows("select theta_image_sd_rad, readings from theta_uncertainty order by image_id")
    assert rows == [
        {"theta_image_sd_rad": pytest.approx(0, abs=1e-7), "readings": 3},
        {"theta_image_sd_rad": None, "readings": 3},
    ]


def test_uncertainty_by_class_takes_medians_and_counts_the_weak(lake):
    keys = lake.cell()
    insert_z(lake, keys, [1, 1, 1, 0.01])
    lake.insert("frames", {"layer": "last", "floor_image": 0.1}, **keys)
    for variant in ("shift-up", "shift-down"):
        insert_z(lake, lake.cell(variant, variant=variant), [1, 1, 1, 1j])
    ant, bee, cow = lake.rows(analysis("theta_uncertainty_by_class"), split="query")
    assert (ant["n"], ant["weak_image_share"], bee["weak_image_share"]) == (2, 0.5, 0)
    # Readings 0, pi/2, pi/2: R = sqrt(5) / 3; the median with the other image's 0 is half of it.
    assert ant["theta_image_sd_rad"] == pytest.approx(math.sqrt(-2 * math.log(math.sqrt(5) / 3)) / 2)
    assert cow["theta_image_sd_rad"] == pytest.approx(0, abs=1e-7)


def insert_readings(lake, turns):
    """Store images whose theta_image in the original and two shifts is 0, turn, -turn."""
    for variant, sign in (("original", 0), ("shift-up", 1), ("shift-down", -1)):
        insert_z(lake, lake.cell(variant, variant=variant), [np.exp(1j * sign * turn) for turn in turns])


def sd_rad(turn):
    """The circular standard deviation of 0, turn, -turn: R = (1 + 2 cos turn) / 3."""
    return math.sqrt(-2 * math.log((1 + 2 * math.cos(turn)) / 3))


def test_uncertainty_of_a_cell_is_summed_up_over_its_images(lake):
    turns = [0.1, 0.2, 0.4, 0.8, 1.0]
    insert_readings(lake, turns)
    found = lake.rows(
        "select plane, n, readings, median_sd_rad, upper_sd_rad from theta_summary order by plane"
    )
    feature, image = (tuple(row.values()) for row in found)
    assert feature == ("feature", 0, None, None, None)
    assert image[:3] == ("image", 5, 3)
    assert image[3] == pytest.approx(sd_rad(0.4))
    # 0.9 of the way along five values: 0.6 of the way from the fourth to the fifth.
    assert image[4] == pytest.approx(0.4 * sd_rad(0.8) + 0.6 * sd_rad(1.0))
    rows = lake.rows("select image_id, sd_rad from plane_uncertainty where plane = 'image' order by image_id")
    assert [row["sd_rad"] for row in rows] == pytest.approx([sd_rad(turn) for turn in turns])


def test_spread_counts_images_in_eighths_of_a_power_of_ten(lake):
    # sd of three readings is about turn sqrt(2/3) for small turns; 0.1 degrees begin the first bin.
    insert_readings(lake, [1e-6, 0.01, 0.01, 1.5, 2.09])
    rows = lake.rows("select * from theta_spread where plane = 'image' order by bin")
    assert [row["bin"] for row in rows] == list(range(1, 29))
    edges = [*(row["sd_low_rad"] for row in rows), rows[-1]["sd_high_rad"]]
    assert np.degrees(edges) == pytest.approx(0.1 * 10 ** (np.arange(29) / 8))
    assert [row["sd_high_rad"] for row in rows[:-1]] == pytest.approx(edges[1:-1])
    # 8 log10(sd / 0.1) of 0.468, 79.7 and 198 degrees is 5.4, 23.2 and 26.4.
    counted = {row["bin"]: row["n"] for row in rows if row["n"]}
    expected = [math.degrees(sd_rad(turn)) for turn in (0.01, 1.5, 2.09)]
    assert expected == pytest.approx([0.468, 79.7, 198], rel=0.001)
    assert counted == {1: 1, 6: 2, 24: 1, 27: 1}


def insert_sectors(lake, sectors):
    """Store pictures at 0.1 and 2.1 rad, one sector each, and a model's (class, angle) in them."""
    pixels, model = lake.cell("p", model="pixels", weights="none"), lake.cell("k")
    images = [(0.1 + 2 * sector, *image) for sector, members in enumerate(sectors) for image in members]
    for number, (picture, label, angle) in enumerate(images):
        row = {"image_id": number, "label": label}
        lake.insert("angles", row, theta_image_rad=picture, split="query", layer="last", **pixels)
        lake.insert("angles", row, theta_image_rad=angle, split="query", layer="last", **model)


def test_bias_beyond_the_pictures_vanishes_where_classes_differ_by_their_pictures_only(lake):
    # Within a sector the scores of each class are evenly spread: ranks 1 3 5 7, 2 6 and 4 8 of 8.
    often, seldom, other = [1, 3, 5, 7], [2, 6], [4, 8]
    first = [(0, often), (1, seldom), (2, other)]
    second = [(2, often), (1, seldom), (0, other)]
    insert_sectors(
        lake,
        [
            [(label, start + rank / 8) for label, ranks in members for rank in ranks]
            for start, members in ((0, first), (2, second))
        ],
    )
    row = lake.row(analysis("class_bias_beyond_pixels"), split="query")
    assert (row["cell_key"], row["n"], row["sectors"], row["mww_dof"]) == ("k", 16, 2, 8)
    assert row["mww_w"] == pytest.approx(0, abs=1e-9)
    assert row["mww_p"] == pytest.approx(1)
    assert row["effect_size"] == pytest.approx(-8 / 32)  # less its mean under the null
    assert row["overall_effect_size"] > row["effect_size"] + 0.05


def test_bias_beyond_the_pictures_stays_where_a_sector_holds_it(lake):
    tied = [(label, label + 0.5) for label in (0, 1, 2) for _ in range(2)]
    constant = [(label, 1.0) for label in (0, 1, 2)]
    insert_sectors(lake, [tied, tied])
    row = lake.row(analysis("class_bias_beyond_pixels"), split="query")
    # Each class is tied at a point of its own: W = 2 n.
    assert row["mww_w"] == pytest.approx(24)
    assert row["effect_size"] == pytest.approx((24 - 8) / 24)
    for table in ("cells", "angles"):
        lake.connection.execute(f"delete from lake.{table}")
    insert_sectors(lake, [tied, constant])
    assert lake.row(analysis("class_bias_beyond_pixels"), split="query")["sectors"] == 1
