"""Training in SQL: effects against scipy, chosen weights, curves, directions, bias, what is evidence."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy import stats

from u1core.lake.views import analysis

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ONEHOT = [0.90, 0.91, 0.92, 0.89, 0.90]
U1 = [0.92, 0.91, 0.95, 0.90, 0.93]


def insert_run(
    lake, arm, seed, accuracy=None, *, experiment="e", weight=0.3, task="toy", at=NOON, held_out=0.5, **more
):
    """Insert a run of two epochs; with an accuracy it was tested on 100 images."""
    key = f"{experiment}-{arm}-{weight}-{seed}"
    keys = {
        "run_key": key,
        "experiment": experiment,
        "task": task,
        "network": "net",
        "arm": arm,
        "u1_weight": 0.0 if arm == "onehot" else weight,
        "seed": seed,
    }
    for epoch in (1, 2):
        lake.insert(
            "training_epochs",
            {"epoch": epoch, "validation_accuracy": held_out + 0.1 * epoch, "loss_onehot": 1.0 / epoch},
            **keys,
        )
    row = {"is_tested": accuracy is not None, "committed_at": at, "selected_at": at, "model": key}
    lake.insert("training_runs", keys | row | {"weights_sha256": f"sha-{key}"} | more)
    for image in range(100 if accuracy is not None else 0):
        predicted = image % 4 if image < round(100 * accuracy) else (image + 1) % 4
        lake.insert(
            "training_predictions",
            {
                "image_id": image,
                "label": image % 4,
                "predicted_label": predicted,
                "class_name": f"c{image % 4}",
            },
            **keys,
        )
    return keys


@pytest.fixture
def five_seeds(lake):
    for seed in range(5):
        insert_run(lake, "onehot", seed, ONEHOT[seed])
        insert_run(lake, "onehot+u1", seed, U1[seed])
    return lake


def effect(lake, arm="onehot+u1", **more):
    where = " and ".join(f"{name} = ${name}" for name in ("arm", *more))
    return lake.row(f"select * from training_effect where {where}", arm=arm, **more)


# --- the effect ---


def test_the_paired_effect_is_scipys(five_seeds):
    row = effect(five_seeds)
    differences = np.subtract(U1, ONEHOT)
    interval = stats.ttest_rel(U1, ONEHOT).confidence_interval()
    assert row["seeds"] == 5 and row["accuracy_mean"] == pytest.approx(np.mean(U1))
    assert row["difference_mean"] == pytest.approx(differences.mean())
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((interval.low, interval.high), abs=1e-9)
    exact = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", alternative="greater", n_resamples=np.inf
    )
    assert row["permutation_p"] == pytest.approx(exact.pvalue)


def test_the_baseline_has_no_difference_from_itself(five_seeds):
    row = effect(five_seeds, "onehot")
    assert row["accuracy_mean"] == pytest.approx(np.mean(ONEHOT))
    assert [row[name] for name in ("difference_mean", "ci_low", "permutation_p", "seeds_needed")] == [
        None
    ] * 4


def test_one_seed_has_a_difference_and_no_interval(lake):
    insert_run(lake, "onehot", 0, 0.9)
    insert_run(lake, "u1", 0, 0.95)
    row = effect(lake, "u1")
    assert row["difference_mean"] == pytest.approx(0.05)
    assert (row["ci_low"], row["permutation_p"], row["seeds_needed"]) == (None, 0.5, None)


def test_a_seed_without_its_baseline_counts_in_no_pair(five_seeds):
    insert_run(five_seeds, "onehot+u1", 5, 0.1)
    row = effect(five_seeds)
    assert (row["seeds"], row["pairs"]) == (6, 5)
    assert row["difference_mean"] == pytest.approx(np.mean(np.subtract(U1, ONEHOT)))


@pytest.mark.parametrize("dof", [1, 2, 5, 9, 10, 14, 30, 200])
def test_quantiles_of_t_are_scipys(lake, dof):
    assert lake.row("select t_quantile_975($dof) as t", dof=dof)["t"] == pytest.approx(
        stats.t.ppf(0.975, dof), abs=1e-5
    )


def test_no_quantile_without_degrees_of_freedom(lake):
    assert lake.row("select t_quantile_975(0) as t")["t"] is None


def test_sign_flips_are_exact_to_fifteen_pairs_and_drawn_beyond(lake):
    def p(values):
        return lake.row("select sign_flip_p($values::double[]) as p", values=list(values))["p"]

    assert p([1.0] * 4) == pytest.approx(1 / 16)
    assert p([-1.0] * 4) == 1.0
    assert p([0.0] * 3) == 1.0
    assert p([]) is None
    assert p([0.1, 0.2, -0.3]) == 5 / 8  # three of the sums are below 0, which rounding leaves 6e-17 of
    rng = np.random.default_rng(0)
    values = rng.normal(0.4, 1, 24)
    drawn = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", alternative="greater", n_resamples=99_999, rng=rng
    )
    assert p(values) == pytest.approx(drawn.pvalue, abs=0.006)


@pytest.mark.parametrize("unit", [1e-300, 1e-12, 1.0, 1e12])
def test_no_unit_changes_a_sign_flip(lake, unit):
    # Their sum is 7; so high is 8 with 7, 5, 3, 1 or -1, of the sums of 1, 2 and 4 in any signs.
    values = [unit * v for v in (1.0, 2.0, -4.0, 8.0)]
    assert lake.row("select sign_flip_p($values::double[]) as p", values=values)["p"] == 5 / 16


def test_pairs_needed_have_the_power_that_is_asked_for(lake):
    needed = lake.row("select pairs_needed(0.008, 0.005) as n")["n"]
    power = [
        1 - stats.nct.cdf(stats.t.ppf(0.975, n - 1), n - 1, 0.005 / 0.008 * math.sqrt(n))
        for n in (needed - 1, needed)
    ]
    assert power[0] < 0.8 <= power[1] + 0.005


# --- which runs count ---


def test_validation_chooses_the_weight_and_the_test_set_has_no_say(lake):
    for seed in range(2):
        insert_run(lake, "onehot", seed, 0.9)
        insert_run(lake, "onehot+u1", seed, 0.91, weight=0.1, held_out=0.6)
        insert_run(lake, "onehot+u1", seed, 0.99, weight=1.0, held_out=0.4)
    chosen = lake.rows("select arm, u1_weight, seeds from training_weights where is_best order by arm")
    assert [(row["arm"], row["u1_weight"], row["seeds"]) for row in chosen] == [
        ("onehot", 0.0, 2),
        ("onehot+u1", 0.1, 2),
    ]
    assert effect(lake)["accuracy_mean"] == pytest.approx(0.91)


def test_nothing_is_best_while_runs_are_under_way(lake):
    def best():
        rows = lake.rows("select u1_weight, is_leading, is_best from training_weights order by u1_weight")
        return [tuple(row.values()) for row in rows]

    for weight, held_out in ((0.1, 0.4), (1.0, 0.5)):
        insert_run(lake, "onehot+u1", 0, 0.9 if weight == 1 else None, weight=weight, held_out=held_out)
    assert best() == [(0.1, False, False), (1.0, True, True)]
    # A second seed of one weight has come to its end before that of the other, and stands high.
    insert_run(lake, "onehot+u1", 1, weight=0.1, held_out=0.7)
    lake.connection.execute("delete from lake.training_runs where seed = 1")
    assert best() == [(0.1, True, None), (1.0, False, None)]
    chosen = "select u1_weight from training_runs where is_chosen"
    assert lake.row(chosen) == {"u1_weight": 1.0}, "what was chosen before stays so"
    insert_run(lake, "onehot+u1", 1, weight=1.0, held_out=0.7)
    lake.insert(
        "training_runs",
        {"run_key": "e-onehot+u1-0.1-1", "experiment": "e", "arm": "onehot+u1", "u1_weight": 0.1, "seed": 1},
    )
    assert best() == [(0.1, False, False), (1.0, True, True)]


def test_of_equal_weights_the_smallest_is_chosen(lake):
    insert_run(lake, "onehot+u1", 0, weight=1.0)
    insert_run(lake, "onehot+u1", 0, weight=0.1)
    assert lake.row("select u1_weight from training_weights where is_best")["u1_weight"] == 0.1


def test_the_experiment_asked_for_last_is_the_current_one(five_seeds):
    later = NOON + timedelta(hours=1)
    insert_run(five_seeds, "onehot", 0, 0.5, experiment="f", at=later)
    insert_run(five_seeds, "onehot", 0, 0.7, experiment="g", task="other")
    rows = five_seeds.rows("select task, experiment, accuracy_mean from training_effect order by task")
    assert [(row["task"], row["experiment"]) for row in rows] == [("other", "g"), ("toy", "f")]


# --- curves and directions ---


def test_curves_are_means_over_seeds_with_a_band(lake):
    insert_run(lake, "onehot", 0, 0.9, held_out=0.4)
    insert_run(lake, "onehot", 1, 0.9, held_out=0.6)
    rows = lake.rows("select * from training_curves order by epoch")
    assert [row["validation_accuracy"] for row in rows] == pytest.approx([0.6, 0.7])
    half = stats.t.ppf(0.975, 1) * np.std([0.5, 0.7], ddof=1) / math.sqrt(2)
    assert rows[0]["validation_half_width"] == pytest.approx(half)


def test_planned_and_measured_angles_stand_side_by_side(lake):
    keys = insert_run(lake, "u1", 0, 1.0, planned_angles_rad=[3.0, 0.0, 1.0, 2.0])
    lake.connection.execute("delete from lake.training_predictions")
    for image, theta in enumerate((3.1, -3.1, 0.1, 0.3)):
        label = image // 2
        lake.insert(
            "training_predictions",
            {
                "image_id": image,
                "label": label,
                "predicted_label": 0,
                "class_name": f"c{label}",
                "theta_rad": theta,
            },
            **keys,
        )
    first, second = lake.rows("select * from training_directions order by label")
    assert first["measured_angle_rad"] == pytest.approx(math.pi)
    assert first["deviation_rad"] == pytest.approx(math.pi - 3)
    assert (second["planned_angle_rad"], second["deviation_rad"]) == (0.0, pytest.approx(0.2))
    assert (first["recall"], second["recall"], second["n"]) == (1.0, 0.0, 2)
    assert second["resultant_length"] == pytest.approx(math.cos(0.1))


# --- bias, and what is evidence ---


def insert_cell(lake, run, lean, weights="file:x.safetensors"):
    """Insert the sweep's cell of a run: two classes whose angles lie `lean` apart."""
    sha = f"sha-{run['run_key']}"
    keys = lake.cell(
        f"cell-{run['run_key']}",
        dataset=run["task"],
        model=run["run_key"],
        objective=run["arm"],
        weights_sha256=sha,
        weights=weights,
    )
    lake.insert("frames", {"layer": "last", "channels": 16, "is_bottleneck": True}, **keys)
    spread = np.linspace(-0.3, 0.3, 25)
    lake.angles(keys, {0: list(spread), 1: list(spread + lean)})
    return keys


