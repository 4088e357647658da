"""The rules of the claims: one cell with its controls on which all hold, then each broken one way."""

import math
from contextlib import contextmanager
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from u1core.lake.connect import connect, freeze

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SHAPE = {"gain": 0.2, "fall": 1.0, "turn": 0.5, "rise": 0.2, "roundness": 0.9}
TRAINED = {
    "ln centre density": 0.7,
    **SHAPE,
    "effect, image": 0.08,
    "effect, feature": 0.7,
    "effect beyond bank": 0.06,
    "agreement": 0.9,
    "joint effect": 0.25,
    "bits": 1.5,
    "beyond swapped": 0.05,
}
RANDOM = {
    "ln centre density": 0.2,
    "effect, image": 0.01,
    "effect, feature": 0.03,
    "joint effect": 0.0,
    "bits": 0.05,
}
CELL = {
    "status": "done",
    "layers": ["last"],
    "bottleneck": "last",
    "image_limit": 100,
    "schema_version": 8,
    "committed_at": NOON,
    "selected_at": NOON,
}
SE = 0.01
CONTROLS = ("pad-circular", "pad-reflect")
SEEDS = [f"{padding}random-init:{seed}" for padding in ("", "pad-circular+") for seed in range(20)]


TYPED_IN = (
    "cell_figures",
    "family_tests",
    "memory_report",
    "training_runs",
    "training_predictions",
    "registered_cells",
    "loco_directions",
    "loco_model_agreement",
)


class Judged:
    """A literal lake whose cells' figures, q and accuracies are typed in: what the rules read."""

    def __init__(self, connection):
        self.connection = connection

    def whole(self, dataset="toy", model="net", family="fam", lacking=()):
        """Insert a trained cell and all its controls but some; return the trained one's key."""
        key = f"{model} on {dataset}"
        trained = {"weights_sha256": model, "objective": "onehot"}
        cells = [(key, "original", TRAINED, trained | {"family": family})]
        cells += [(f"{key}, {v}", v, TRAINED, trained) for v in CONTROLS if v not in lacking]
        for number, variant in enumerate(SEEDS if "population" not in lacking else ()):
            figures = {name: value + 0.01 * (number % 2 - 0.5) for name, value in RANDOM.items()}
            cells.append((f"{key}, {variant}", variant, figures, {}))
        keyed = [
            ({"cell_key": k, "dataset": dataset, "model": model, "variant": v}, figures, more)
            for k, v, figures, more in cells
        ]
        self.insert("lake.cells", [keys | CELL | more for keys, _, more in keyed])
        self.insert(
            "cell_figures",
            [
                keys | {"figure": figure, "estimate": estimate, "se": SE, "dof": math.inf}
                for keys, figures, _ in keyed
                for figure, estimate in figures.items()
            ],
        )
        told = {"layer": "last", "scheme": "pooled", "k": 1, "split": "query", "accuracy": 0.9}
        self.insert("memory_report", [{"cell_key": keys["cell_key"]} | told for keys, *_ in keyed])
        questions = ("class bias, image", "class bias, feature", "planes agree")
        self.insert("family_tests", [{"question": q, "cell_key": key, "q": 0.001} for q in questions])
        return key

    def set(self, estimate, figure, variant="original", se=SE):
        """Change one figure of one variant."""
        self.connection.execute(
            "update cell_figures set estimate = $estimate, se = $se "
            "where figure = $figure and variant = $variant",
            {"estimate": estimate, "se": se, "figure": figure, "variant": variant},
        )

    def told(self, figure=None, variant="original", against="bar"):
        """Return (is_seen, is_beyond_controls) of every claim of the one cell, and the state of one test."""
        with self.frozen():
            states = {claim: (row["is_seen"], row["is_beyond_controls"]) for claim, row in self._by_cell()}
            found = self.rows(
                "select state from cell_tests where figure = $f and variant = $v and against = $a",
                f=figure,
                v=variant,
                a=against,
            )
        return states, found[0]["state"] if found else None

    def states(self):
        """Return (is_seen, is_beyond_controls) of every claim of the one cell."""
        return self.told()[0]

    def state(self, figure, variant="original", against="bar"):
        """Return the state of one test of the one cell."""
        return self.told(figure, variant, against)[1]

    def by_cell(self):
        """Return the rows of claims_by_cell by claim."""
        return dict(self._by_cell())

    def _by_cell(self):
        return [(row["claim"], row) for row in self.rows("select * from claims_by_cell")]

    @contextmanager
    def frozen(self):
        """Compute what every rule says once, for as long as it is asked."""
        self.connection.execute("begin")
        try:
            freeze(self.connection, ["cell_tests"])
            yield
        finally:
            self.connection.execute("rollback")

    def rows(self, query, **params):
        """Run a query and return its rows as dictionaries."""
        return self.connection.sql(query, params=params or None).to_arrow_table().to_pylist()

    def row(self, query, **params):
        """Run a query that must give one row, and return it."""
        (row,) = self.rows(query, **params)
        return row

    def insert(self, table, rows):
        connection = self.connection
        connection.register("rows_to_insert", pa.Table.from_pylist(rows))
        connection.execute(f"insert into {table} by name select * from rows_to_insert")
        connection.unregister("rows_to_insert")


