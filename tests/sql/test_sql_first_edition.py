"""The first edition of the decision rules: one lake on which all hold, then each broken one way."""

import math

import pytest

from u1core.lake.connect import freeze

UNIFORM_EE50 = math.sqrt(2 / math.pi)
LEANINGS = {0: -2.0, 1: -0.6, 2: 0.1, 3: 0.8, 4: 2.4}


@pytest.fixture
def convincing_lake(lake):
    """Two models of one dataset on which claims 1 to 4 hold, and a phantom on which none would."""
    for model in ("a", "b"):
        _insert_cell(lake, lake.cell(model, model=model, class_names=list("vwxyz")))
    _insert_cell(lake, lake.cell("p", dataset="phantom_null"), ee50=0.9, theta_correct=0)
    return lake


def _insert_cell(lake, keys, ee50=0.5, theta_correct=40):
    """100 query images of five classes, each leaning its way in both planes, and their searches."""
    lake.insert("frames", {"layer": "last", "channels": 16}, **keys)
    fit = {"sombrero_b": 2.0, "sombrero_c": 2.0, "trough_radius": 0.7, "r_squared": 0.95, "anisotropy": 0.1}
    lake.insert("energy_maps", fit | {"ee50_radius": ee50}, split="query", layer="last", **keys)
    lake.connection.execute(
        """
        insert into lake.records by name
        select
            $cell_key as cell_key, $dataset as dataset, $model as model, $variant as variant, 'last' as layer,
            i as image_id, i % 5 as label, if(i < 100, 'query', 'memory') as split, 0.5 as polar_angle_rad,
        from range(200) as t(i)
        """,
        keys,
    )
    lake.connection.execute(
        """
        insert into lake.angles by name
        select
            cell_key, dataset, model, variant, layer, image_id, label, split,
            $leanings[label + 1] + 0.02 * (image_id // 5 - 10) as theta_image_rad,
            theta_image_rad + 0.05 as theta_feature_rad,
        from lake.records where cell_key = $cell_key and split = 'query'
        """,
        {"cell_key": keys["cell_key"], "leanings": list(LEANINGS.values())},
    )
    for scheme, correct in (("theta", theta_correct), ("pooled", 90)):
        lake.connection.execute(
            """
            insert into lake.neighbours by name
            select
                cell_key, dataset, model, variant, layer, image_id, label, 1 as rank, $scheme as scheme,
                if(image_id < $correct, label, (label + 1) % 5) as memory_label,
            from lake.records where cell_key = $cell_key and split = 'query'
            """,
            {"cell_key": keys["cell_key"], "scheme": scheme, "correct": correct},
        )


def claims(lake):
    """Return the claims by number, the costly views computed once, as a sweep does; and not for good."""
    lake.connection.execute("begin")
    try:
        freeze(lake.connection)
        return {row["claim"]: row for row in lake.rows("select * from claims_first_edition")}
    finally:
        lake.connection.execute("rollback")


def test_claims_hold_on_a_convincing_lake(convincing_lake):
    found = claims(convincing_lake)
    verdicts = [found[claim]["verdict"] for claim in range(1, 6)]
    assert verdicts == ["holds"] * 4 + ["not tested"]
    assert "2 of 2 cells (median EE50 0.500" in found[1]["evidence"]
    # arccos(1 / sqrt 16) = 1.318: 0.5 rad is 0.38 of it.
    assert "polar angle 0.38 of its bound" in found[1]["evidence"]
    assert "2 hats" in found[2]["evidence"]
    assert "models agree in 1 of 1 pairs (median cosine 1.00)" in found[3]["evidence"]
    assert "median accuracy 0.400 by theta, 0.900 pooled, chance 0.200" in found[4]["evidence"]
    for row in found.values():
        assert row["evidence"].endswith(".") and "None" not in row["evidence"]


BREAK = {
    "focus as wide as uniform light": (
        1,
        f"update lake.energy_maps set ee50_radius = {0.96 * UNIFORM_EE50} where cell_key = 'a'",
    ),
    "activations far from the medial vector": (
        1,
        "update lake.records set polar_angle_rad = 0.7 where cell_key = 'a'",
    ),
    "a poor fit": (2, "update lake.energy_maps set r_squared = 0.89 where cell_key = 'a'"),
    "light that is not round": (2, "update lake.energy_maps set anisotropy = 0.3 where cell_key = 'a'"),
    "a bowl": (2, "update lake.energy_maps set sombrero_b = -1 where cell_key = 'a'"),
    "no bias in one plane": (
        3,
        "update lake.angles set theta_feature_rad = image_id // 5 * 0.1 where cell_key = 'a'",
    ),
    "planes that disagree": (
        3,
        "update lake.angles set theta_feature_rad = [-0.6, 2.4, -2.0, 0.1, 0.8][label + 1] + image_id * 1e-4",
    ),
    "models that disagree": (
        3,
        """update lake.angles set theta_feature_rad = theta, theta_image_rad = theta
        from (select image_id as i, [0.8, 2.4, -2.0, -0.6, 0.1][label + 1] + image_id * 1e-4 as theta
            from lake.angles where cell_key = 'a') where i = image_id and cell_key = 'a'""",
    ),
    "theta no better than chance": (
        4,
        "update lake.neighbours set memory_label = (label + 1) % 5 where scheme = 'theta' and cell_key = 'a'",
    ),
    "no search by the pooled vector": (4, "delete from lake.neighbours where scheme = 'pooled'"),
}


@pytest.mark.parametrize("damage", BREAK)
def test_claim_does_not_hold_when_its_rule_is_broken(convincing_lake, damage):
    claim, statement = BREAK[damage]
    convincing_lake.connection.execute(statement)
    verdicts = {number: row["verdict"] for number, row in claims(convincing_lake).items()}
    assert verdicts.pop(claim) == "does not hold"
    assert verdicts.pop(5) == "not tested"
    assert set(verdicts.values()) == {"holds"}


