"""Every check passes a healthy lake and catches a lake broken its way."""

import pytest

from u1core.lake.connect import freeze
from u1core.lake.guard import failing_checks, run_query
from u1core.lake.views import checks

BREAK = {
    "angles_in_range": "update lake.angles set theta_image_rad = -pi()",
    "angles_match_records": "update lake.angles set label = 7 where image_id = 4",
    "cells_complete": "update lake.cells set images_query = 5",
    "class_maps_add_up": "update lake.energy_maps set n = 4 where label is null",
    "floors_consistent": "update lake.frames set floor_feature = 0.1",
    "frames_from_memory": "update lake.frames set mean_dipole_y = mean_dipole_y + 1e-8",
    "frames_orthonormal": "update lake.frames set frame_x = [1.0, 1.0]",
    "head_matches": "update lake.records set head_label = 1, head_correct = true where image_id = 0",
    "keys_consistent": "update lake.records set dataset = 'other' where image_id = 0",
    "layers_complete": "delete from lake.vectors where image_id = 2",
    "location_complete": "delete from lake.location_neighbours where x = 0.5 and image_id = 4",
    "maps_consistent": "update lake.energy_maps set width = 3 where label = 1",
    "neighbours_from_memory": "update lake.neighbours set memory_image_id = 5 where rank = 1",
    "neighbours_ranked": "update lake.neighbours set similarity = 2 where rank = 2 and image_id = 3",
    "pictures_accounted": "update lake.cells set pictures_unlabelled = 1",
    "planes_possible": "update lake.planes set agreement_p = 0 where frame = 'loco'",
    "records_possible": "update lake.records set energy_total = -1 where image_id = 1",
    "sombrero_is_mean": "update lake.records set sombrero_b = 2.2 where image_id = 0",
    "training_complete": "delete from lake.training_epochs where epoch = 1",
    "splits_disjoint": "insert into lake.records select * replace ('query' as split) from lake.records",
}
"""By check: a statement that breaks the raw tables in the way it looks for."""

BREAK_VIEW = {
    "bias_adds_up": ("class_bias", "update class_bias set n = n + 1"),
    "confusion_adds_up": ("memory_confusion", "update memory_confusion set n = n + 1"),
    "current_cells_unique": ("cells", "insert into cells from cells"),
    "directions_in_range": ("class_directions", "update class_directions set ci_low_rad = 4"),
    "sectors_add_up": ("theta_sectors", "update theta_sectors set n = n + 1"),
    "shares_in_unit_interval": ("class_bias", "update class_bias set mww_q = 1.5"),
}
"""By check: the derived view it guards, and a statement that breaks that view's rows."""


BREAK_CONTROL = {
    "channel_order_ignored": "update lake.angles set theta_image_rad = theta_image_rad + 2e-5 "
    "where variant = 'channel-permuted' and image_id = 3",
    "controls_complete": "update controls set n = n + 1",
}
"""By check: a statement that breaks a lake with a control, whose view `controls` is a table."""

TWICE = [
    "records", "vectors", "angles", "frames", "planes", "energy_maps", "neighbours", "location_neighbours",
    "loco_directions", "failures",
]  # fmt: skip
TWICE_VIEW = [
    "concentration_by_layer", "sombrero", "class_bias", "class_directions", "plane_agreement", "controls",
    "composition", "theta_uncertainty", "theta_sectors", "theta_spread", "theta_summary", "weak_angles",
    "memory_report", "location_accuracy", "location_report", "model_agreement", "class_agreement",
    "plane_agreement_by_frame", "memory_by_frame",
]  # fmt: skip


def offending(lake, check):
    """Run one check and return its rows."""
    return run_query(lake.connection, checks()[check]).to_pylist()


def failing(lake):
    """Run every check with the costly views computed once, and return the names of those with rows."""
    freeze(lake.connection)
    return set(failing_checks(lake.connection))


def test_every_check_is_tried_here():
    assert {*BREAK, *BREAK_VIEW, *BREAK_CONTROL, "grains"} == set(checks())


def test_a_healthy_lake_fails_no_check(healthy_lake):
    assert failing(healthy_lake) == set()


def test_a_healthy_lake_with_controls_fails_no_check(controlled_lake):
    assert failing(controlled_lake) == set()


