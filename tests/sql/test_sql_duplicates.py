"""The memory's accuracy with and without query pictures that have a near-duplicate in memory."""

import pytest

FOUND = [(0, 0.95, 0.2, True), (1, 0.90, 0.3, True), (2, 0.89, 0.91, False), (3, 0.1, 0.1, True)]
"""Query images: likeness, that of the mirrored one, whether the nearest by activations is right."""


@pytest.fixture
def compared(lake):
    keys = lake.cell()
    for image, likeness, mirrored, is_right in FOUND:
        pair = {"image_id": image, "label": 1, "memory_image_id": 9, "memory_label": 1}
        lake.insert("likeness", pair | {"likeness": likeness, "mirrored_likeness": mirrored}, **keys)
        found = {"image_id": image, "label": 1, "memory_image_id": 8, "layer": "last", "scheme": "pooled"}
        for rank, right in ((1, is_right), (2, not is_right)):
            lake.insert("neighbours", found | {"rank": rank, "memory_label": int(right)}, **keys)
    return lake


def test_a_near_duplicate_is_as_like_as_0_9(compared):
    assert [row["image_id"] for row in compared.rows("from near_duplicates order by image_id")] == [0, 1]


def test_accuracy_is_told_with_and_without_them(compared):
    row = compared.row("from memory_without_duplicates")
    assert (row["n_query"], row["accuracy"]) == (4, 0.75)
    assert (row["n_flagged"], row["accuracy_flagged"], row["accuracy_without"]) == (2, 1.0, 0.5)
    assert row["mirrored_share"] == 0.25


def test_nothing_is_said_where_nobody_looked(compared):
    compared.connection.execute("delete from lake.likeness")
    assert compared.rows("from memory_without_duplicates") == []


def test_shares_of_no_image_are_null(compared):
    compared.connection.execute("update lake.likeness set likeness = 0.5")
    row = compared.row("from memory_without_duplicates")
    assert (row["n_flagged"], row["accuracy_flagged"], row["accuracy_without"]) == (0, None, 0.75)