def test_two_thirds_of_the_cells_are_enough(convincing_lake):
    _insert_cell(convincing_lake, convincing_lake.cell("c", dataset="other"), ee50=0.9, theta_correct=0)
    found = claims(convincing_lake)
    assert (found[1]["verdict"], found[4]["verdict"]) == ("holds", "holds")
    assert "2 of 3 cells" in found[1]["evidence"]


def test_a_single_model_is_judged_without_pairs(lake):
    _insert_cell(lake, lake.cell())
    claim = claims(lake)[3]
    assert claim["verdict"] == "holds"
    assert "no dataset has two models to compare" in claim["evidence"]


def test_controls_are_no_evidence(lake):
    _insert_cell(lake, lake.cell(dataset="phantom"))
    _insert_cell(lake, lake.cell("k2", variant="random-init"))
    _insert_cell(lake, lake.cell("k3", model="pixels", weights="none"))
    assert {row["verdict"] for row in claims(lake).values()} == {"not tested"}


def test_no_caveat_without_controls(convincing_lake):
    assert {row["caveat"] for row in claims(convincing_lake).values()} == {None}


def test_controls_stand_beside_the_evidence_and_leave_the_verdicts(convincing_lake):
    lake = convincing_lake
    before = [row["verdict"] for row in claims(lake).values()]
    _insert_cell(lake, lake.cell("r", model="a", variant="random-init"), ee50=0.7, theta_correct=20)
    _insert_cell(lake, lake.cell("f", model="a", variant="hflip"))
    _insert_cell(lake, lake.cell("p", model="pixels", weights="none"), ee50=0.8)
    for dataset in ("placed", "placed_fashion", "phantom"):  # classes lean nowhere in these, or as planted
        drawn = lake.cell(dataset, model="a", dataset=dataset, variant="random-init")
        _insert_cell(lake, drawn, ee50=0.2, theta_correct=0)
    lake.connection.execute("""
        update lake.angles set theta_image_rad = wrap_angle(pi() - theta_image_rad)
        where cell_key in ('f', 'p')
    """)
    lake.connection.execute("update lake.angles set strength_image = 1, strength_feature = 1")
    found = claims(lake)
    assert [row["verdict"] for row in found.values()] == before
    assert found[1]["caveat"] == (
        "Random weights give EE50 0.700 and a polar angle of 0.38 of its bound. "
        "The pictures alone give EE50 0.800."
    )
    assert "Random weights give R^2 0.950, anisotropy 0.100, 1 hats, 0 domes, 0 bowls." in found[2]["caveat"]
    assert "At random weights 1 of 1 cells are biased" in found[3]["caveat"]
    assert "Their class directions agree with the trained ones at 1.00." in found[3]["caveat"]
    assert "Theta follows a mirrored picture with correlation" in found[3]["caveat"]
    assert "themselves in " in found[3]["caveat"]
    assert found[4]["caveat"] == "Random weights give 0.200 by theta and 0.900 pooled."
    assert found[5]["caveat"] is None


def test_the_location_memory_stands_beside_the_memory(convincing_lake):
    lake = convincing_lake
    for x, right in ((0.25, 0), (0.5, 1)):
        row = {"scheme": "location", "x": x, "y": 0.0, "label": 0, "memory_label": right}
        lake.insert("location_neighbours", row, cell_key="a", layer="last")
    for scheme in ("pooled", "full"):
        row = {"scheme": scheme, "label": 0, "memory_label": 0}
        lake.insert("location_neighbours", row, cell_key="a", layer="last")
    # From 1 in the centre to 0: half-way to chance, 0.6, is at 0.4 of the way from 0.25 to 0.5.
    assert claims(lake)[4]["caveat"] == (
        "By place (a smaller memory) the centre gives 1.000, the corners 0.000, the whole map 1.000, "
        "pooled 1.000. Knowledge is half gone at radius 0.35, half of the energy lies within 0.50."
    )


def test_errors_of_the_sombrero_stand_beside_its_shape(convincing_lake):
    convincing_lake.connection.execute("""
        update lake.records
        set sombrero_a = 1, sombrero_b = 2 + 0.1 * (image_id % 2 - 0.5), sombrero_c = 2
        where cell_key = 'a' and split = 'query'
    """)
    # se(b) = 0.05 sqrt(100/99) / 10, and the trough, sqrt(b/2c), moves by a quarter of b's relative change.
    assert claims(convincing_lake)[2]["caveat"] == (
        "The shape is certain in 1 of 1 cells. The trough lies at 0.700 with standard error 0.001."
    )


@pytest.mark.parametrize(
    ("gain", "ci_low", "p", "verdict"),
    [(0.02, 0.01, 0.01, "holds"), (0.02, -0.01, 0.01, "does not hold"), (0.02, 0.01, 0.2, "does not hold")],
)
def test_training_must_improve_every_task(lake, gain, ci_low, p, verdict):
    connection = lake.connection
    connection.execute("create table arms as from training_effect")
    connection.execute("drop view training_effect")
    connection.execute("alter table arms rename to training_effect")
    connection.execute("insert into training_effect by name select 'first' as task, 'onehot' as arm")
    connection.execute(
        "insert into training_effect by name select 'first' as task, 'onehot+u1' as arm, 6 as pairs, "
        "$gain::double as difference_mean, $low::double as ci_low, $p::double as permutation_p",
        {"gain": gain, "low": ci_low, "p": p},
    )
    row = claims(lake)[5]
    assert row["verdict"] == verdict
    assert "median gain +2.00 points" in row["evidence"]