@pytest.fixture(scope="module")
def literal():
    """A connection over no lake whose costly views are tables to type rows into."""
    connection = connect(None, ["claims", "claims_by_cell"])
    for name in TYPED_IN:
        connection.execute(f"create table typed_in as from {name}; drop view {name}")
        connection.execute(f"alter table typed_in rename to {name}")
    return connection


@pytest.fixture
def judged(literal):
    for name in ("lake.cells", *TYPED_IN):
        literal.execute(f"delete from {name}")
    return Judged(literal)


ALL_HOLD = dict.fromkeys((1, 2, 3, 4), ("holds", "holds"))


def test_every_claim_holds_on_a_cell_with_all_effects_and_all_controls(judged):
    judged.whole()
    assert judged.states() == ALL_HOLD
    for row in judged.by_cell().values():
        assert (row["verdict"], row["lacks"], row["todo"], row["family"]) == ("holds", None, None, "fam")
        assert "None" not in row["evidence"]


SEEN = [
    (1, "ln centre density", 0.1),
    (2, "gain", 0.0),
    (2, "fall", 0.0),
    (2, "turn", 0.0),
    (2, "rise", 0.1),
    (2, "roundness", 0.75),
    (3, "effect, image", 0.03),
    (3, "effect, feature", 0.05),
    (3, "agreement", 0.5),
    (4, "bits", 0.1),
]
BEYOND = [
    *((2, figure, "pad-circular", bar) for claim, figure, bar in SEEN if claim == 2),
    (3, "effect beyond bank", "original", 0.03),
    (3, "effect, image", "pad-circular", 0.03),
    (3, "effect, image", "pad-reflect", 0.03),
    (3, "joint effect", "original", 0.04),
    (3, "joint effect", "pad-circular", 0.04),
    (3, "joint effect", "pad-reflect", 0.04),
    (4, "beyond swapped", "original", 0.0),
]


@pytest.mark.parametrize(("claim", "figure", "bar"), SEEN, ids=[f"{s[0]}: {s[1]}" for s in SEEN])
def test_what_is_seen_is_told_by_both_bounds_about_the_bar(judged, claim, figure, bar):
    judged.whole()
    for estimate, state in ((bar + 1.7 * SE, "holds"), (bar, "inconclusive"), (bar - 1.7 * SE, "refuted")):
        judged.set(estimate, figure)
        states, found = judged.told(figure)
        assert (states[claim][0], found) == (state, state)


@pytest.mark.parametrize(
    ("claim", "figure", "variant", "bar"), BEYOND, ids=[f"{b[1]}, {b[2]}" for b in BEYOND]
)
def test_a_control_is_told_by_both_bounds_about_the_bar(judged, claim, figure, variant, bar):
    judged.whole()
    for estimate, state in ((bar + 1.7 * SE, "holds"), (bar, "inconclusive"), (bar - 1.7 * SE, "refuted")):
        judged.set(estimate, figure, variant)
        states, found = judged.told(figure, variant)
        assert (states[claim], found) == (("holds", state), state)


RELATIVE = [
    (1, "ln centre density", "original", 0.1),
    (1, "ln centre density", "pad-circular", 0.1),
    (3, "effect, image", "original", 0.03),
    (3, "effect, feature", "original", 0.05),
    (3, "joint effect", "original", 0.04),
    (4, "bits", "original", 0.1),
]


