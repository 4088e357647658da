"""Opening a lake: files, odd paths, empty tables; and queries that may only read."""

from datetime import UTC, datetime

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from u1core.common.errors import U1Error
from u1core.lake import connect as connecting
from u1core.lake import describe, views
from u1core.lake.connect import connect, freeze
from u1core.lake.guard import one_line_errors, run_query
from u1core.lake.schema import COLUMNS, SCHEMAS
from u1core.lake.store import CellId, Lake
from u1core.lake.views import analysis

CELL = {
    "cell_key": "k",
    "dataset": "toy",
    "model": "net",
    "variant": "original",
    "status": "done",
    "selected_at": datetime(2026, 1, 1, tzinfo=UTC),
}


def write(root, table, *rows):
    folder = root / table / "dataset=007" / "model=net" / "variant=original"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"k-{len(list(folder.iterdir())):05d}.parquet"
    pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMAS[table]), path)


@pytest.fixture
def root(tmp_path):
    """A lake in a folder whose name holds every character that SQL or a glob could take amiss."""
    root = tmp_path / "it's [a] lake*, isn't it?"
    write(root, "cells", CELL)
    write(root, "records", CELL | {"image_id": 1, "label": 0}, CELL | {"image_id": 2, "label": 0})
    return root


@pytest.fixture
def connection(lake):
    return lake.connection


def rows(connection, query, **params):
    return run_query(connection, query, params).to_pylist()


def test_parquet_is_read_and_no_type_comes_from_the_path(root):
    connection = connect(root, ["records", "angles"])
    assert rows(connection, "select dataset, image_id from records order by image_id") == [
        {"dataset": "007", "image_id": 1},
        {"dataset": "007", "image_id": 2},
    ]
    assert rows(connection, "select count(*) as n from angles") == [{"n": 0}]


def test_files_of_other_cells_are_not_opened(root):
    damaged = root / "records" / "dataset=other" / "model=net" / "variant=original" / "k-00000.parquet"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"no Parquet")
    connection = connect(root, ["records"])
    assert rows(connection, "select count(*) as n from records where dataset = '007'") == [{"n": 2}]
    with pytest.raises(U1Error):
        rows(connection, "select count(*) as n from records where dataset = 'other'")


