"""What a query may do: read, one statement at a time, ended by Ctrl-C, its errors one line each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeVar

import duckdb
import pyarrow as pa
from duckdb.sqltypes import DuckDBPyType

from u1core.common.errors import U1Error
from u1core.common.paths import as_text
from u1core.lake import views

_T = TypeVar("_T")


_DUCKDB_ERRORS = (duckdb.Error, UnicodeDecodeError)
"""What DuckDB raises; the second where its message quotes a damaged file."""


_SPACE = r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*"


_EXPLAIN = re.compile(rf"{_SPACE}explain\b(?:{_SPACE}\([^)]*\))?(?:{_SPACE}analy[sz]e\b)?", re.I | re.S)


_PIVOT = re.compile(rf"{_SPACE}(?:with|from|select|pivot|unpivot)\b", re.I | re.S)


_PRAGMA = re.compile(rf"{_SPACE}pragma{_SPACE}(?:show_tables|table_info|version)\b", re.I | re.S)


Shown = Callable[[DuckDBPyType], str]
"""From the type of a column to the SQL that shows `{}`, its value."""


def run_query(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    params: Mapping[str, Any] | None = None,
    shown: Shown | None = None,
) -> pa.Table:
    """Run one read-only query.

    Args:
        connection: From `connect`.
        sql: One statement: select (with, from, values, pivot), describe, show, summarize or explain.
        params: Values for the query's $name placeholders.
        shown: What is returned of a column, for types of which Arrow or Python have less than DuckDB; None
            for the values.

    Returns:
        The rows, as an Arrow table. Of columns of one name the second is called `name_1`, as in a subquery.

    Raises:
        U1Error: The statement would write or set something, is not exactly one, or DuckDB can't run it.
        KeyboardInterrupt: Ctrl-C; the connection serves on.
    """
    if sql != sql.encode(errors="ignore").decode():
        todo = "write it in UTF-8, in a locale such as LC_ALL=C.UTF-8"
        raise U1Error("a query in UTF-8", as_text(_first_line(sql)), todo)
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
        return _execute(connection, sql, params, shown)
    except _DUCKDB_ERRORS as error:
        raise _query_error(connection, error) from error


def failing_checks(connection: duckdb.DuckDBPyConnection) -> dict[str, list[dict[str, Any]]]:
    """Run every check and return the offending rows of those that have any."""
    found = {name: run_query(connection, text).to_pylist() for name, text in views.checks().items()}
    return {name: rows for name, rows in found.items() if rows}


def statements(text: str) -> list[str]:
    """Split a text into its statements; U1Error where DuckDB cannot."""
    with duckdb.connect() as connection, one_line_errors(connection):
        return [statement.query for statement in connection.extract_statements(text)]


@contextmanager
def one_line_errors(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Turn whatever DuckDB cannot do in the block, such as reading a damaged file, into one line.

    Ctrl-C during a query, of which DuckDB makes an error, is Ctrl-C again.
    """
    try:
        yield
    except RuntimeError as error:
        if str(error) != "Query interrupted":
            raise
        raise KeyboardInterrupt from error
    except _DUCKDB_ERRORS as error:
        raise _query_error(connection, error) from error


def _execute(
    connection: duckdb.DuckDBPyConnection, sql: str, params: Mapping[str, Any] | None, shown: Shown | None
) -> pa.Table:
    def read() -> pa.Table:
        found = connection.sql(sql, params=dict(params) if params else None)
        names, rows = found.columns, found
        if len({name.casefold() for name in names}) < len(names):
            names = found.project("*").columns
        if shown:
            columns = (shown(type_).format(f"#{i}") for i, type_ in enumerate(found.types, start=1))
            rows = found.project(", ".join(columns))
        return rows.to_arrow_table().rename_columns(names)

    # The transaction is the second fence: whatever slipped past the first can't write.
    connection.execute("begin transaction read only")
    try:
        return interruptible(connection, read)
    finally:
        connection.execute("rollback")


def interruptible(connection: duckdb.DuckDBPyConnection, work: Callable[[], _T]) -> _T:
    """Do the work beside the main thread, so that Ctrl-C ends it; DuckDB alone does not always notice."""
    with ThreadPoolExecutor(1) as beside:
        future = beside.submit(work)
        try:
            return future.result()
        except BaseException:
            # Again and again: an interruption that comes before the query begins is lost.
            while not future.done():
                connection.interrupt()
                wait([future], timeout=0.05)
            raise


def _is_read_only(connection: duckdb.DuckDBPyConnection, statement: duckdb.Statement) -> bool:
    """Tell whether a statement only reads; an explained or a pivot statement is looked into."""
    text = statement.query
    try:
        kind = statement.type
    except (
        ValueError
    ):  # DuckDB has kinds that its Python package has no name for, such as `update extensions`
        return False
    if kind == duckdb.StatementType.EXPLAIN:
        prefix = _EXPLAIN.match(text)
        inner = connection.extract_statements(text[prefix.end() :]) if prefix else []
        return len(inner) == 1 and inner[0].type == duckdb.StatementType.SELECT
    if kind == duckdb.StatementType.MULTI:
        return _PIVOT.match(text) is not None
    if kind == duckdb.StatementType.PRAGMA:
        return _PRAGMA.match(text) is not None
    return bool(kind == duckdb.StatementType.SELECT)


def _query_error(connection: duckdb.DuckDBPyConnection, error: duckdb.Error | UnicodeDecodeError) -> U1Error:
    todo = "see docs/lake.md; of a damaged file delete it and its cell's file in cells/, then sweep again"
    if isinstance(error, duckdb.CatalogException):
        todo = f"the views are {', '.join(sorted(views.view_files()))}"
    elif isinstance(error, duckdb.BinderException):
        todo = "`describe <view>` lists its columns; see docs/lake.md"
    elif isinstance(error, duckdb.PermissionException):
        todo = "ask the lake's own tables and views: nothing else is opened, no link out of the lake followed"
    elif "not provided for the following parameters" in str(error):
        todo = "give each one a value: `--param split=query`"
    said = error.object.decode(errors="replace") if isinstance(error, UnicodeDecodeError) else str(error)
    return U1Error("a query DuckDB can run", _first_line(said), todo)


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else "nothing"