@pytest.mark.parametrize(
    ("claim", "figure", "variant", "bar"), RELATIVE, ids=[f"{r[1]}, {r[2]}" for r in RELATIVE]
)
def test_more_than_random_weights_is_more_by_the_bar_and_above_their_bound(
    judged, claim, figure, variant, bar
):
    judged.whole()
    mean = RANDOM[figure]
    for beyond, state in ((1.8, "holds"), (0.0, "inconclusive"), (-1.8, "refuted")):
        judged.set(mean + bar + beyond * SE, figure, variant)
        assert judged.state(figure, variant, "random weights") == state
    # The next random network could have as much: 2.60 standard deviations of seeds at mean +- 2 bar.
    padding = "pad-circular+" if variant == "pad-circular" else ""
    judged.connection.execute(
        "update cell_figures set estimate = $mean + $bar * (4 * (right(variant, 1)::integer % 2) - 2) "
        "where figure = $figure and regexp_matches(variant, '^' || $padding || 'random')",
        {"mean": mean, "bar": bar, "figure": figure, "padding": padding.replace("+", "[+]")},
    )
    judged.set(mean + 5.2 * bar, figure, variant)
    assert judged.state(figure, variant, "random weights") == "inconclusive"
    judged.set(mean + 8 * bar, figure, variant)
    assert judged.state(figure, variant, "random weights") == "holds"
    # Random weights that could be anything refute nothing: only surely less above their mean does.
    judged.set(mean + 3 * bar, figure, variant)
    assert judged.state(figure, variant, "random weights") == "inconclusive"


def test_every_rule_is_tried_at_its_bar(judged):
    tried = {(claim, figure, "original", "bar", bar) for claim, figure, bar in SEEN}
    tried |= {(claim, figure, variant, "bar", bar) for claim, figure, variant, bar in BEYOND}
    tried |= {(claim, figure, variant, "random weights", bar) for claim, figure, variant, bar in RELATIVE}
    rules = judged.rows("select claim, figure, variant, against, bar from claim_rules")
    assert {tuple(row.values()) for row in rules} == tried
    assert len(rules) == len(tried)


def test_few_images_refute_nothing(judged):
    judged.whole()
    judged.connection.execute(
        "update cell_figures set estimate = 0, se = 1 where not contains(variant, 'random-init')"
    )
    assert judged.states() == dict.fromkeys((1, 2, 3, 4), ("inconclusive", "inconclusive"))


def test_what_is_not_significant_is_not_seen_and_not_refuted(judged):
    judged.whole()
    judged.connection.execute("update family_tests set q = 0.02 where question = 'planes agree'")
    assert judged.states() == ALL_HOLD | {3: ("inconclusive", "holds")}
    judged.connection.execute("update family_tests set q = null where question = 'class bias, image'")
    assert judged.states()[3][0] == "inconclusive"


def test_planes_agree_only_where_classes_surely_lean(judged):
    # Coupling within classes alone passes the null that leaves classes out.
    judged.whole()
    judged.set(0.05, "effect, feature")
    assert [judged.state(figure) for figure in ("agreement", "joint effect")] == ["inconclusive"] * 2


@pytest.mark.parametrize("column", ["accuracy", "head_accuracy"])
def test_a_network_that_the_padding_broke_refutes_nothing(judged, column):
    judged.whole()
    judged.connection.execute(f"update memory_report set {column} = if(contains(cell_key, 'pad-'), 0.6, 0.7)")
    assert judged.states() == ALL_HOLD  # what survives even so is not the padding's
    judged.connection.execute("update cell_figures set estimate = 0 where starts_with(variant, 'pad-')")
    inconclusive = ("holds", "inconclusive")
    broken = {1: inconclusive, 2: inconclusive, 3: inconclusive, 4: ("holds", "holds")}
    assert judged.states() == broken
    # Of a hundred classes 5.5 % falling to chance is less than 5 points, and all there was.
    judged.connection.execute(
        f"update memory_report set chance = 0.01, {column} = if(contains(cell_key, 'pad-'), 0.01, 0.055)"
    )
    assert judged.states() == broken
    judged.connection.execute("delete from memory_report")
    assert judged.states() == broken


def test_a_rise_without_a_trough_is_inconclusive_and_the_turn_tells(judged):
    judged.whole()
    judged.set(None, "rise", se=None)
    assert judged.states()[2] == ("inconclusive", "holds")
    judged.set(-0.5, "turn")
    assert judged.states()[2] == ("refuted", "holds")