def test_a_lake_may_be_named_by_a_relative_path(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    connection = connect(root.relative_to(root.parent), ["records"])
    monkeypatch.chdir("/")
    assert rows(connection, "select count(*) as n from records") == [{"n": 2}]


def test_files_that_a_sweep_adds_are_seen_by_an_open_connection(root):
    connection = connect(root, ["records"])
    write(root, "records", CELL | {"image_id": 3})
    assert rows(connection, "select count(*) as n from records") == [{"n": 3}]


def test_a_file_in_the_making_is_not_read(root):
    work = root / ".work"
    work.mkdir()
    (work / "torn.parquet").write_bytes(b"half a fi")
    (root / "records" / "torn.parquet.tmp").write_bytes(b"half a fi")
    assert rows(connect(root, ["records"]), "select count(*) as n from records") == [{"n": 2}]


def test_empty_tables_have_the_types_of_the_schema(root, connection):
    for table, schema in SCHEMAS.items():
        write(root, table, dict.fromkeys(schema.names))
    filled = connect(root, ())
    for table in SCHEMAS:
        assert connection.sql(f"from lake.{table}").types == filled.sql(f"from lake.{table}").types


def test_memory_is_bounded(connection):
    (limit,) = rows(connection, "select value from duckdb_settings() where name = 'memory_limit'")
    number, unit = limit["value"].split()
    assert float(number) * {"MiB": 1, "GiB": 1024}[unit] <= connecting.MEMORY_MIB


def test_timestamps_come_in_utc(root):
    assert rows(connect(root, ["cells"]), "select selected_at::text as t from cells") == [
        {"t": "2026-01-01 00:00:00+00"}
    ]


@pytest.mark.parametrize(
    "query",
    [
        "select 1",
        "  -- why\n select 1;",
        "with a as (select 1) from a",
        "from claims",
        "table claims",
        "values (1)",
        "describe claims",
        "show tables",
        "summarize claims",
        "explain select 1",
        "explain analyze select 1",
        "/* plan */ explain (format json) select 1",
        "pragma table_info('claims')",
        "pivot claims on verdict using count(*)",
        "pivot (select 1 as a, 2 as b) on a in (1) using sum(b)",
    ],
)
def test_reading_is_allowed(connection, query):
    assert run_query(connection, query).num_rows >= 1


@pytest.mark.parametrize(
    "query",
    [
        "copy (select 1) to 'out.csv'",
        "copy lake.records from 'in.parquet'",
        "attach 'file.duckdb'",
        "insert into lake.cells (cell_key) values ('x')",
        "update lake.cells set cell_key = 'x'",
        "delete from lake.cells",
        "create table t as select 1",
        "create temp table t (i integer)",
        "create table t as pivot claims on verdict using count(*)",
        "create view v as select 1",
        "create macro m() as 1",
        "drop view claims",
        "alter view claims rename to c",
        "install httpfs",
        "load httpfs",
        "set threads = 1",
        "reset threads",
        "use lake",
        "pragma threads = 1",
        "pragma enable_profiling",
        "begin",
        "vacuum",
        "checkpoint",
        "call pragma_version()",
        "export database 'folder'",
        "prepare p as select 1",
        "update extensions",
        "set variable a = 1",
        "create secret (type s3)",
        "import database 'folder'",
        "explain analyze create table t (i integer)",
        "explain copy (select 1) to 'out.csv'",
        "with a as (select 1) insert into lake.cells (cell_key) select 'x' from a",
    ],
)
def test_anything_else_is_refused(connection, query, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(U1Error, match=r"^expected .*; got .*; [^\n]*\Z"):
        run_query(connection, query)
    assert list(tmp_path.iterdir()) == []
    assert rows(connection, "select count(*) as n from lake.cells") == [{"n": 0}]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("selct 1", "syntax error"),
        ("select * from record", "the views are agreements, angles, "),
        ("select nope from claims", "`describe <view>` lists its columns"),
        ("select $a", "give each one a value: `--param"),
        ("select 'x'::int", "see docs/lake.md"),
        ("", "got 0 statements"),
        ("select 1; select 2", "got 2 statements"),
        ("select '\udce9'", "a query in UTF-8"),
    ],
)
def test_a_wrong_query_is_told_in_one_line(connection, query, message):
    with pytest.raises(U1Error) as raised:
        run_query(connection, query)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_connection_serves_on_after_an_error(connection):
    with pytest.raises(U1Error):
        run_query(connection, "select 'x'::int from range(3)")
    assert rows(connection, "select $n + 1 as n", n=1) == [{"n": 2}]


def test_values_bind_and_are_never_read_as_sql(connection):
    text = "'; drop view claims; --"
    assert rows(connection, "select $text as t", text=text) == [{"t": text}]


def test_an_unknown_analysis_names_the_known_ones():
    with pytest.raises(U1Error, match=r"got 'nope'; choose one of .*class_bias_self_centred"):
        analysis("nope")


def test_an_unknown_view_cannot_be_materialised(connection):
    with pytest.raises(U1Error, match="got nope; choose from agreements"):
        freeze(connection, ["nope"])


def test_materialised_views_answer_as_before(healthy_lake):
    connection = healthy_lake.connection
    names = list(views.view_files())
    before = {name: rows(connection, f"select * from {name} order by all") for name in names}
    freeze(connection)
    assert {name: rows(connection, f"select * from {name} order by all") for name in names} == before
    kinds = dict(connection.sql("select table_name, table_type from information_schema.tables").fetchall())
    assert {kinds[name] for name in connecting.EXPENSIVE_VIEWS} == {"BASE TABLE"}
    assert kinds["claim_bias"] == "VIEW"