def test_the_bias_of_trained_networks_is_paired_by_seed(lake):
    for seed in range(3):
        insert_cell(lake, insert_run(lake, "onehot", seed, 0.9), 0.1)
        insert_cell(lake, insert_run(lake, "onehot+u1", seed, 0.9), 0.2 + 0.1 * seed)
    rows = {
        row["arm"]: row
        for row in lake.rows("select * from training_bias where measure = 'class bias, image'")
    }
    assert rows["onehot"]["difference_mean"] is None and rows["onehot"]["seeds"] == 3
    gained = lake.rows(
        "select model, effect_size from class_bias where plane = 'image' and split = 'query' order by model"
    )
    effects = {row["model"]: row["effect_size"] for row in gained}
    differences = [effects[f"e-onehot+u1-0.3-{s}"] - effects[f"e-onehot-0.3-{s}"] for s in range(3)]
    assert rows["onehot+u1"]["difference_mean"] == pytest.approx(np.mean(differences))
    assert rows["onehot+u1"]["ci_high"] > rows["onehot+u1"]["difference_mean"] > rows["onehot+u1"]["ci_low"]


def test_networks_that_were_taught_angles_are_no_evidence(lake):
    insert_cell(lake, insert_run(lake, "onehot", 0, 0.9), 0.1)
    insert_cell(lake, insert_run(lake, "u1", 0, 0.9), 1.0)
    lake.cell("other", dataset="toy", model="other", weights="file:y.safetensors", weights_sha256="sha-other")
    rows = lake.rows("select model, is_evidence, is_from_training from cells order by model")
    assert [tuple(row.values()) for row in rows] == [
        ("e-onehot-0.3-0", True, True),
        ("e-u1-0.3-0", False, True),
        ("other", True, False),
    ]


