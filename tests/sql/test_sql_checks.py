"""Every check passes a healthy lake and catches a lake broken its way."""

import pytest

from u1core.lake.sql import checks, failing_checks, materialise

BREAK = {
    "angles_grain": "insert into lake.angles from lake.angles limit 1",
    "angles_in_range": "update lake.angles set theta_image_rad = -pi()",
    "angles_match_records": "update lake.angles set label = 7 where image_id = 4",
    "cells_complete": "update lake.cells set images_query = 5",
    "class_maps_add_up": "update lake.energy_maps set n = 4 where label is null",
    "energy_maps_grain": "insert into lake.energy_maps from lake.energy_maps where label is null",
    "failures_grain": "insert into lake.failures from lake.failures",
    "frames_grain": "insert into lake.frames from lake.frames",
    "frames_orthonormal": "update lake.frames set frame_x = [1.0, 1.0]",
    "head_matches": "update lake.records set head_label = 1, head_correct = true where image_id = 0",
    "keys_consistent": "update lake.records set dataset = 'other' where image_id = 0",
    "layers_complete": "delete from lake.vectors where image_id = 2",
    "maps_consistent": "update lake.energy_maps set width = 3 where label = 1",
    "neighbours_from_memory": "update lake.neighbours set memory_image_id = 5 where rank = 1",
    "neighbours_grain": "insert into lake.neighbours from lake.neighbours limit 1",
    "neighbours_ranked": "update lake.neighbours set similarity = 2 where rank = 2 and image_id = 3",
    "records_grain": "insert into lake.records from lake.records limit 1",
    "records_possible": "update lake.records set energy_total = -1 where image_id = 1",
    "splits_disjoint": "insert into lake.records select * replace ('query' as split) from lake.records",
    "vectors_grain": "insert into lake.vectors from lake.vectors limit 1",
}
"""By check: a statement that breaks the raw tables in the way it looks for."""

BREAK_VIEW = {
    "bias_adds_up": ("class_bias", "update class_bias set n = n + 1"),
    "class_bias_grain": ("class_bias", "insert into class_bias from class_bias"),
    "class_directions_grain": ("class_directions", "insert into class_directions from class_directions"),
    "confusion_adds_up": ("memory_confusion", "update memory_confusion set n = n + 1"),
    "current_cells_unique": ("cells", "insert into cells from cells"),
    "directions_in_range": ("class_directions", "update class_directions set ci_low_rad = 4"),
    "memory_report_grain": ("memory_report", "insert into memory_report from memory_report"),
    "shares_in_unit_interval": ("class_bias", "update class_bias set mww_q = 1.5"),
}
"""By check: the derived view it guards, and a statement that breaks that view's rows."""


def test_every_check_is_tried_here():
    assert sorted(BREAK | BREAK_VIEW) == sorted(checks())


def test_a_healthy_lake_fails_no_check(healthy_lake):
    assert failing_checks(healthy_lake.connection) == {}


@pytest.mark.parametrize("check", BREAK)
def test_check_catches_broken_rows(healthy_lake, check):
    healthy_lake.connection.execute(BREAK[check])
    found = failing_checks(healthy_lake.connection)
    assert found[check]
    assert "cell_key" in found[check][0] or "dataset" in found[check][0]


@pytest.mark.parametrize("check", BREAK_VIEW)
def test_check_catches_a_broken_view(healthy_lake, check):
    view, statement = BREAK_VIEW[check]
    materialise(healthy_lake.connection, [view])
    healthy_lake.connection.execute(statement)
    assert check in failing_checks(healthy_lake.connection)


@pytest.mark.parametrize(
    "damage",
    [
        "delete from lake.neighbours where image_id = 3",
        "delete from lake.neighbours where image_id = 3 and rank = 3",
        "delete from lake.neighbours where image_id = 3 and rank = 1",
        "update lake.neighbours set image_id = 99 where image_id = 3",
    ],
)
def test_every_query_image_needs_all_its_ranks(healthy_lake, damage):
    healthy_lake.connection.execute(damage)
    assert "neighbours_ranked" in failing_checks(healthy_lake.connection)


def test_not_a_number_is_no_angle(healthy_lake):
    healthy_lake.connection.execute("update lake.angles set theta_feature_rad = 'nan' where image_id = 0")
    (row,) = failing_checks(healthy_lake.connection)["angles_in_range"]
    assert (row["image_id"], row["plane"]) == (0, "feature")
