"""Agreement of models in frames fitted without the class, on images the other was not asked: literal rows."""

from itertools import permutations

import numpy as np
import pytest

LEANINGS = np.array([-2.0, -0.6, 0.1, 0.8, 2.4])


def lean(lake, model, first, second, **more):
    """Store one cell's directions of both halves, in both planes; the feature plane's are turned by one."""
    keys = lake.cell(model, model=model, weights="some", **more)
    for half, angles in enumerate((first, second)):
        for label, angle in enumerate(angles):
            row = {"label": label, "class_name": str(label), "half": half, "n": 3, "layer": "last"}
            for plane, turn in (("image", 0.0), ("feature", 1.0)):
                row[f"resultant_{plane}_x"] = 0.5 * np.cos(angle + turn)
                row[f"resultant_{plane}_y"] = 0.5 * np.sin(angle + turn)
            lake.insert("loco_directions", row, **keys)


def cosines(a, b):
    """Class by class the agreement of directions (2, K), one's first half with the other's second."""
    return (np.cos(a[0] - b[1]) + np.cos(a[1] - b[0])) / 2


def test_halves_are_crossed_and_every_order_of_few_classes_is_compared(lake):
    a, b = np.random.default_rng(7).vonmises(0, 1, (2, 2, 5))
    b += LEANINGS
    a += LEANINGS
    lean(lake, "a", *a, family="f")
    lean(lake, "b", *b, family="g")
    found = {row["plane"]: row for row in lake.rows("select * from loco_model_agreement")}
    row, by_class = found["image"], cosines(a, b)
    null = np.array([cosines(a, b[:, list(order)]).mean() for order in permutations(range(5))])
    assert row["agreement"] == pytest.approx(by_class.mean(), abs=1e-12)
    assert row["agreement_se"] == pytest.approx(by_class.std(ddof=1) / np.sqrt(5), abs=1e-12)
    assert row["permutation_p"] == pytest.approx((null >= null[0] - 1e-12).mean(), abs=1e-12)
    assert 1 / 120 < row["permutation_p"] < 0.5
    assert (row["permutations"], row["classes"]) == (120, 5)
    assert row["smallest_p"] == pytest.approx(1 / 120)
    assert (row["family_a"], row["family_b"], row["cell_key_a"], row["layer_b"]) == ("f", "g", "a", "last")
    # Turning a plane turns both models' directions: nothing changes.
    assert found["feature"]["agreement"] == pytest.approx(row["agreement"], abs=1e-12)
    assert found["feature"]["permutation_q"] == pytest.approx(row["permutation_p"], abs=1e-12)


def test_images_that_both_networks_saw_are_no_agreement_and_classes_that_lean_alike_are(lake):
    # Classes that do not differ: what two models say of the same images is those images' scatter.
    first, second = np.random.default_rng(0).uniform(-np.pi, np.pi, (2, 8))
    for model in ("a", "b"):
        lean(lake, model, first, second, dataset="scatter")
    angles = np.linspace(-3, 3, 8)
    lean(lake, "c", angles, angles + 0.1, dataset="alike")
    lean(lake, "d", angles + 0.2, angles - 0.1, dataset="alike")
    alike, scatter = lake.rows("select * from loco_model_agreement where plane = 'image' order by dataset")
    assert scatter["agreement"] == pytest.approx(np.cos(first - second).mean(), abs=1e-12)
    assert scatter["permutation_p"] > 0.05
    assert alike["agreement"] == pytest.approx(np.cos(0.1), abs=1e-12)
    assert alike["agreement_se"] == pytest.approx(0, abs=1e-9)
    # 8! = 40,320 orders are more than are drawn.
    assert alike["permutation_p"] == pytest.approx(1 / 10_000, rel=1.01)
    assert (alike["permutations"], alike["smallest_p"]) == (9999, 1 / 10_000)


def test_pairs_are_of_evidence_of_one_data_set_and_memory(lake):
    for model in ("a", "b"):
        lean(lake, model, LEANINGS, LEANINGS)
    lean(lake, "random", LEANINGS, LEANINGS, variant="random-init")
    lean(lake, "other", LEANINGS, LEANINGS, dataset="other")
    lean(lake, "held", LEANINGS, LEANINGS, memory="held-out")
    lean(lake, "held too", LEANINGS, LEANINGS, memory="held-out")
    rows = lake.rows("select model_a, model_b, plane from loco_model_agreement order by all")
    pairs = [("a", "b"), ("held", "held too")]
    assert [tuple(row.values()) for row in rows] == [
        (*pair, p) for pair in pairs for p in ("feature", "image")
    ]


def test_a_class_without_a_direction_in_a_half_is_left_out(lake):
    lean(lake, "a", LEANINGS, LEANINGS)
    lean(lake, "b", LEANINGS, LEANINGS)
    lake.connection.execute(
        "update lake.loco_directions set resultant_image_x = 0, resultant_image_y = 0 "
        "where cell_key = 'b' and label = 2 and half = 1"
    )
    lake.connection.execute(
        "delete from lake.loco_directions where cell_key = 'a' and label > 2 and half = 0"
    )
    rows = lake.rows("select plane, classes, permutations from loco_model_agreement order by all")
    assert [tuple(row.values()) for row in rows] == [("feature", 3, 6), ("image", 2, 2)]
    lake.connection.execute("delete from lake.loco_directions where label > 0")
    row = lake.row("select * from loco_model_agreement where plane = 'image'")
    assert (row["classes"], row["permutation_p"], row["agreement_se"]) == (1, None, None)