def _register(judged, cells="true", is_unseen="true"):
    judged.connection.execute("delete from registered_cells")
    judged.connection.execute(
        f"insert into registered_cells by name select cell_key, {cells} as is_registered, "
        f"{is_unseen} as is_unseen from lake.cells"
    )
    return {row["claim"]: row["is_registered"] for row in judged.rows("select * from claims_by_cell")}


def test_a_verdict_is_registered_with_all_its_controls_and_on_what_was_not_seen(judged):
    judged.whole()
    assert _register(judged) == dict.fromkeys((1, 2, 3, 4), True)
    assert _register(judged, cells="not contains(cell_key, ':7')") == dict.fromkeys((1, 2, 3, 4), False)
    # The bars of claims 1 (its reading) and 3 (J, the bank) were set after figures had been seen.
    assert _register(judged, is_unseen="false") == {1: False, 2: True, 3: False, 4: True}
    told = {row["claim"]: row["is_registered"] for row in judged.rows("select * from claims")}
    assert told == {1: False, 2: True, 3: False, 4: True, 5: False}


@pytest.mark.parametrize("lacking", [*CONTROLS, "population"])
def test_a_missing_control_is_not_tested_and_named_with_its_command(judged, lacking):
    judged.whole(lacking=[lacking])
    rows = judged.by_cell()
    touched = {claim for claim, row in rows.items() if row["is_beyond_controls"] != "holds"}
    assert touched == {"pad-circular": {1, 2, 3}, "pad-reflect": {3}, "population": {1, 3, 4}}[lacking]
    for claim in touched:
        row = rows[claim]
        assert (row["is_seen"], row["is_beyond_controls"], row["verdict"]) == (
            "holds",
            "not tested",
            "not tested",
        )
        assert row["todo"] == f"u1 sweep --models net --datasets toy --variants {lacking} --limit 100"


def test_an_unknown_figure_is_not_tested_and_no_command_would_help(judged):
    judged.whole()
    judged.connection.execute("delete from cell_figures where figure = 'agreement'")
    row = judged.by_cell()[3]
    assert (row["is_seen"], row["verdict"], row["todo"]) == ("not tested", "not tested", None)


def test_random_weights_on_other_images_or_old_paddings_are_no_controls(judged):
    judged.whole()
    judged.connection.execute("update lake.cells set image_limit = 20 where contains(variant, 'random-init')")
    assert judged.state("bits", against="random weights") == "not tested"
    judged.connection.execute(
        "update lake.cells set image_limit = 20 where not contains(variant, 'random-init')"
    )
    assert judged.state("bits", against="random weights") == "holds"
    judged.connection.execute("update lake.cells set schema_version = 7 where variant = 'pad-reflect'")
    assert judged.state("effect, image", "pad-reflect") == "not tested"


def test_a_control_of_other_weights_or_pictures_is_none(judged):
    key = judged.whole()
    for column, other in (
        ("weights_sha256", "other"),
        ("dataset_fingerprint", "other"),
        ("memory", "held-out"),
    ):
        update = f"update lake.cells set {column} = $value where variant = 'pad-reflect'"
        judged.connection.execute(update, {"value": other})
        assert judged.state("effect, image", "pad-reflect") == "not tested"
        own = {"weights_sha256": "net"}.get(column)
        judged.connection.execute(update, {"value": own})
    assert judged.state("effect, image", "pad-reflect") == "holds"
    assert judged.row("select count(*) as n from claims_by_cell")["n"] == 4, key


def test_a_refuted_question_refutes_whatever_is_missing(judged):
    judged.whole(lacking=["population"])
    judged.set(0.0, "ln centre density")
    row = judged.by_cell()[1]
    assert (row["is_seen"], row["is_beyond_controls"], row["verdict"]) == ("refuted", "not tested", "refuted")


def test_one_cell_is_inconclusive_over_families(judged):
    judged.whole()
    rows = {row["claim"]: row for row in judged.rows("select * from claims")}
    for claim in (1, 2, 3, 4):
        row = rows[claim]
        assert (row["is_seen"], row["is_beyond_controls"], row["verdict"]) == ("inconclusive",) * 3
        assert (row["cells"], row["cells_left_out"], row["families"], row["datasets"]) == (1, 0, 1, 1)
        assert row["evidence"] == (
            "Seen: holds in 1 of 1 cells. Beyond its controls: holds in 1 of 1 cells. "
            "Families of networks x data sets: 1 x 1, too few to say more than of these cells."
        )
    assert rows[5]["verdict"] == "not tested"


