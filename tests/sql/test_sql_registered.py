"""Which cells were registered before they were computed, and which nobody had seen before the rules."""

from datetime import UTC, datetime, timedelta

import pytest

from u1core.catalog.catalog import load_catalog
from u1core.lake import views
from u1core.lake.views import read_folder

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""When the cells of literal lakes were committed."""

TOLD = "select registration_key, is_registered from registered_cells"
RULES = "select rules_sha256() as sha256"


def register(lake, key, minutes, cells=("k1",), rules=None):
    """Insert a registration some minutes after the cells of a literal lake were committed."""
    lake.insert(
        "registrations",
        {
            "registration_key": key,
            "registered_at": NOON + timedelta(minutes=minutes),
            "cell_keys": list(cells),
            "rules_sha256": rules or lake.row(RULES)["sha256"],
        },
    )


@pytest.mark.parametrize(
    ("registrations", "expected"),
    [
        ([], None),
        ([("a", -1)], "a"),
        ([("a", 0)], None),  # not before
        ([("a", 1)], None),
        ([("a", -1, ["k2"])], None),  # of another cell
        ([("a", -1, ["k1"], "other")], None),  # by other rules
        ([("b", -2, ["k1"], "other"), ("a", -1)], "a"),
        ([("a", -2, ["k0", "k1"]), ("b", -3), ("c", -1), ("d", 1)], "b"),  # the first
    ],
)
def test_a_cell_counts_whose_key_was_registered_by_these_rules_before(lake, registrations, expected):
    lake.cell()
    for registration in registrations:
        register(lake, *registration)
    assert lake.row(TOLD) == {"registration_key": expected, "is_registered": expected is not None}


def test_a_superseded_cell_lends_its_registration_to_no_other(lake):
    lake.cell("k1")
    lake.cell("k2", selected_at=NOON + timedelta(hours=1))
    register(lake, "a", -1, ["k1"])
    assert lake.rows("select cell_key, is_registered from registered_cells") == [
        {"cell_key": "k2", "is_registered": False}
    ]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ({"model": "resnet50", "dataset": "flowers"}, True),
        ({"model": "resnet50", "dataset": "flowers", "weights_sha256": "11ad3fa6"}, True),
        ({"model": "resnet20_onehot", "dataset": "flowers"}, False),
        ({"model": "resnet50", "dataset": "digits"}, False),
        # The same under another id; a catalog may know weights by their first digits.
        ({"model": "mine", "dataset": "flowers", "weights_sha256": "0621fa6c"}, False),
        ({"model": "mine", "dataset": "mine", "dataset_fingerprint": "digits"}, False),
    ],
)
def test_what_was_seen_before_the_rules_is_known_by_id_and_content(lake, cell, expected):
    if cell.get("dataset_fingerprint"):
        cell = cell | {"dataset_fingerprint": load_catalog(None).datasets["digits"].fingerprint}
    lake.cell(**cell)
    assert lake.row("select is_unseen from registered_cells")["is_unseen"] is expected


def test_what_was_seen_has_the_contents_of_the_catalog(lake):
    catalog = load_catalog(None)
    known = {("network", model.id): model.sha256 or None for model in catalog.models.values()}
    known |= {("data set", dataset.id): dataset.fingerprint for dataset in catalog.datasets.values()}
    seen = lake.rows("from seen_before_rules")
    assert len(seen) == 9
    assert [row for row in seen if known[row["kind"], row["id"]] != row["sha256"]] == []


@pytest.fixture
def rules(monkeypatch):
    """Return the rules' hash, where one text of a kind is changed first."""
    read = views.read_folder

    def changed(kind="", name="", edit=lambda text: text):
        def folder(of):
            texts = read(of)
            return texts | {name: edit(texts[name])} if of == kind else texts

        monkeypatch.setattr(views, "read_folder", folder)
        return views.rules_sha256.__wrapped__()

    return changed


@pytest.mark.parametrize(
    ("kind", "name"),
    [("views", "claims"), ("views", "class_bias"), ("views", "cells"), ("macros", "significance")],
)
def test_rules_are_the_claims_and_all_that_they_read(rules, kind, name):
    before = rules()
    assert rules(kind, name, lambda text: text + "\n-- said otherwise\n") == before
    header, *rest = read_folder(kind)[name].partition("\nwith\n")
    assert rules(kind, name, lambda _: header + "".join(rest).replace("\n", "\r\n    ")) == before
    assert rules(kind, name, lambda text: text + "1") != before


@pytest.mark.parametrize("name", ["drift", "claims_first_edition", "claim_focus"])
def test_what_no_claim_of_today_reads_is_no_rule(rules, name):
    assert rules("views", name, lambda text: text + "1") == rules()
