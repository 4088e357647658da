"""DuckDB over the lake: raw tables in schema `lake`, the public views in `main`, read-only queries.

Nothing is stored: a connection lives in memory and reads Parquet, so it can be opened while a sweep
writes. The SQL itself lies in sql/ (macros, views, analyses, checks); `docs/lake.md` describes it.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from u1core.errors import U1Error
from u1core.schema import SCHEMAS

HEADER_KEYS = ("Question", "Grain", "Reads", "Params")

MEMORY_MIB = 3300
"""What DuckDB may hold, so that a query's process stays below 4 GiB; the rest is sorted on disk."""

EXPENSIVE_VIEWS = (
    "class_directions",
    "class_bias",
    "concentration_by_layer",
    "sombrero",
    "controls",
    "agreements",
    "composition",
    "theta_uncertainty",
    "memory_votes",
    "memory_confusion",
    "location_accuracy",
)
"""Views worth computing once when several questions follow: see `materialise`."""

# Written out because registering an empty Arrow table would import half a second of pandas.
_SQL_TYPES = {
    pa.string(): "varchar",
    pa.int64(): "bigint",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.timestamp("us", tz="UTC"): "timestamptz",
}

_READ_ONLY = frozenset({duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN})
_SPACE = r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*"
_EXPLAIN = re.compile(rf"{_SPACE}explain\b(?:{_SPACE}\([^)]*\))?(?:{_SPACE}analy[sz]e\b)?", re.I | re.S)
_PIVOT = re.compile(rf"{_SPACE}(?:with|from|select|pivot|unpivot)\b", re.I | re.S)
_PRAGMA = re.compile(rf"{_SPACE}pragma{_SPACE}(?:show_tables|table_info|version)\b", re.I | re.S)


def sql_dir() -> Path:
    """Return the folder of the SQL files: inside the installed package, else the repository's."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "sql"
    return packaged if packaged.is_dir() else package.parent / "sql"


def read_header(text: str) -> dict[str, str]:
    r"""Return the comment header of a SQL file as {key: value}; continuation lines are indented.

    Example:
        >>> read_header("-- Question: why?\n-- Reads: a,\n--   lake.b\nselect 1")
        {'Question': 'why?', 'Reads': 'a, lake.b'}
    """
    header: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        if match := re.match(rf"-- ({'|'.join(HEADER_KEYS)}): (.*)", line):
            key, value = match.groups()
            header[key] = value.strip()
        elif key:
            header[key] += " " + line.removeprefix("--").strip()
    return header


def reads(text: str) -> set[str]:
    """Return the relations that a SQL file says it reads, such as {'cells', 'lake.records'}."""
    value = read_header(text).get("Reads", "nothing")
    return set() if value == "nothing" else {name.strip() for name in value.split(",")}


def view_files() -> dict[str, str]:
    """Return the text of every view by name, each after the views that it reads."""
    texts = _texts("views")
    graph = {name: {other for other in reads(text) if other in texts} for name, text in texts.items()}
    return {name: texts[name] for name in TopologicalSorter(graph).static_order()}


def connect(root: Path | None) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB over a lake.

    Args:
        root: The lake's folder; None gives empty raw tables (real ones, for tests to insert into).

    Returns:
        A connection with one relation per table in schema `lake` and the public views in `main`. A table
        without a file yet is typed and empty, and stays so until the next connect.

    Raises:
        U1Error: A file of the lake is damaged.
    """
    connection = duckdb.connect(
        config={
            # Nothing is fetched from anywhere, whatever a query names.
            "autoinstall_known_extensions": False,
            "temp_directory": str(Path(tempfile.gettempdir()) / "u1-duckdb"),
        }
    )
    with one_line_errors(connection):
        _bound_memory(connection)
        _create_relations(connection, root)
    return connection


def _bound_memory(connection: duckdb.DuckDBPyConnection) -> None:
    """Lower the memory limit to MEMORY_MIB, unless DuckDB found a machine or a container with less."""
    query = "select value from duckdb_settings() where name = 'memory_limit'"
    number, unit = str(connection.execute(query).fetchall()[0][0]).split()
    mib_per_unit = {"GiB": 2**10, "TiB": 2**20}.get(unit, 0)
    if float(number) * mib_per_unit > MEMORY_MIB:
        connection.execute(f"set memory_limit = '{MEMORY_MIB}MiB'")


def _create_relations(connection: duckdb.DuckDBPyConnection, root: Path | None) -> None:
    # Timestamps are stored in UTC and shown so, on every machine.
    connection.execute("set timezone = 'UTC'")
    connection.execute("create schema lake")
    for table, schema in SCHEMAS.items():
        _create_raw(connection, root, table, schema)
    for text in _texts("macros").values():
        connection.execute(text)
    for name, text in view_files().items():
        connection.execute(f"create view {name} as\n{text}")


def _create_raw(
    connection: duckdb.DuckDBPyConnection, root: Path | None, table: str, schema: pa.Schema
) -> None:
    """Create lake.<table>: a view over its Parquet files, or an empty table where there is none."""
    if root is None or next((root / table).rglob("*.parquet"), None) is None:
        columns = ", ".join(f"{field.name} {_sql_type(field.type)}" for field in schema)
        connection.execute(f"create table lake.{table} ({columns})")
        return
    pattern = f"{_glob_escape(str(root.absolute() / table))}/**/*.parquet"
    # A view takes no bound parameter, so the one text that goes into SQL is quoted here.
    quoted = pattern.replace("'", "''")
    connection.execute(
        f"create view lake.{table} as select * from read_parquet('{quoted}', hive_partitioning = false)"
    )


