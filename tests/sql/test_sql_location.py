"""The location memory: literal rows in, literal rows out."""

import itertools

import pytest
from scipy import stats


def search(lake, keys, places, labels=(0, 1), queries=20):
    """Store a memory of some classes, and searches {(scheme, x, y): share of right answers}."""
    for label in labels:
        lake.insert("records", {"image_id": label, "label": label, "split": "memory"}, layer="last", **keys)
    for (scheme, x, y), share in places.items():
        row = {"scheme": scheme, "x": x, "y": y}
        for query in range(queries):
            found = 0 if query < round(share * queries) else 1
            more = {"image_id": 100 + query, "label": 0, "memory_image_id": found, "memory_label": found}
            lake.insert("location_neighbours", row | more, layer="last", **keys)


def at(radius, share):
    """One place on the x axis, at a radius."""
    return {("location", radius, 0.0): share}


def test_accuracy_is_a_share_of_the_queries_at_each_place(lake):
    keys = lake.cell()
    search(lake, keys, at(-0.5, 0.8) | at(0.5, 0.25) | {("pooled", None, None): 1.0}, labels=range(4))
    left, right = lake.rows("select * from location_accuracy order by x")
    assert (left["x"], left["y"], left["n_query"], left["accuracy"]) == (-0.5, 0.0, 20, 0.8)
    assert (right["x"], right["accuracy"], right["chance"]) == (0.5, 0.25, 0.25)
    interval = stats.binomtest(16, 20).proportion_ci(method="wilson")
    assert (left["ci_low"], left["ci_high"]) == pytest.approx((interval.low, interval.high))


def test_report_of_one_cell(lake):
    keys = lake.cell(location_memory=4, location_query=20)
    rings = at(0.25, 0.9) | at(0.5, 0.7) | at(-0.5, 0.7) | at(1.0, 0.3) | at(1.25, 0.25)
    whole = {("pooled", None, None): 0.75, ("full", None, None): 0.85}
    search(lake, keys, rings | whole, labels=range(4))
    for split, radius in (("query", 0.6), ("memory", 0.7)):
        lake.insert("energy_maps", {"ee50_radius": radius, "split": split}, layer="last", **keys)
    row = lake.row("select * from location_report")
    assert (row["n_memory"], row["n_query"], row["chance"], row["is_evidence"]) == (4, 20, 0.25, True)
    assert (row["pooled_accuracy"], row["full_accuracy"]) == pytest.approx((0.75, 0.85))
    assert (row["centre_accuracy"], row["corner_accuracy"]) == pytest.approx((0.9, 0.25))
    # Half-way from 0.9 to 0.25 is 0.575: 0.125 of the fall of 0.4 between the radii 0.5 and 1.
    assert row["half_radius"] == pytest.approx(0.5 + 0.5 * 0.125 / 0.4)
    assert row["ee50_radius"] == 0.6


@pytest.mark.parametrize(
    "rings",
    [
        at(0.25, 0.9) | at(0.5, 0.8),  # never half-way down to 0.5
        at(0.25, 0.5) | at(0.5, 0.1),  # the centre knows no more than chance
        at(0.25, 0.9),  # a single ring
    ],
)
def test_no_half_radius_where_accuracy_does_not_fall_half_way(lake, rings):
    search(lake, lake.cell(), rings)
    assert lake.row("select half_radius from location_report") == {"half_radius": None}


def test_half_radius_is_the_first_fall(lake):
    search(lake, lake.cell(), at(0.25, 0.9) | at(0.5, 0.5) | at(0.75, 0.9) | at(1.0, 0.5))
    # Half-way to chance, 0.7, lies midway between the first two rings.
    assert lake.row("select half_radius from location_report")["half_radius"] == pytest.approx(0.375)


def test_places_of_one_radius_are_one_ring(lake):
    corners = {("location", x, y): share for (x, y), share in {(0.3, 0.1): 1.0, (-0.1, 0.3): 0.5}.items()}
    search(lake, lake.cell(), corners)
    assert lake.row("select centre_accuracy from location_report") == {"centre_accuracy": 0.75}


def test_a_cell_without_a_location_memory_has_no_report(lake):
    keys = lake.cell()
    lake.insert("records", {"image_id": 1, "label": 0, "split": "memory"}, layer="last", **keys)
    assert lake.rows("select * from location_report") == []


@pytest.mark.parametrize("shares", sorted(set(itertools.permutations([0.1, 0.1, 0.2, 0.3]))))
def test_a_ring_that_lies_half_way_exactly_is_there_in_any_order_of_its_places(lake, shares):
    places = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))
    ring = {("location", *place): share for place, share in zip(places, shares, strict=True)}
    search(lake, lake.cell(), at(0.25, 0.25) | ring, labels=range(10))
    # 0.175, half-way from 0.25 to a chance of 0.1; some orders give 0.17500000000000002.
    assert lake.row("select half_radius from location_report")["half_radius"] == pytest.approx(1.0)


def test_chance_is_of_the_classes_in_the_location_memory(lake):
    # Four images, taken class by class in turn, are of four of the ten classes.
    search(lake, lake.cell(location_memory=4), at(0.5, 0.5), labels=range(10))
    assert lake.row("select chance from location_accuracy") == {"chance": 0.25}