def test_the_packaged_sql_is_preferred_to_the_repository(tmp_path, monkeypatch):
    package = tmp_path / "u1core"
    (package / "lake").mkdir(parents=True)
    monkeypatch.setattr(views, "__file__", str(package / "lake" / "views.py"))
    assert views.sql_dir() == tmp_path / "sql"
    (package / "sql").mkdir()
    assert views.sql_dir() == package / "sql"


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("select 1", []),
        ("select * from lake.records", ["records"]),
        ("SELECT count(*) FROM Claims, cells -- no view: clam", ["cells", "claims"]),
        ("select verdict from query_table('claims')", ["claims"]),
        ('describe "claims"', None),
        ("show tables", None),
        ("select * from information_schema.tables", None),
    ],
)
def test_a_query_needs_the_views_that_it_names(query, named):
    found = views.views_named(query)
    assert sorted(found) == (sorted(views.view_files()) if named is None else named)


@pytest.mark.parametrize("view", ["claims", "theta_uncertainty", "memory_report", "records"])
def test_a_view_brings_the_views_that_it_reads(lake, root, view):
    with connect(root, views.views_named(f"from {view}")) as connection:
        columns = rows(connection, f"select * from (describe {view})")
        there = set(describe.views(connection))
    assert columns == rows(lake.connection, f"select * from (describe {view})")
    assert view in there and len(there) < len(views.view_files())


def test_an_unknown_view_is_told_with_all_there_are():
    with pytest.raises(U1Error, match=r"the views are agreements, .*, vectors"):
        run_query(connect(None, views.views_named("from clam")), "from clam")


def test_ctrl_c_in_a_query_is_ctrl_c(connection):
    with pytest.raises(KeyboardInterrupt), one_line_errors(connection):
        raise RuntimeError("Query interrupted")  # what DuckDB makes of it
    with pytest.raises(RuntimeError, match="another"), one_line_errors(connection):
        raise RuntimeError("another")


OUTSIDE = [
    "from read_csv('{outside}/note.csv')",
    "from read_text('{outside}/note.csv')",
    "from read_blob('/proc/self/environ')",
    "from sniff_csv('{outside}/note.csv')",
    "from '{outside}/note.csv'",
    "from glob('{outside}/*')",
    "from glob('{lake}/../*')",
    "from read_parquet('{outside}/cells/**/*.parquet')",
    "from parquet_schema('{outside}/cells/a.parquet')",
    "from read_parquet('{lake}/../outside/cells/*.parquet')",
    "from read_parquet('{lake}2/cells/*.parquet')",
    "from read_parquet(['{lake}/cells/**/*.parquet', '{outside}/cells/a.parquet'])",
    "from read_text('{lake}/out/note.csv')",
    "from query($$ from '{outside}/note.csv' $$)",
    "from 'https://example.org/a.parquet'",
    "from 's3://bucket/a.parquet'",
    "select getenv('HOME')",
    "from which_secret('s3://bucket', 's3')",
    "from enable_logging(storage = 'file', storage_path = '{outside}/log')",
    "from enable_profiling(save_location = '{outside}/profile')",
]


@pytest.mark.parametrize("query", OUTSIDE)
def test_nothing_outside_the_lake_can_be_read(tmp_path, query):
    lake, outside = tmp_path / "lake", tmp_path / "outside"
    for root in (lake, tmp_path / "lake2", outside):
        write(root, "cells", CELL)
    pq.write_table(pa.Table.from_pylist([CELL], schema=SCHEMAS["cells"]), outside / "cells" / "a.parquet")
    (outside / "note.csv").write_text("a,b\n1,2\n")
    (lake / "out").symlink_to(outside)
    before = sorted(tmp_path.rglob("*"))
    connection = connect(lake, ["cells"])
    with pytest.raises(U1Error, match=r"^expected .*; got .*; [^\n]*\Z"):
        run_query(connection, query.format(lake=lake, outside=outside))
    assert sorted(tmp_path.rglob("*")) == before
    assert rows(connection, "select dataset from cells") == [{"dataset": "007"}]


