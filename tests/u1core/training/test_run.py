"""What a run is: its recipe, its images, its key."""

from dataclasses import replace

import numpy as np
import pytest
from runs import RECIPE

from u1core.common.errors import U1Error
from u1core.training.run import SCHEDULES, Division, Recipe


def test_the_learning_rate_rises_then_falls_to_nothing():
    recipe = Recipe(learning_rate=0.4, warm_up=0.1)
    assert [recipe.learning_rate_at(p) for p in (0, 0.05, 0.1)] == pytest.approx([0, 0.2, 0.4])
    assert recipe.learning_rate_at(0.55) == pytest.approx(0.2)
    assert recipe.learning_rate_at(1) == pytest.approx(0, abs=1e-12)


def test_the_weight_follows_its_schedule():
    at = {name: [Recipe(schedule=name).weight_at(2, p) for p in (0, 0.5, 1)] for name in SCHEDULES}
    assert at["constant"] == [2, 2, 2]
    assert at["rising"] == pytest.approx([0, 1, 2])
    assert at["falling"] == pytest.approx([2, 1, 0])


@pytest.mark.parametrize(
    "wrong", [{"precision": "float16"}, {"angles": "even"}, {"site": "tail"}, {"schedule": "up"}]
)
def test_a_recipe_refuses_what_it_does_not_know(wrong):
    with pytest.raises(U1Error, match=f"got {next(iter(wrong.values()))!r}"):
        Recipe(**wrong)


def test_held_out_images_are_the_same_share_of_every_class_and_for_every_seed(digits):
    division = Division.of(digits, replace(RECIPE, limit=None, validation=0.2))
    everything = np.concatenate([division.train, division.validation, division.test])
    assert np.array_equal(np.sort(everything), np.arange(len(digits)))
    assert digits.is_query[division.test].all() and not digits.is_query[division.train].any()
    counts = np.bincount(digits.labels[division.validation])
    memory = np.bincount(digits.labels[~digits.is_query])
    assert (np.abs(counts / memory - 0.2) < 0.01).all()
    assert len(Division.of(digits, replace(RECIPE, validation=0)).validation) == 0


def test_runs_are_keyed_by_all_that_decides_them(run):
    keys = {
        run().key,
        run("onehot").key,
        run(weight=0.1).key,
        run(seed=1).key,
        run(recipe=replace(RECIPE, epochs=3)).key,
    }
    assert len(keys) == 5
    assert (
        run("onehot", 0.0, 4).experiment
        == run().experiment
        != run(recipe=replace(RECIPE, site="bottleneck")).experiment
    )