def _sql_type(type_: pa.DataType) -> str:
    """Return the DuckDB type that Parquet of this Arrow type is read as."""
    if pa.types.is_list(type_):
        return f"{_sql_type(type_.value_type)}[]"
    return _SQL_TYPES[type_]


def _glob_escape(path: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", path)


def run_query(
    connection: duckdb.DuckDBPyConnection, sql: str, params: Mapping[str, Any] | None = None
) -> pa.Table:
    """Run one read-only query.

    Args:
        connection: From `connect`.
        sql: One statement: select (with, from, values, pivot), describe, show, summarize or explain.
        params: Values for the query's $name placeholders.

    Returns:
        The rows, as an Arrow table.

    Raises:
        U1Error: The statement would write or set something, is not exactly one, or DuckDB can't run it.
    """
    try:
        statements = connection.extract_statements(sql)
        if len(statements) != 1:
            raise U1Error("one query", f"{len(statements)} statements", "run them one by one")
        if not _is_read_only(connection, statements[0]):
            raise U1Error(
                "a query that only reads (select, describe, show, summarize, explain)",
                _first_line(sql),
                "copy the lake's Parquet, or use --format, to take data elsewhere",
            )
        return _execute(connection, sql, params)
    except duckdb.Error as error:
        raise _query_error(connection, error) from error


def _execute(connection: duckdb.DuckDBPyConnection, sql: str, params: Mapping[str, Any] | None) -> pa.Table:
    # The transaction is the second fence: whatever slipped past the first can't write.
    connection.execute("begin transaction read only")
    try:
        relation = connection.sql(sql, params=dict(params) if params else None)
        return relation.to_arrow_table()
    finally:
        connection.execute("rollback")


def statements(text: str) -> list[str]:
    """Split a text into its statements; U1Error where DuckDB cannot."""
    connection = connect(None)
    with one_line_errors(connection):
        return [statement.query for statement in connection.extract_statements(text)]


@contextmanager
def one_line_errors(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Turn whatever DuckDB cannot do in the block, such as reading a damaged file, into one line."""
    try:
        yield
    except duckdb.Error as error:
        raise _query_error(connection, error) from error


def _is_read_only(connection: duckdb.DuckDBPyConnection, statement: duckdb.Statement) -> bool:
    """Tell whether a statement only reads; an explained or a pivot statement is looked into."""
    text = statement.query
    if statement.type == duckdb.StatementType.EXPLAIN:
        prefix = _EXPLAIN.match(text)
        inner = connection.extract_statements(text[prefix.end() :]) if prefix else []
        return len(inner) == 1 and inner[0].type == duckdb.StatementType.SELECT
    if statement.type == duckdb.StatementType.MULTI:
        return _PIVOT.match(text) is not None
    if statement.type == duckdb.StatementType.PRAGMA:
        return _PRAGMA.match(text) is not None
    return statement.type in _READ_ONLY


def _query_error(connection: duckdb.DuckDBPyConnection, error: duckdb.Error) -> U1Error:
    todo = "see docs/lake.md; of a damaged file delete it and its cell's file in cells/, then sweep again"
    if isinstance(error, duckdb.CatalogException):
        todo = f"the views are {', '.join(views(connection))}"
    elif isinstance(error, duckdb.BinderException):
        todo = "`describe <view>` lists its columns; see docs/lake.md"
    elif "not provided for the following parameters" in str(error):
        todo = "give each one a value: `--param split=query`"
    return U1Error("a query DuckDB can run", _first_line(str(error)), todo)


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else "nothing"


def views(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the names of the public views (tables, once materialised), sorted."""
    rows = connection.execute(
        "select table_name from information_schema.tables where table_schema = 'main' order by table_name"
    ).fetchall()
    return [str(name) for (name,) in rows]


def analysis(name: str) -> str:
    """Return the SQL text of one analysis.

    Raises:
        U1Error: There is no such analysis.
    """
    texts = _texts("analyses")
    if name not in texts:
        raise U1Error("the name of an analysis", repr(name), f"choose one of {', '.join(texts)}")
    return texts[name]


def analyses() -> list[str]:
    """Return the names of all analyses, sorted."""
    return list(_texts("analyses"))


def checks() -> dict[str, str]:
    """Return the SQL text of every check by name; a healthy lake gives none of them a row."""
    return _texts("checks")


def failing_checks(connection: duckdb.DuckDBPyConnection) -> dict[str, list[dict[str, Any]]]:
    """Run every check and return the offending rows of those that have any."""
    found = {name: run_query(connection, text).to_pylist() for name, text in checks().items()}
    return {name: rows for name, rows in found.items() if rows}


def materialise(connection: duckdb.DuckDBPyConnection, names: Iterable[str] = EXPENSIVE_VIEWS) -> None:
    """Replace views by tables of the same name inside the in-memory connection, in reading order.

    Later queries on this connection reuse them; they no longer see what a sweep writes meanwhile.

    Raises:
        U1Error: A name is not a view's.
    """
    texts = view_files()
    wanted = set(names)
    if unknown := wanted - set(texts):
        raise U1Error("names of views", ", ".join(sorted(unknown)), f"choose from {', '.join(sorted(texts))}")
    for name in (name for name in texts if name in wanted):
        connection.execute(f"create table _{name} as select * from {name}")
        connection.execute(f"drop view {name}")
        connection.execute(f"alter table _{name} rename to {name}")


def _texts(kind: str) -> dict[str, str]:
    """Return the SQL files of one folder by stem, sorted."""
    folder = sql_dir() / kind
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.sql"))}
