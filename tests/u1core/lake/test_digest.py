"""What a sweep keeps, and what the next one says has moved."""

import math
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from synthetic_lake import CLASSES, SELECTED_AT, write_synthetic_lake

from u1core.lake import store
from u1core.lake.accounts import tell_pictures
from u1core.lake.connect import connect
from u1core.lake.digest import Done, conclude_sweep
from u1core.lake.guard import run_query
from u1core.lake.schema import SCHEMAS
from u1core.lake.store import Lake, RunId, key_of
from u1core.lake.views import views_named

TOLD = ("figures", "drift")
"""The views that a digest reads."""
CLAIM = {"claim": "1. Light bends", "verdict": "holds"}


@pytest.fixture
def lake(tmp_path):
    return Lake.open(write_synthetic_lake(tmp_path / "lake", models=["net"]))


def conclude(lake, verdict="holds", threshold=0.1, failed=(), checks=None):
    done = Done("said", {"computed": 1}, failed, checks or {}, [CLAIM | {"verdict": verdict}])
    with connect(lake.root, TOLD) as connection:
        return conclude_sweep(connection, lake, done, threshold)


def ask(lake, query):
    with connect(lake.root, views_named(query)) as connection:
        return run_query(connection, query).to_pylist()


def replace_cell(lake, turn_rad):
    """Commit the cell again under another key, all angles turned and its image limit changed."""
    for path in list(lake.root.rglob("*.parquet")):
        if path.relative_to(lake.root).parts[0] in ("sweeps", "sweep_figures"):
            continue
        table = pq.ParquetFile(path).read()
        changes = {"cell_key": pa.array(["another"] * len(table))}
        if "theta_image_rad" in table.column_names:
            turned = pc.add(table["theta_image_rad"], turn_rad)
            wrapped = [None if t is None else math.remainder(t, math.tau) for t in turned.to_pylist()]
            changes["theta_image_rad"] = pa.array(wrapped, pa.float64())
        if "selected_at" in table.column_names:
            later = SELECTED_AT + timedelta(days=1)
            changes["selected_at"] = pa.array([later] * len(table), table.schema.field("selected_at").type)
            changes["image_limit"] = pa.array([7] * len(table))
        for name, values in changes.items():
            table = table.set_column(table.column_names.index(name), name, values)
        pq.write_table(table, path.with_name(path.name.replace(key_of(str(path)), "another")))


def test_figures_are_kept_once(lake):
    first, second = conclude(lake), conclude(lake)
    counts = ask(lake, "select plane, count(*) as n from lake.sweep_figures group by all order by all")
    assert [(row["plane"], row["n"]) for row in counts] == [("feature", 10), ("image", 10), (None, 1)]
    assert len(ask(lake, "from sweeps")) == 2
    assert first.moved == second.moved == 0
    assert "Nothing moved by more than 0.1." in second.text


def test_a_turned_cell_moves_by_the_way_of_its_resultant_vectors(lake):
    conclude(lake)
    replace_cell(lake, math.pi / 3)
    digest = conclude(lake)
    rows = ask(lake, "from drift where plane = 'image' order by label")
    assert [row["class_name"] for row in rows] == list(CLASSES)
    for row in rows:
        # Turned by 60 degrees, a vector's tip is as far from where it was as from the centre.
        assert row["shift"] == pytest.approx(row["resultant_length"], abs=1e-9)
        assert row["changed"] == ["limit"]
    unmoved = ask(lake, "select max(shift) as shift from drift where plane is distinct from 'image'")
    assert unmoved == [{"shift": 0}]
    assert digest.moved == sum(row["shift"] > 0.1 for row in rows) > 5
    assert digest.text.count("| net on cifar10 | direction of") == digest.moved
    assert conclude(lake).moved == 0


def test_an_undefined_direction_has_no_length(lake):
    insert = (
        "insert into lake.sweep_figures (sweep_key, concluded_at, dataset, model, variant, plane, label, "
        "cell_key, mean_direction_rad, resultant_length) values "
    )
    with connect(None, ["drift"]) as connection:
        connection.execute(insert + "('a', '2026-01-01', 'd', 'm', 'original', 'image', 0, 'k1', 0.5, 0.25)")
        connection.execute(insert + "('b', '2026-01-02', 'd', 'm', 'original', 'image', 0, 'k2', null, 0)")
        ((shift,),) = connection.execute("select shift from drift").fetchall()
    assert shift == pytest.approx(0.25)