def test_three_families_on_three_data_sets_tell(judged):
    for dataset in "abc":
        for family in ("f", "g", "h"):
            judged.whole(dataset, f"{family}1", family)
    judged.whole("a", "f2", "f", lacking=["population"])
    rows = {row["claim"]: row for row in judged.rows("select * from claims")}
    assert {claim: row["verdict"] for claim, row in rows.items() if claim < 5} == dict.fromkeys(
        (1, 2, 3, 4), "holds"
    )
    assert (rows[1]["families"], rows[1]["datasets"], rows[1]["cells"], rows[1]["cells_left_out"]) == (
        3,
        3,
        10,
        1,
    )
    assert "1 of 10 cells lack a control (population) and are left out of its test." in rows[1]["caveat"]
    assert rows[1]["todo"] == "u1 sweep --models f2 --datasets a --variants population --limit 100"
    judged.connection.execute("update family_tests set q = 0.9")  # no cell passes, however large its margin
    none = {row["claim"]: row["is_seen"] for row in judged.rows("select * from claims")}
    assert none[3] == "inconclusive"
    judged.connection.execute("update lake.cells set dataset_fingerprint = 'one'")
    one = {row["claim"]: row["verdict"] for row in judged.rows("select * from claims")}
    assert one[1] == "inconclusive"  # three ids of one data set
    judged.connection.execute(
        "update lake.cells set dataset_fingerprint = null; update family_tests set q = 0"
    )
    judged.set(0.0, "effect, image")
    again = {row["claim"]: row["verdict"] for row in judged.rows("select * from claims")}
    assert again == {1: "holds", 2: "holds", 3: "refuted", 4: "holds", 5: "not tested"}


def _agree(judged, a, b, agreement, q=0.001, families=("f", "g")):
    """Insert that two cells agree so in both planes, over ten classes."""
    keys = {"cell_key_a": a, "cell_key_b": b, "family_a": families[0], "family_b": families[1]}
    told = {"classes": 10, "agreement": agreement, "agreement_se": 0.1}
    judged.insert("loco_model_agreement", [keys | told | {"plane": plane} for plane in ("image", "feature")])
    judged.insert(
        "family_tests",
        [
            {"question": f"models agree, {plane}", "cell_key": a, "cell_key_b": b, "q": q}
            for plane in ("image", "feature")
        ],
    )


@pytest.mark.parametrize(
    ("agreement", "q", "state"),
    [
        (0.69, 0.001, "holds"),  # t of nine degrees of freedom: 1.833 * 0.1
        (0.69, 0.02, "inconclusive"),
        (0.66, 0.001, "inconclusive"),
        (0.31, 0.001, "refuted"),
        (None, None, "inconclusive"),
    ],
)
def test_models_of_other_families_have_to_lean_alike(judged, agreement, q, state):
    a, b, c = (judged.whole(model=model, family=family) for model, family in zip("abc", "ffg", strict=True))
    judged.insert("loco_directions", [{"cell_key": key} for key in (a, b, c)])
    if agreement is not None:
        _agree(judged, a, c, agreement, q)
        _agree(judged, b, c, agreement, q)
    _agree(judged, a, b, -1.0, families=("f", "f"))  # sizes of one family are one witness
    rows = judged.rows("select state, estimate from model_tests")
    assert [row["state"] for row in rows] == [state] * 6
    assert {row["estimate"] for row in rows} == {agreement}
    told = judged.rows("select is_beyond_controls from claims_by_cell where claim = 3")
    assert [row["is_beyond_controls"] for row in told] == [state] * 3


# -- training -----------------------------------------------------------------------------------------------


ARMS = ("onehot", "onehot+shuffled", "onehot+plane", "onehot+smoothing")


@pytest.fixture
def trained(judged):
    """Return a function that inserts runs of arms {arm: gains of the combined loss over it, by seed}."""

    def insert_runs(gains, task="task", images=5000):
        pairs = [(arm, seed, 0.9 - gain) for arm, found in gains.items() for seed, gain in enumerate(found)]
        pairs += [("onehot+u1", seed, 0.9) for seed in range(max(map(len, gains.values())))]
        common = {"experiment": task, "task": task, "network": "net", "images_test": images}
        common |= {"is_current": True, "is_chosen": True}
        rows = [
            common | {"arm": arm, "seed": seed, "test_accuracy": accuracy} for arm, seed, accuracy in pairs
        ]
        judged.insert("training_runs", rows)

    return insert_runs


