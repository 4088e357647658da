"""The 2 x 2 of padding and placement: literal rows in and out; its errors are a bootstrap's."""

import math

import numpy as np
import pytest

CORNERS = ("original", "roll", "pad-circular", "pad-circular+roll")
PARTS = {
    "focus": (1, 0, 0, 0),
    "focus_rolled": (0, 1, 0, 0),
    "focus_circular": (0, 0, 1, 0),
    "floor": (0, 0, 0, 1),
    "padding_part": (0.5, 0.5, -0.5, -0.5),
    "placement_part": (0.5, -0.5, 0.5, -0.5),
    "total": (1, 0, 0, -1),
    "interaction": (1, -1, -1, 1),
}
"""What every figure takes of the corners, in their order: Shapley's values of a game of two players."""


def insert_light(lake, variant, energy, ratio, *, first=0, model="net"):
    """Store a cell whose query images, from id `first`, have these energies and centre density ratios."""
    keys = lake.cell(f"{model}-{variant}", model=model, variant=variant)
    rows = [
        {"image_id": first + i, "energy_total": float(e), "centre_density_ratio": float(r)}
        for i, (e, r) in enumerate(zip(energy, ratio, strict=True))
    ]
    lake.insert("records", *rows, layer="last", split="query", label=0, **keys)


def drawn(n, seed=0):
    """Corners as images have them: one picture's content in all four, energies far from equal."""
    rng = np.random.default_rng(seed)
    content = rng.normal(size=n)
    for shift in (0.65, 0.35, 0.45, 0.0):
        energy = np.exp(0.4 * content + 0.3 * rng.normal(size=n))
        yield energy, np.exp(shift + 0.2 * content + 0.15 * rng.normal(size=n))


def figures(corners):
    """Every figure of the view by its definition, (energy, ratio) of (..., n) images."""
    focus = [np.log((e * c).sum(-1) / e.sum(-1)) for e, c in corners]
    return {name: sum(w * f for w, f in zip(weights, focus, strict=True)) for name, weights in PARTS.items()}


def test_parts_by_hand(lake):
    # One image is twice as bright: 1, 2 -> (1 * 4 + 2 * 1) / 3 = 2, and so on.
    for variant, ratio in zip(CORNERS, ((4, 1), (1.5, 1.5), (1.2, 1.2), (1, 1)), strict=True):
        insert_light(lake, variant, (1, 2), ratio)
    insert_light(lake, "reestimated", (1, 2), (3, 3))
    row = lake.row("select * from attribution")
    assert (row["cell_key"], row["layer"], row["n"], row["is_broken"]) == ("net-original", "last", 2, False)
    a, b, c, d = math.log(2), math.log(1.5), math.log(1.2), 0.0
    assert [row[k] for k in ("focus", "focus_rolled", "focus_circular", "floor")] == pytest.approx(
        [a, b, c, d]
    )
    assert row["padding_part"] == pytest.approx((a - c + b - d) / 2)
    assert row["placement_part"] == pytest.approx((a - b + c - d) / 2)
    assert row["total"] == pytest.approx(row["padding_part"] + row["placement_part"])
    assert row["interaction"] == pytest.approx((a - c) - (b - d))
    assert row["reestimation"] == pytest.approx(math.log(3) - a)
    # E c / mean(E c) - E / mean(E): 4/3 - 2/3 and 2/3 - 4/3, nothing where all ratios are one.
    assert row["focus_se"] == pytest.approx(np.std([2 / 3, -2 / 3], ddof=1) / math.sqrt(2))
    assert row["reestimation_se"] == pytest.approx(row["focus_se"]) == pytest.approx(row["total_se"])
    assert row["padding_part_se"] == pytest.approx(row["focus_se"] / 2)
    assert row["floor_se"] == pytest.approx(0, abs=1e-12)


def test_errors_are_those_of_a_bootstrap_that_pairs_images(lake):
    corners = list(drawn(120))
    for variant, (energy, ratio) in zip(CORNERS, corners, strict=True):
        insert_light(lake, variant, energy, ratio)
    row = lake.row("select * from attribution")
    chosen = np.random.default_rng(1).integers(120, size=(3000, 120))
    again = figures([(e[chosen], c[chosen]) for e, c in corners])
    for name, value in figures(corners).items():
        assert row[name] == pytest.approx(value)
        # 3,000 draws know a standard deviation to 1.3 %.
        assert row[f"{name}_se"] == pytest.approx(again[name].std(), rel=0.05), name
    unpaired = math.hypot(row["focus_se"], row["floor_se"])
    assert row["total_se"] < 0.9 * unpaired  # the same pictures: their content leaves with the difference
    assert row["reestimation"] is None


@pytest.mark.parametrize(
    ("ratios", "is_broken"),
    [
        ((1.04, 1.04), False),
        ((1.06, 1.06), True),
        ((0.94, 0.94), True),
        ((0.5, 1.9), False),  # 0.18, and its error is larger
    ],
)
def test_a_torus_that_is_not_even_is_broken(lake, ratios, is_broken):
    insert_light(lake, "original", (1, 1), (2, 2))
    insert_light(lake, "pad-circular+roll", (1, 1), ratios)
    row = lake.row("select * from attribution")
    assert row["is_broken"] is is_broken
    assert row["padding_part"] is None
    assert row["placement_part"] is None
    assert row["total"] == pytest.approx(row["focus"] - row["floor"])


def test_images_that_a_cell_lacks_count_in_none(lake):
    insert_light(lake, "original", (1, 1, 5), (1, 3, 9))
    insert_light(lake, "roll", (7, 2, 2), (9, 2, 2), first=-1)
    row = lake.row("select * from attribution")
    assert (row["n"], row["focus"], row["focus_rolled"]) == (
        2,
        pytest.approx(math.log(2)),
        pytest.approx(math.log(2)),
    )


def test_dark_images_have_no_centre_and_add_nothing(lake):
    insert_light(lake, "original", (1, 0, 3), (1, math.nan, 3))
    insert_light(lake, "roll", (0, 0, 0), (math.nan,) * 3)
    row = lake.row("select * from attribution")
    assert (row["n"], row["focus"], row["focus_rolled"]) == (3, pytest.approx(math.log(10 / 4)), None)
    assert row["focus_rolled_se"] is None


def test_an_original_alone_and_a_control_alone_have_no_row(lake):
    insert_light(lake, "original", (1, 1), (2, 2))
    insert_light(lake, "roll", (1, 1), (2, 2), model="other")
    assert lake.rows("select * from attribution") == []