def test_where_the_pictures_went_is_told(lake):
    with connect(lake.root, ["cells"]) as connection:
        lines = tell_pictures(connection, ["net on cifar10", "net (hflip) on cifar10"])
        assert tell_pictures(connection, ["another on cifar10"]) == ()
    (line,) = lines
    assert line == (
        "cifar10: pictures found 246 = 240 rows + 1 failed + 2 unlabelled + 3 ignored (3 .txt) "
        "+ 0 not selected"
    )
    with connect(lake.root, TOLD) as connection:
        digest = conclude_sweep(connection, lake, Done("said", {}, (), {}, [CLAIM], lines), 0.1)
    assert "## Pictures" in digest.text
    assert "240 rows + 1 failed + 2 unlabelled + 3 ignored" in digest.text


def test_cells_of_a_data_set_that_differ_have_a_line_each():
    insert = (
        "insert into lake.cells (cell_key, dataset, model, variant, status, selected_at, rows, failures, "
        "images_query, pictures_found, pictures_unlabelled, pictures_ignored, pictures_not_selected, "
        "pictures_repeated, ignored_kinds) values "
    )
    with connect(None, ["cells"]) as connection:
        for key, numbers in {
            "k1": "8, 0, 4, 8, 0, 0, 0, 4, []",
            "k2": "8, 0, 4, 8, 0, 0, 0, 4, []",
            "k3": "7, 1, 4, 8, 0, 0, 0, 4, []",
        }.items():
            values = f"('{key}', 'd', '{key}', 'original', 'done', '2026-01-01', {numbers})"
            connection.execute(insert + values)
        old = "('k4', 'e', 'k4', 'original', 'done', '2026-01-01', 8, 0, 4, null, null, 12, 0, null, null)"
        connection.execute(insert + old)
        lines = tell_pictures(connection, [f"k{i} on {d}" for i in range(1, 5) for d in "de"])
    assert lines == (
        "d: pictures found 8 = 8 rows + 0 failed + 0 unlabelled + 0 ignored + 0 not selected; "
        "4 of 4 query pictures are in memory too (2 cells)",
        "d: pictures found 8 = 7 rows + 1 failed + 0 unlabelled + 0 ignored + 0 not selected; "
        "4 of 4 query pictures are in memory too (1 cell)",
        "e: pictures found unknown = 8 rows + 0 failed + "
        "unknown how many unlabelled + 12 ignored + 0 not selected",
    )


def test_what_is_measured_by_other_schemas_has_changed():
    with connect(None, ["drift"]) as connection:
        for key, day, version in (("k1", 1, 4), ("k2", 2, 5)):
            connection.execute(
                "insert into lake.cells (cell_key, dataset, model, variant, schema_version) "
                f"values ('{key}', 'd', 'm', 'original', {version})"
            )
            connection.execute(
                "insert into lake.sweep_figures (sweep_key, concluded_at, dataset, model, variant, cell_key) "
                f"values ('{day}', '2026-01-0{day}', 'd', 'm', 'original', '{key}')"
            )
        assert connection.execute("select changed from drift").fetchall() == [(["schema"],)]


def test_a_sweep_under_a_clock_set_back_is_the_last_one_all_the_same(lake, monkeypatch):
    conclude(lake)

    class Earlier(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) - timedelta(days=400)

    monkeypatch.setattr(store, "datetime", Earlier)
    digest = conclude(lake, "does not hold")
    assert "holds → **does not hold**" in digest.text
    assert "- no verdict changed" in conclude(lake, "does not hold").text
    replace_cell(lake, math.pi / 3)
    assert conclude(lake, "does not hold").moved > 5
    moments = [row["concluded_at"] for row in ask(lake, "from lake.sweeps order by concluded_at")]
    assert len(set(moments)) == 4


def test_a_run_selected_under_a_clock_set_back_is_the_last_one_all_the_same(lake):
    future = datetime.now(UTC) + timedelta(days=1)
    first, other = (
        RunId(key, key, "task", "net", arm, 0.1, 0) for key, arm in (("k1", "u1"), ("k2", "onehot"))
    )
    row = {name: None for name in SCHEMAS["training_runs"].names if name not in first.columns}
    row |= {"committed_at": future, "selected_at": future}
    lake.write("training_runs", first, {name: [value] for name, value in row.items()})
    assert lake.next_selection(other) == future + timedelta(microseconds=1)
    elsewhere = RunId("k3", "k3", "another task", "net", "u1", 0.1, 0)
    assert lake.next_selection(elsewhere) < future


def test_what_failed_and_what_changed_its_verdict_is_told_and_stays_text(lake):
    conclude(lake)
    digest = conclude(lake, "does not hold", failed=[("<b>net|</b> on d", "why\nnot")], checks={"grains": 3})
    assert r"| \<b\>net\|\</b\> on d | why not |" in digest.text
    assert "| grains | 3 |" in digest.text
    assert "- 1. Light bends: holds → **does not hold**" in digest.text