def test_measured_angles_are_means_over_networks_that_were_not_trained_here(lake):
    insert_cell(lake, insert_run(lake, "onehot", 0, 0.9), 2.0)
    for model, turn in (("a", 0.3), ("b", 0.5)):
        keys = lake.cell(
            model, dataset="toy", model=model, weights="file:y.safetensors", weights_sha256=model
        )
        lake.insert("frames", {"layer": "last", "channels": 16, "is_bottleneck": True}, **keys)
        lake.angles(keys, {0: [turn - 0.1, turn + 0.1], 1: [turn + 0.9, turn + 1.1]}, split="memory")
    rows = lake.rows(analysis("measured_angles"), task="toy")
    assert [(row["label"], row["networks"]) for row in rows] == [(0, 2), (1, 2)]
    assert [row["angle_rad"] for row in rows] == pytest.approx([0.4, 1.4])


# --- the claim ---


def claim(lake):
    return lake.row("select verdict, evidence, caveat from claims_first_edition where claim = 5")


def test_too_few_seeds_are_called_that(lake):
    for seed in range(3):
        insert_run(lake, "onehot", seed, 0.90 + 0.01 * seed)
        insert_run(lake, "onehot+u1", seed, 0.91 + 0.02 * (seed % 2))
        insert_run(lake, "onehot+plane", seed, 0.95)
    found = claim(lake)
    assert found["verdict"] == "does not hold"
    assert "improves accuracy in 0 of 1 tasks and lowers it in 0" in found["evidence"]
    assert "1 with too few seeds to see half a point (up to" in found["evidence"]
    assert found["caveat"] == "Median gains of the other arms, in points: onehot+plane +4.00."


def test_the_claim_holds_where_the_combined_loss_gains_in_every_task(lake):
    for task in ("first", "second"):
        for seed in range(6):
            insert_run(lake, "onehot", seed, 0.90, task=task, experiment=task)
            insert_run(lake, "onehot+u1", seed, 0.93 + 0.01 * (seed % 2), task=task, experiment=task)
    found = claim(lake)
    assert found["verdict"] == "holds"
    assert found["evidence"].startswith(
        "The combined loss improves accuracy in 2 of 2 tasks and lowers it in 0 (median gain +3.50"
    )
    assert "0 with too few seeds to see half a point." in found["evidence"]


def test_a_gain_of_a_control_alone_does_not_make_the_claim(lake):
    for seed in range(6):
        insert_run(lake, "onehot", seed, 0.90)
        insert_run(lake, "onehot+shuffled", seed, 0.95)
        insert_run(lake, "onehot+u1", seed, 0.90)
    assert claim(lake)["verdict"] == "does not hold"