def test_no_variable_of_the_process_can_be_read(connection):
    variable_of_the_process = pa.table({"a": [1]})
    with pytest.raises(duckdb.CatalogException, match="variable_of_the_process does not exist"):
        connection.sql("from variable_of_the_process")
    connection.register("given", variable_of_the_process)
    assert rows(connection, "from given") == [{"a": 1}]


def test_without_a_lake_no_file_can_be_read(connection, tmp_path):
    write(tmp_path, "cells", CELL)
    with pytest.raises(U1Error, match="ask the lake's own tables and views"):
        run_query(connection, f"from read_parquet('{tmp_path}/cells/**/*.parquet')")


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("set enable_external_access = true", "enable_external_access"),
        ("set allowed_directories = ['/']", "allowed_directories"),
        ("set memory_limit = '1TB'", "locked"),
        ("set python_enable_replacements = true", "locked"),
        ("set lock_configuration = false", "locked"),
        ("copy (select 1) to '{outside}/written.csv'", "operations are disabled"),
        ("attach '{outside}/written.duckdb'", "operations are disabled"),
        ("load httpfs", "disabled"),
    ],
)
def test_duckdb_itself_holds_the_fence(root, tmp_path, statement, told):
    """Even past `run_query`, which refuses these statements by their kind."""
    with pytest.raises(duckdb.Error, match=told):
        connect(root, ()).execute(statement.format(outside=tmp_path))
    assert list(tmp_path.iterdir()) == [root]


def test_a_lake_and_its_tables_may_be_links(root, tmp_path):
    (root / "records").rename(tmp_path / "on another disk")
    (root / "records").symlink_to(tmp_path / "on another disk")
    (tmp_path / "link").symlink_to(root)
    for lake in (root, tmp_path / "link", tmp_path / "link" / ".." / root.name):
        assert rows(connect(lake, ["records"]), "select count(*) as n from records") == [{"n": 2}]


def test_what_does_not_fit_in_memory_goes_to_disk(root, monkeypatch, tmp_path):
    monkeypatch.setattr(connecting, "MEMORY_MIB", 100)
    monkeypatch.setattr(connecting.tempfile, "tempdir", str(tmp_path))
    query = "select md5(i::text) as a, i from range(3_000_000) as t(i) order by a limit 3 offset 2_900_000"
    assert len(rows(connect(root, ()), query)) == 3
    monkeypatch.setattr(connecting.tempfile, "tempdir", "/proc")  # where nothing can be written
    with pytest.raises(U1Error, match="/proc"):
        run_query(connect(root, ()), query)


def test_views_bound_once_a_process_are_what_creating_them_gives(monkeypatch):
    """Where nothing can be written, they are created in each connection."""
    copied = connect(None)
    monkeypatch.setattr(connecting.tempfile, "tempdir", "/proc")
    created = connect(None)
    columns = (
        "select table_name, column_name, data_type, is_nullable from duckdb_columns() where not internal"
    )
    macros = "select function_name, parameters, macro_definition from duckdb_functions() where not internal"
    for query in (columns, macros):
        one, other = (rows(connection, f"{query} order by all") for connection in (copied, created))
        assert len(one) == len(other) > 50
        assert [row for row in one if row not in other and "EXCLUDE" not in str(row)] == []
    (database,) = rows(copied, "select database_name from duckdb_databases() where not internal")
    assert database == {"database_name": "memory"}


def test_everything_there_is_describes_itself(root):
    connection = connect(root)
    describe.comment(connection)
    query = (
        "select column_name, comment from duckdb_columns() where schema_name = $schema and table_name = $name"
    )
    raw = rows(connection, query, schema="lake", name="records")
    view = rows(connection, query, schema="main", name="records")
    assert raw == view
    assert [row["column_name"] for row in raw] == SCHEMAS["records"].names
    texts = {row["column_name"]: row["comment"] for row in raw}
    assert texts["ee50_radius"] == "radius that encircles 50 % of the energy [half image]"
    assert texts["label"] == "class index"
    assert None not in texts.values()
    comments = dict(
        connection.sql("select view_name, comment from duckdb_views() where not internal").fetchall()
    )
    assert comments["class_bias"].startswith(
        "do the classes of an image set sit at different angles? One row per split"
    )
    assert all(comments[name] for name in views.view_files())
    (raw,) = rows(connection, "select comment from duckdb_tables() where table_name = 'frames'")
    assert "superseded" in raw["comment"]


