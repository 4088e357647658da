"""Agreement of class directions over planes, models and pictures: literal rows in, literal rows out."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy import stats

PI = math.pi
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LEANINGS = [-2.0, -0.6, 0.1, 0.8, 2.4]


def lean(lake, keys, directions, plane="image", strength=1.0):
    """Store one image per class, at its direction."""
    for label, direction in enumerate(directions):
        row = {
            "image_id": label,
            "label": label,
            "class_name": "vwxyz"[label],
            f"theta_{plane}_rad": direction,
            f"strength_{plane}": strength,
        }
        lake.insert("angles", row, split="query", layer="last", **keys)


def test_pairs_of_models_are_of_one_variant_or_with_random_weights(lake):
    for model in ("a", "b"):
        for variant in ("original", "random-init", "hflip"):
            lean(lake, lake.cell(f"{model} {variant}", model=model, variant=variant), LEANINGS)
    rows = lake.rows("select cell_key_a, cell_key_b from model_agreement order by all")
    assert {tuple(row.values()) for row in rows} == {
        ("a original", "b original"),
        ("a random-init", "b random-init"),
        ("a hflip", "b hflip"),
        ("a original", "a random-init"),
        ("a original", "b random-init"),
        ("a random-init", "b original"),
        ("b original", "b random-init"),
    }


def test_a_network_of_two_ids_is_one(lake):
    same = {"architecture": "code:net", "preprocessing": "{}", "weights_sha256": "s"}
    others = {
        "b": {},
        "c": {"weights_sha256": "t"},
        "d": {"preprocessing": "{1}"},
        "e": {"architecture": "f"},
    }
    for model, differs in {"a": {}, **others}.items():
        lean(lake, lake.cell(model, model=model, **same | differs), LEANINGS)
        random = {"variant": "random-init", "weights": "random, seed 0", "weights_sha256": None}
        lake.cell(f"{model} random", model=model, **same | differs | random)
    repeated = lake.rows("select cell_key from cells where is_repeated order by all")
    # Of random weights a, b and c are the same too.
    assert [row["cell_key"] for row in repeated] == ["b", "b random", "c random"]
    evidence = lake.rows("select cell_key from cells where is_evidence order by all")
    assert [row["cell_key"] for row in evidence] == ["a", "c", "d", "e"]
    pairs = lake.rows("select cell_key_a, cell_key_b from model_agreement order by all")
    assert [tuple(row.values()) for row in pairs] == [(a, b) for a in "acde" for b in "acde" if a < b]
    assert {row["models"] for row in lake.rows("select models from class_agreement")} == {4}


def test_a_superseded_cell_repeats_nothing(lake):
    same = {"architecture": "code:net", "weights_sha256": "s"}
    lake.cell("old", model="a", selected_at=NOON - timedelta(days=1), **same)
    lake.cell("new", model="a", **same)
    assert lake.rows("select cell_key from cells where is_repeated") == []


@pytest.mark.parametrize(
    ("more", "is_evidence"),
    [({}, True), ({"weights": "none"}, False), ({"variant": "random-init"}, False)],
)
def test_a_pair_is_evidence_where_both_cells_are(lake, more, is_evidence):
    lean(lake, lake.cell("a", model="a", weights="some"), LEANINGS)
    lean(lake, lake.cell("b", **({"model": "b", "weights": "some"} | more)), LEANINGS)
    row = lake.row("select agreement, is_evidence from model_agreement")
    assert row == {"agreement": pytest.approx(1), "is_evidence": is_evidence}


def test_composition_compares_both_planes_with_the_pictures(lake):
    pixels = lake.cell("p", model="pixels", weights="none")
    lean(lake, pixels, LEANINGS)
    for variant, turn in (("original", 0.0), ("random-init", PI / 2), ("gray", 0.0)):
        lean(lake, lake.cell(variant, variant=variant), [wrapped(angle + turn) for angle in LEANINGS])
    keys = lake.cell("f", model="other")
    lean(lake, keys, [wrapped(angle + PI) for angle in LEANINGS], plane="feature")
    rows = lake.rows("select * from composition order by cell_key")
    found = {row["cell_key"]: (row["plane"], row["agreement"], row["image_correlation"]) for row in rows}
    assert found == {
        "f": ("feature", pytest.approx(-1), pytest.approx(-1)),
        "original": ("image", pytest.approx(1), pytest.approx(1)),
        "random-init": ("image", pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-12)),
    }
    assert {(row["classes"], row["n"], row["pixels_key"], row["permutations"]) for row in rows} == {
        (5, 5, "p", 9999)
    }
    # Of the 120 orders of the five classes only the identity agrees or disagrees as well; p is two-sided.
    assert rows[0]["permutation_p"] == rows[1]["permutation_p"] == pytest.approx(1 / 120, rel=0.5)
    one_sided = lake.rows("select permutation_p from agreements where kind = 'pixels' order by cell_key_a")
    assert [row["permutation_p"] for row in one_sided][:2] == [1, rows[1]["permutation_p"]]
    p = [row["permutation_p"] for row in rows]
    assert [row["permutation_q"] for row in rows] == pytest.approx(stats.false_discovery_control(p).tolist())


def wrapped(angle):
    """Bring an angle into (-pi, pi]."""
    return PI - (PI - angle) % (2 * PI)


def test_image_correlation_weighs_by_strength(lake):
    lean(lake, lake.cell("p", model="pixels", weights="none"), [0.0, 0.0])
    keys = lake.cell()
    lean(lake, keys, [0.0, PI / 2])
    lake.connection.execute("update lake.angles set strength_image = 3 where cell_key = 'k1' and label = 1")
    row = lake.row("select agreement, image_correlation from composition")
    # Re(1 + 3i) / sqrt(2 * 10)
    assert row["image_correlation"] == pytest.approx(1 / math.sqrt(20))
    assert row["agreement"] == pytest.approx(1 / 2)


def test_no_composition_without_the_pictures(lake):
    lean(lake, lake.cell(), LEANINGS)
    lean(lake, lake.cell("p", dataset="other", model="pixels", weights="none"), LEANINGS)
    assert lake.rows("select * from composition") == []


def test_class_agreement_gives_each_evidence_cell_one_vote(lake):
    votes = {"a": 0.0, "b": PI / 2, "c": PI / 2}
    for model, angle in votes.items():
        lean(lake, lake.cell(model, model=model), [angle])
    lean(lake, lake.cell("r", model="a", variant="random-init"), [3.0])
    lean(lake, lake.cell("p", model="pixels", weights="none"), [3.0])
    lean(lake, lake.cell("f", dataset="phantom"), [3.0])
    row = lake.row("select * from class_agreement")
    assert (row["dataset"], row["class_name"], row["models"]) == ("toy", "v", 3)
    assert row["mean_direction_rad"] == pytest.approx(math.atan2(2, 1))
    assert row["resultant_length"] == pytest.approx(math.sqrt(5) / 3)
    # Zar (1999), eq. 27.4 with n = 3 and nR = sqrt(5).
    assert row["rayleigh_p"] == pytest.approx(math.exp(math.sqrt(13 + 4 * (9 - 5)) - 7))


def test_class_agreement_of_one_model_has_no_p_and_of_two_little_power(lake):
    lean(lake, lake.cell("a", model="a"), [0.5, 0.5])
    lean(lake, lake.cell("b", model="b"), [0.5])
    rows = lake.rows("select * from class_agreement order by label")
    assert [row["models"] for row in rows] == [2, 1]
    assert rows[0]["rayleigh_p"] == pytest.approx(math.exp(-2))
    assert (rows[1]["rayleigh_p"], rows[1]["rayleigh_q"]) == (None, None)


def test_class_agreement_q_is_adjusted_over_the_view(lake):
    rng = np.random.default_rng(41)
    for model in range(6):
        lean(lake, lake.cell(f"k{model}", model=f"m{model}"), rng.vonmises(0, 1, 5).tolist())
    rows = lake.rows("select rayleigh_p, rayleigh_q from class_agreement order by label")
    expected = stats.false_discovery_control([row["rayleigh_p"] for row in rows])
    assert [row["rayleigh_q"] for row in rows] == pytest.approx(expected.tolist())


@pytest.mark.parametrize(("classes", "orders"), [(2, 2), (3, 6), (5, 120)])
def test_the_smallest_p_is_that_of_the_orders_and_perfect_agreement_reaches_it(lake, classes, orders):
    for model in ("a", "b"):
        lean(lake, lake.cell(model, model=model), LEANINGS[:classes])
    row = lake.row("select agreement, permutations, permutation_p, smallest_p from model_agreement")
    assert (row["agreement"], row["permutations"]) == (pytest.approx(1), 9999)
    assert row["smallest_p"] == pytest.approx(1 / orders, rel=1e-12)
    # The order that was seen is drawn as often as any: four standard errors.
    assert row["permutation_p"] == pytest.approx(1 / orders, abs=4 * math.sqrt(1 / orders / 9999) + 1e-4)


RESULTANT = [f"resultant_{plane}_{axis}" for plane in ("image", "feature") for axis in "xy"]


def test_a_family_of_tests_is_one_question_and_controls_do_not_change_it(lake):
    rng = np.random.default_rng(3)
    for model, kappa in (("a", 3.0), ("b", 1.0), ("c", 0.5)):
        for variant in ("original", "hflip"):
            keys = lake.cell(f"{model} {variant}", model=model, variant=variant, family=model)
            told = {"frame": "loco", "classes": 10, "draws": 10_000, "agreement_p": 0.001 / kappa}
            lake.insert("planes", told, layer="last", **keys)
            lean = [
                {"label": i % 10, "half": i // 10, **dict(zip(RESULTANT, rng.normal(size=4), strict=True))}
                for i in range(20)
            ]
            lake.insert("loco_directions", *lean, layer="last", **keys)
            for plane in ("image", "feature"):
                groups = {label: rng.vonmises(label, kappa, 8).tolist() for label in range(3)}
                lake.angles(keys, groups, plane=plane)
                lake.angles(keys, groups, plane=plane, split="memory")
    rows = lake.rows("select * from family_tests")
    assert {row["cell_key"].split()[1] for row in rows} == {"original"}
    questions = {}
    for row in rows:
        questions.setdefault(row["question"], []).append(row)
    counts = {question: len(found) for question, found in questions.items()}
    assert counts == {
        "class bias, image": 3, "class bias, feature": 3, "planes agree": 3,
        "models agree, image": 3, "models agree, feature": 3,
    }  # fmt: skip
    for found in questions.values():
        q = stats.false_discovery_control([row["p"] for row in found])
        assert [row["q"] for row in found] == pytest.approx(q.tolist())
        assert {row["tests"] for row in found} == {3}
