"""The pieces of `u1 validate`; that it passes as a whole and fails on broken formulas: tests/flows."""

import numpy as np
import pytest
from scipy import stats
from synthetic_lake import write_synthetic_lake

from u1core.common.errors import U1Error
from u1core.lake.connect import connect
from u1core.validate import angles, calibration, outcome, precision, real_cell, recovery
from u1core.validate import stages as validation
from u1core.validate.outcome import Finding, Outcome, Size, Table


def test_definitions_equal_scipy():
    rng = np.random.default_rng(0)
    p = rng.uniform(0, 1, 50) ** 2
    assert calibration.adjusted(p) == pytest.approx(stats.false_discovery_control(p))
    theta, label = np.round(rng.uniform(-3, 3, 30), 1), np.repeat([0, 1, 2], 10)
    points = np.exp(2j * np.pi * stats.rankdata(theta) / 30)
    w = 2 * sum(abs(points[label == c].sum()) ** 2 / 10 for c in range(3))
    assert calibration.uniform_scores(theta, label) == pytest.approx(w)


def test_uniform_scores_by_hand():
    # Four ranks at 90, 180, 270 and 360 degrees; neighbours paired: each resultant is sqrt 2, W = 4.
    assert calibration.uniform_scores(np.array([-3, -2, 1, 2]), np.array([0, 0, 1, 1])) == pytest.approx(4)


def test_binomial_band_holds_99_percent():
    low, high = outcome.binomial_band(1000, 0.05)
    inside = stats.binom.cdf(high * 1000, 1000, 0.05) - stats.binom.cdf(low * 1000 - 1, 1000, 0.05)
    assert 0.99 <= inside < 0.995


def test_a_rate_outside_is_drawn_again_once_and_larger():
    asked = []

    def draw(count):
        asked.append(count)
        return {"test": np.zeros(count) if len(asked) == 1 else (np.arange(count) + 0.5) / count}

    assert all(finding.passed for finding in outcome.levels(draw, 500))
    assert asked == [500, 2000]
    findings = outcome.levels(lambda count: {"test": np.zeros(count)}, 500)
    assert [(finding.test, finding.passed) for finding in findings] == [
        ("level 0.05: test", False),
        ("level 0.01: test", False),
    ]


def test_an_undefined_error_is_not_close():
    assert not outcome.close("missing", float("nan"), 1.0).passed
    assert outcome.close("equal", 1.0, 1.0).passed


def test_outcomes_add_up_in_order():
    good, bad = Finding("a", "1", "1", True), Finding("b", "1", "2", False)
    table = Table("t", ("x",), [("1",)])
    both = Outcome([good]) + Outcome([bad], [table])
    assert (both.findings, both.tables, both.failed) == ([good, bad], [table], [bad])


def test_generated_angles_are_what_the_views_read():
    theta = np.array([[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]])
    with connect(None) as connection:
        for _ in range(2):  # What was there before is gone.
            angles.fill(connection, theta, np.array([0, 0, 1]), theta_feature=-theta, datasets=["a", "b"])
        found = angles.ask(connection, "select * from plane_angles order by cell_key, plane, theta_rad")
    assert found["theta_rad"].tolist() == [-0.3, -0.2, -0.1, 0.1, 0.2, 0.3, -3, -2, -1, 1, 2, 3]
    assert found["dataset"].tolist() == ["a"] * 6 + ["b"] * 6
    assert set(found["label"][3:6]) == {0, 1}


def test_permuted_angles_are_the_same_angles():
    dealt = angles.permuted(np.random.default_rng(1), np.arange(5.0), 3)
    assert np.sort(dealt, axis=1).tolist() == [list(range(5))] * 3
    assert len({tuple(row) for row in dealt}) > 1


def test_the_skewed_law_has_the_mean_direction_that_is_claimed():
    theta, truth = precision._draw("skewed", (1, 200_000), np.random.default_rng(2))
    assert np.angle(np.exp(1j * theta).mean()) == pytest.approx(truth, abs=0.01)


RISING = [[0.05, 0.05, 0.05], [0.2, 0.4, 0.6], [0.5, 0.9, 1.0], [0.8, 1.0, 1.0], [1.0, 1.0, 1.0]]


@pytest.mark.parametrize(
    ("row", "rates", "failed"),
    [
        (0, [0.05, 0.05, 0.05], None),
        (0, [0.2, 0.2, 0.2], "power of 0.05 without concentration"),
        (3, [0.8, 0.2, 1.0], "power rises with concentration and images"),
        (4, [1.0, 1.0, 0.95], "power at kappa 2, 20 or 50 images a class"),
    ],
)
def test_a_power_curve_is_judged_by_level_rise_and_end(row, rates, failed):
    curve = np.array(RISING)
    curve[row] = rates
    findings = precision._judge_power(curve, 400)
    assert [finding.test for finding in findings if not finding.passed] == ([failed] if failed else [])


def test_activations_off_centre_have_angles_off_the_planted_ones_without_centring():
    # The scene is worth something only if forgetting a step shows.
    rng = np.random.default_rng(3)
    planted = angles.wrap(np.deg2rad(20) + 2 * np.pi / 7 * np.arange(7))
    label = np.tile(np.arange(7), 40)
    measured = recovery.measure(
        recovery._blobs(planted[label], np.zeros(280), rng), label, np.arange(280) >= 140
    )
    dipole = measured.focus["dipole_x"] + 1j * measured.focus["dipole_y"]
    assert np.abs(angles.wrap(np.angle(dipole) - planted[label])).max() > 0.3
    assert np.abs(angles.wrap(measured.theta_image - planted[label])).max() < 0.02
    assert np.abs(angles.wrap(measured.theta_feature - planted[label])).max() < 0.02


def test_a_real_cell_gives_a_null(tmp_path):
    write_synthetic_lake(tmp_path / "lake")
    stage = real_cell.permuted_cell(tmp_path / "lake")
    size = Size.quick()
    with connect(None) as connection:
        found = stage(connection, size, np.random.default_rng(4))
    assert all(finding.passed for finding in found.findings)
    assert "labels permuted" in found.findings[0].test


def test_a_lake_without_cells_is_a_users_mistake(tmp_path):
    with pytest.raises(U1Error):
        real_cell.permuted_cell(tmp_path / "nowhere")


def test_every_stage_runs_in_order_with_numbers_of_its_own(monkeypatch):
    seen, draws = [], []

    def stage(connection, size, rng):
        draws.append(rng.random())
        return Outcome([Finding("a", "", "", True)])

    monkeypatch.setattr(validation, "STAGES", {"one": stage, "two": stage})
    found = validation.validate(quick=True, progress=lambda *args: seen.append(args))
    assert len(found.findings) == 2
    assert seen == [(0, 2, "one"), (1, 2, "two"), (2, 2, "")]
    assert draws[0] != draws[1]
    again = draws.copy()
    validation.validate(quick=True)
    assert draws[2:] == again