def test_a_column_of_another_meaning_has_no_borrowed_description(monkeypatch):
    """The arithmetic of `cells` is no precision of a class: same name, another type."""
    connection = connect(None)
    query = (
        "select comment from duckdb_columns() where table_name = 'memory_per_class' and column_name = $name"
    )
    with monkeypatch.context() as patched:
        patched.setattr(describe, "read_columns", lambda text: {})
        describe.comment(connection)
    assert rows(connection, query, name="precision") == [{"comment": None}]
    (model,) = rows(connection, query, name="model")
    assert model["comment"] == "model id of the catalog"
    describe.comment(connection)
    (precision,) = rows(connection, query, name="precision")
    assert precision["comment"].startswith("correct over predicted")


@pytest.fixture(scope="module")
def described():
    """What `comment` says of every column, {relation: {(column, type): text}}."""
    connection = connect(None)
    describe.comment(connection)
    found = connection.sql("""
        select if(schema_name = 'lake', 'lake.', '') || table_name, column_name, data_type, comment
        from duckdb_columns() where not internal
    """)
    relations = {}
    for relation, column, type_, text in found.fetchall():
        relations.setdefault(relation, {})[column, type_] = text
    return relations


def test_every_column_of_every_table_and_view_is_described(described):
    assert described.keys() == {*views.view_files(), *(f"lake.{table}" for table in SCHEMAS)}
    missing = [
        (relation, name)
        for relation, texts in described.items()
        for (name, _), text in texts.items()
        if not text
    ]
    assert missing == []


@pytest.mark.parametrize("view", views.view_files())
def test_a_header_describes_columns_of_its_view_and_says_more_than_they_inherit(view, described):
    header = views.view_files()[view]
    own = views.read_columns(header)
    assert own.keys() <= {name for name, _ in described[view]}
    read = [described[name] for name in views.read_header(header)["Reads"].split(", ") if name in described]
    for (name, type_), text in described[view].items():
        inherited = next((texts[name, type_] for texts in read if (name, type_) in texts), None)
        assert text == own.get(name, inherited), name
        assert inherited is None or own.get(name) != inherited, name


def test_descriptions_in_headers_are_phrases_with_a_unit_that_the_tables_know():
    units = {column.unit for columns in COLUMNS.values() for column in columns} - {"", "1"}
    for text in views.view_files().values():
        for name, description in views.read_columns(text).items():
            phrase, bracket, unit = description.partition(" [")
            assert phrase and not phrase.endswith("."), name
            assert not bracket or unit.removesuffix("]") in units, name
            assert ("_rad_" in f"{name}_") == (unit == "rad]"), name


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("select 1", False),
        ("describe records", False),
        ("FROM duckdb_columns()", True),
        ("select comment from (from duckdb_views())", True),
    ],
)
def test_descriptions_are_made_for_queries_that_may_show_them(query, shown):
    assert describe.shows_comments(query) == shown


def test_a_message_that_quotes_a_damaged_file_is_one_line(tmp_path):
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.write("records", CellId("k", "digits", "m", "original"), {"label": [1, 2]}, layer="last")
    (file,) = (lake.root / "records").rglob("*.parquet")
    content = file.read_bytes()
    at = content.index(b"quadrupole_x")
    file.write_bytes(content[:at] + b"\xf1" + content[at + 1 :])  # no UTF-8
    with pytest.raises(
        U1Error, match='got Binder Error: Referenced column "quadrupole_x" not found'
    ) as error:
        connect(lake.root)
    assert "\n" not in str(error.value)