@pytest.mark.parametrize("check", BREAK_CONTROL)
def test_check_catches_a_broken_control(controlled_lake, check):
    freeze(controlled_lake.connection, ["controls"])
    controlled_lake.connection.execute(BREAK_CONTROL[check])
    assert offending(controlled_lake, check)


def test_a_weak_angle_may_move_with_the_order_of_channels(controlled_lake):
    controlled_lake.connection.execute("update lake.angles set strength_image = 0.01 where image_id = 3")
    controlled_lake.connection.execute(BREAK_CONTROL["channel_order_ignored"])
    assert offending(controlled_lake, "channel_order_ignored") == []


@pytest.mark.parametrize("relation", TWICE + TWICE_VIEW)
def test_a_row_there_twice_is_found(frozen_lake, relation):
    connection = frozen_lake.connection
    table = relation if relation in TWICE_VIEW else f"lake.{relation}"
    assert connection.execute(f"select count(*) from {table}").fetchone() != (0,)
    connection.execute("begin")
    try:
        connection.execute(f"insert into {table} from {table} limit 1")
        assert relation in {row["relation"] for row in frozen_lake.rows(checks()["grains"])}
    finally:
        connection.execute("rollback")


@pytest.mark.parametrize("check", BREAK)
def test_check_catches_broken_rows(healthy_lake, check):
    healthy_lake.connection.execute(BREAK[check])
    found = offending(healthy_lake, check)
    assert found
    assert {"cell_key", "dataset", "run_key"} & set(found[0])


@pytest.mark.parametrize("check", BREAK_VIEW)
def test_check_catches_a_broken_view(healthy_lake, check):
    view, statement = BREAK_VIEW[check]
    freeze(healthy_lake.connection, [view])
    healthy_lake.connection.execute(statement)
    assert offending(healthy_lake, check)


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
    assert offending(healthy_lake, "neighbours_ranked")


@pytest.mark.parametrize(
    ("damage", "is_found"),
    [
        ("delete from lake.planes where frame = 'within'", True),
        ("update lake.planes set joint_effect = 1.1 where frame = 'random'", True),
        ("update lake.planes set joint_effect = 0.2001 where frame = 'loco'", True),
        ("update lake.planes set joint_effect = 0.2001 where frame = 'within'", False),
        ("update lake.planes set agreement_se = -0.1 where frame = 'loco'", True),
        ("update lake.planes set agreement_se = 0.1, joint_effect_se = 0 where frame = 'loco'", False),
        ("update lake.loco_directions set resultant_image_x = 1.1 where label = 1 and half = 0", True),
        ("update lake.loco_directions set n = 0 where label = 1", True),
        ("delete from lake.loco_directions where label = 1 and half = 0", True),
        ("delete from lake.loco_directions", False),  # as in cells of before schema 8
        ("update lake.planes set accuracy_high = null, agreement = null, draws = null", False),
        ("delete from lake.planes", False),  # as in cells that were committed before the table was
    ],
)
def test_frames_that_cannot_be_are_found(healthy_lake, damage, is_found):
    healthy_lake.connection.execute(damage)
    assert bool(offending(healthy_lake, "planes_possible")) == is_found


@pytest.mark.parametrize(
    ("damage", "is_found"),
    [
        ("pictures_found = 11", True),
        ("pictures_ignored = null", True),
        ("pictures_not_selected = -1, pictures_found = 11", True),
        ("pictures_repeated = 5", True),  # of four query images
        ("pictures_not_selected = 7, pictures_found = 19", False),
        ("pictures_found = null, pictures_unlabelled = null, pictures_repeated = null", False),
    ],
)
def test_pictures_that_are_not_accounted_for_are_found(healthy_lake, damage, is_found):
    healthy_lake.connection.execute(f"update lake.cells set {damage}")
    assert bool(offending(healthy_lake, "pictures_accounted")) == is_found


def test_not_a_number_is_no_angle(healthy_lake):
    healthy_lake.connection.execute("update lake.angles set theta_feature_rad = 'nan' where image_id = 0")
    (row,) = offending(healthy_lake, "angles_in_range")
    assert (row["image_id"], row["plane"]) == (0, "feature")