def _about(mean, seeds=10, sd=0.001):
    """Gains of this mean and sample standard deviation."""
    return [mean + sd * (-1) ** seed * math.sqrt((seeds - 1) / seeds) for seed in range(seeds)]


def _claim5(judged):
    row = judged.row("select * from claims where claim = 5")
    return row["is_seen"], row["is_beyond_controls"]


@pytest.mark.parametrize(
    ("gain", "states"),
    [
        # One-sided bounds of ten seeds lie 1.833 * 0.001 / sqrt(10) = 0.00058 about the mean.
        (0.0056, ("holds", "holds")),
        (0.0050, ("holds", "inconclusive")),
        (0.0044, ("holds", "refuted")),
        (0.0005, ("inconclusive", "refuted")),
        (-0.0006, ("refuted", "refuted")),
    ],
)
def test_training_is_told_by_bounds_about_half_a_point(judged, trained, gain, states):
    trained(dict.fromkeys(ARMS, _about(gain)))
    assert _claim5(judged) == states


@pytest.mark.parametrize(("seeds", "images"), [(9, 5000), (10, 4999)])
def test_few_seeds_or_pictures_tell_nothing_of_training(judged, trained, seeds, images):
    trained(dict.fromkeys(ARMS, _about(0.02, seeds=seeds)), images=images)
    assert _claim5(judged) == ("inconclusive", "inconclusive")


@pytest.mark.parametrize("arm", ARMS[1:])
def test_a_control_arm_that_gains_as_much_or_is_missing(judged, trained, arm):
    gains = dict.fromkeys(ARMS, _about(0.02))
    trained(gains | {arm: _about(0.0)})
    assert _claim5(judged) == ("holds", "inconclusive")
    judged.connection.execute("delete from training_runs where arm = $arm", {"arm": arm})
    assert _claim5(judged) == ("holds", "not tested")
    todo = judged.row("select todo from claims where claim = 5")["todo"]
    assert todo == f"u1 train --tasks task --network net --arms onehot,onehot+u1,{arm} --seeds 10"


def test_errors_are_over_images_too(judged, trained):
    trained(dict.fromkeys(ARMS, _about(0.02)))
    assert _claim5(judged) == ("holds", "holds")
    judged.connection.execute("update training_runs set run_key = arm || seed")
    # Every seed of the combined loss is right on 52 images of 100 and those of its rivals on 50 others.
    judged.connection.execute("""
        insert into training_predictions by name
        select run_key, i as image_id, 0 as label,
            if(if(arm = 'onehot+u1', i < 52, i >= 50), 0, 1) as predicted_label
        from training_runs, range(100) as t(i)
    """)
    # Per image 1 (50 times), 0 (2) or -1 (48): a variance of 0.99, so a standard error of 0.1 about 0.02.
    row = judged.row("select low, high from training_tests where test = 'better than one-hot labels'")
    assert row["high"] - row["low"] == pytest.approx(2 * 1.8331 * math.sqrt(0.9895 / 100 + 1e-7), rel=1e-3)
    assert _claim5(judged) == ("inconclusive", "inconclusive")


def test_weights_that_are_not_chosen_and_a_lost_arm_tell_nothing(judged, trained):
    trained(dict.fromkeys(ARMS, _about(0.02)))
    judged.connection.execute("update training_runs set u1_weight = seed % 2 where arm = 'onehot+u1'")
    assert _claim5(judged) == ("not tested", "not tested")
    judged.connection.execute("update training_runs set u1_weight = 0")
    assert _claim5(judged) == ("holds", "holds")
    judged.connection.execute(
        "insert into training_runs by name select * replace ('lost' as task, "
        "'lost' as experiment) from training_runs where arm <> 'onehot+u1'"
    )
    assert _claim5(judged) == ("not tested", "not tested")


def test_all_tasks_have_to_gain_and_one_of_several_refutes_at_a_thousandth(judged, trained):
    trained(dict.fromkeys(ARMS, _about(0.02)))
    trained(dict.fromkeys(ARMS, _about(0.0044)), task="other")
    assert _claim5(judged) == ("holds", "inconclusive")  # alone it would refute half a point
    trained(dict.fromkeys(ARMS, _about(0.001)), task="third")
    assert _claim5(judged) == ("holds", "refuted")
