"""Plans written down before their sweep: once, by their content, after all that was done then."""

from datetime import UTC, datetime, timedelta

import pytest

from u1core.lake import registrations
from u1core.lake.registrations import register
from u1core.lake.store import CellId, Lake
from u1core.lake.verify import verify

CELLS = (CellId("k1", "digits", "net", "original"), CellId("k2", "digits", "net", "random-init:3"))
PLAN = {"cells": CELLS, "seeds": [3], "request": {"models": "net", "limit": None}}


@pytest.fixture
def lake(tmp_path):
    return Lake.open(tmp_path / "lake", create=True)


def rows(lake):
    names = lake.storage.names(registrations.TABLE)
    return registrations.index.read_files(lake.storage, names)


def test_a_plan_is_written_once_with_all_it_says(lake):
    first = register(lake, **PLAN)
    again = register(lake, **PLAN)
    assert (first.is_new, again.is_new) == (True, False)
    assert (again.key, again.registered_at) == (first.key, first.registered_at)
    (row,) = rows(lake)
    del row["file"], row["u1sweep_version"]
    assert row == {
        "registration_key": first.key,
        "registered_at": first.registered_at,
        "rules_sha256": first.rules_sha256,
        "cell_keys": ["k1", "k2"],
        "cell_names": ["net x digits x original", "net x digits x random-init:3"],
        "seeds": [3],
        "request": '{"limit": null, "models": "net"}',
    }
    assert verify(lake) == []


@pytest.mark.parametrize("other", [{"cells": CELLS[:1]}, {"seeds": []}, {"request": {"models": "n*"}}])
def test_another_plan_is_another_registration(lake, other):
    assert register(lake, **PLAN).key != register(lake, **PLAN | other).key
    assert len(rows(lake)) == 2


def test_other_rules_are_another_registration(lake, monkeypatch):
    first = register(lake, **PLAN)
    monkeypatch.setattr(registrations, "rules_sha256", lambda: "changed")
    assert register(lake, **PLAN).key != first.key


def test_what_is_done_was_before_even_if_the_clock_was_set_back(lake):
    ahead = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    lake.commit(CELLS[0], {"status": "done", "committed_at": ahead})
    assert register(lake, **PLAN).registered_at == ahead + timedelta(microseconds=1)
