"""DuckDB over the lake: raw tables in schema `lake`, the public views in `main`, read-only queries.

Nothing is stored: a connection lives in memory and reads Parquet, so it can be opened while a sweep
writes. It opens no file outside the lake, and its settings are locked. The SQL itself lies in sql/ (macros,
views, analyses, checks); `docs/lake.md` describes it.
"""

from __future__ import annotations

import functools
import os
import re
import tempfile
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from u1core.errors import U1Error
from u1core.lake import index
from u1core.lake.storage import WORK, open_storage, resolve
from u1core.schema import CELL_TABLES, COLUMNS, SCHEMAS, Column

_T = TypeVar("_T")

_DUCKDB_ERRORS = (duckdb.Error, UnicodeDecodeError)
"""What DuckDB raises; the second where its message quotes a damaged file."""

HEADER_KEYS = ("Question", "Grain", "Reads", "Params", "Columns")
"""Of every SQL file, in this order; Columns, which describes what a view derives, where there is any."""

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
    pa.timestamp("us", tz="UTC"): "timestamp with time zone",
}

_WORD = re.compile(r"\w+")
_ASKS_WHAT_THERE_IS = frozenset(
    {
        *("show", "describe", "desc", "summarize", "pragma", "information_schema", "pg_catalog"),
        *("duckdb_columns", "duckdb_tables", "duckdb_views", "duckdb_dependencies", "sqlite_master"),
    }
)
"""Words of queries whose answer depends on which views there are."""

_SHOWS_COMMENTS = frozenset({"comment", "duckdb_columns", "duckdb_tables", "duckdb_views"})
_RELATIONS = """
    select 'view' as kind, schema_name, view_name from duckdb_views() where not internal
    union all select 'table', schema_name, table_name from duckdb_tables()
"""
_TYPED_COLUMNS = """
    select if(schema_name = 'lake', 'lake.', '') || table_name as relation, list((column_name, data_type))
    from duckdb_columns() where not internal group by relation
"""
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


def read_columns(text: str) -> dict[str, str]:
    r"""Return what the header of a SQL file says of columns, as {name: description}.

    Example:
        >>> read_columns("-- Columns: n: images [images]; k: of them,\n--   at most: 5\nselect 1")
        {'n': 'images [images]', 'k': 'of them, at most: 5'}
    """
    entries = read_header(text).get("Columns")
    return dict(entry.split(": ", 1) for entry in entries.split("; ")) if entries else {}


def reads(text: str) -> set[str]:
    """Return the relations that a SQL file says it reads, such as {'cells', 'lake.records'}."""
    value = read_header(text).get("Reads", "nothing")
    return set() if value == "nothing" else {name.strip() for name in value.split(",")}


def view_files() -> dict[str, str]:
    """Return the text of every view by name, each after the views that it reads."""
    texts = _texts("views")
    graph = {name: {other for other in reads(text) if other in texts} for name, text in texts.items()}
    return {name: texts[name] for name in TopologicalSorter(graph).static_order()}


def views_named(query: str) -> list[str]:
    """Return the views that a query may read: those that it names, or all where it asks what there is."""
    texts = view_files()
    words = set(_WORD.findall(query.lower()))
    return list(texts) if words & _ASKS_WHAT_THERE_IS else [name for name in texts if name in words]


def shows_comments(query: str) -> bool:
    """Tell whether a query may show the descriptions that `comment` writes, which takes a moment."""
    return not _SHOWS_COMMENTS.isdisjoint(_WORD.findall(query.lower()))


def connect(root: Path | str | None, needed: Iterable[str] | None = None) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB over a lake.

    Args:
        root: The lake's folder or URI; None gives empty raw tables (real ones, for tests to insert into).
        needed: The views that will be asked, from `views_named`; None for all, which takes most of a second.

    Returns:
        A connection with one relation per table in schema `lake` and the public views in `main`. A table
        without a file yet is typed and empty, and stays so until the next connect. Whatever is asked, it
        opens files of this lake only and keeps its settings.

    Raises:
        U1Error: A file of the lake is damaged.
    """
    connection = duckdb.connect(
        config={
            # Nothing is fetched from anywhere, whatever a query names.
            "autoinstall_known_extensions": False,
            "temp_directory": str(Path(tempfile.gettempdir()) / f"u1-duckdb-{os.getuid()}"),
        }
    )
    address = None if root is None else resolve(root)
    with one_line_errors(connection):
        _bound_memory(connection)
        _create_relations(connection, address, needed)
        _lock(connection, address)
    return connection


def _bound_memory(connection: duckdb.DuckDBPyConnection) -> None:
    """Lower the memory limit to MEMORY_MIB, unless DuckDB found a machine or a container with less."""
    query = "select value from duckdb_settings() where name = 'memory_limit'"
    number, unit = str(connection.execute(query).fetchall()[0][0]).split()
    mib_per_unit = {"GiB": 2**10, "TiB": 2**20}.get(unit, 0)
    if float(number) * mib_per_unit > MEMORY_MIB:
        connection.execute(f"set memory_limit = '{MEMORY_MIB}MiB'")


def _create_relations(
    connection: duckdb.DuckDBPyConnection, address: Path | str | None, needed: Iterable[str] | None
) -> None:
    # Timestamps are stored in UTC and shown so, on every machine.
    connection.execute("set timezone = 'UTC'")
    # The bar would be printed among the rows.
    connection.execute("set enable_progress_bar = false")
    connection.execute("create schema lake")
    found = _first_files(connection, address)
    for table, schema in SCHEMAS.items():
        connection.execute(_raw(address, table, schema, found.get(table)))
    for text in _texts("macros").values():
        connection.execute(text)
    for name, text in _with_their_views(needed).items():
        connection.execute(f"create view {name} as\n{text}")


def _lock(connection: duckdb.DuckDBPyConnection, address: Path | str | None) -> None:
    """Shut everything outside the lake, variables of this process included, and lock the settings."""
    folders: list[str] = []
    if isinstance(address, Path):
        # DuckDB looks at the escaped pattern and at each file it finds; a table may be a link to a folder.
        names = (str(address), *(str(address / name) for name in (WORK, *SCHEMAS)))
        folders = sorted({*names, *map(_glob_escape, names)})
    elif address is not None:
        from u1core.lake import remote

        folders = [f"{remote.PROTOCOL}://"]
    connection.execute(f"""
        set allowed_directories = [{", ".join(map(_quoted, folders))}];
        set python_enable_replacements = false;
        set enable_external_access = false;
        set lock_configuration = true;
    """)


def _first_files(connection: duckdb.DuckDBPyConnection, address: Path | str | None) -> dict[str, str]:
    """Return one file of each table that has some, below the lake's root."""
    if address is None:
        return {}
    if isinstance(address, Path):
        firsts = {table: next((address / table).rglob("*.parquet"), None) for table in SCHEMAS}
        return {table: str(path.relative_to(address)) for table, path in firsts.items() if path}
    # Only lakes that are not on a disk pay for this import.
    from u1core.lake import remote

    files = remote.LakeFiles(open_storage(address))
    connection.register_filesystem(files)
    found = {table: files.glob(f"{remote.PROTOCOL}://{table}/**/*.parquet") for table in SCHEMAS}
    return {table: names[0] for table, names in found.items() if names}


def _full_name(address: Path | str, name: str) -> str:
    """Return how DuckDB names a file of the lake."""
    if isinstance(address, Path):
        return str(address / name)
    from u1core.lake import remote

    return f"{remote.PROTOCOL}://{name}"


def comment(connection: duckdb.DuckDBPyConnection) -> None:
    """Describe every table, view and column there is, so that duckdb_columns() and duckdb_views() show it.

    A view is described by its header, the columns of a table by its schema. A column of a view is described
    by the view's header, else like the one of its name and type in what the view reads.
    """
    texts = view_files()
    headers = {name: read_header(text) for name, text in texts.items()}
    described = {
        f"lake.{table}": {(c.name, _sql_type(c.type).upper()): _with_unit(c) for c in columns}
        for table, columns in COLUMNS.items()
    }
    typed = dict(connection.execute(_TYPED_COLUMNS).fetchall())
    for name, text in texts.items():
        columns, own = typed.get(name, ()), read_columns(text)
        # What is read first has the last word.
        known = ChainMap(
            {column: own[column[0]] for column in columns if column[0] in own},
            *(described.get(other, {}) for other in headers[name]["Reads"].split(", ")),
        )
        described[name] = {column: known[column] for column in columns if column in known}
    script = []
    for kind, schema, name in connection.execute(_RELATIONS).fetchall():
        raw = "All rows, those of superseded and unfinished cells too"
        header = headers.get(name, {"Question": ""})
        grain = raw if schema == "lake" else f"One row per {header['Grain']}"
        text = _quoted(f"{header['Question']} {grain}".strip())
        script.append(f"comment on {kind} {schema}.{name} is {text}")
    for relation, columns in described.items():
        for (column, _), text in columns.items():
            script.append(f'comment on column {relation}."{column}" is {_quoted(text)}')
    connection.execute(";".join(script))


def _with_unit(column: Column) -> str:
    return column.description + (f" [{column.unit}]" if column.unit not in ("", "1") else "")


def _with_their_views(needed: Iterable[str] | None) -> dict[str, str]:
    """Return the text of the views needed (None: all) and of those they read, each after what it reads."""
    texts = view_files()
    wanted = set(texts if needed is None else needed)
    for name in reversed(texts):
        wanted |= reads(texts[name]) if name in wanted else set()
    return {name: text for name, text in texts.items() if name in wanted}


def _raw(address: Path | str | None, table: str, schema: pa.Schema, first: str | None) -> str:
    """Return SQL that creates lake.<table>: a view over its files, or an empty table where it has none.

    Files of other cells than a query asks for by dataset, model or variant are not even opened: their folders
    say so. What the folders are called and that they hold text is declared, not inferred.
    """
    if address is None or first is None:
        columns = ", ".join(f"{field.name} {_sql_type(field.type)}" for field in schema)
        return f"create table lake.{table} ({columns})"
    if table == "cells" and (outside := index.outside_index(open_storage(address))):
        return _indexed_cells(address, *outside)
    folders = re.findall(r"(\w+)=[^/]*/", first) if table in CELL_TABLES else []
    types = ", ".join(f"{name}: varchar" for name in folders)
    partitioning = f"hive_types = {{{types}}}" if folders else "hive_partitioning = false"
    pattern = f"{_glob_escape(_full_name(address, table))}/**/*.parquet"
    columns = ", ".join(f'"{name}"' for name in schema.names)
    # A view takes no bound parameter, so names of files are quoted into the SQL.
    return (
        f"create view lake.{table} as select {columns} from read_parquet({_quoted(pattern)}, {partitioning})"
    )


def _indexed_cells(address: Path | str, new: list[str], void: list[str]) -> str:
    """Return SQL that creates lake.cells over the index and the files beside it: the cells of this moment."""
    columns = ", ".join(f'"{name}"' for name in SCHEMAS["cells"].names)
    indexed = _quoted(_glob_escape(_full_name(address, index.INDEX)))
    others = ", ".join(map(_quoted, [*new, *void])) or "''"
    query = f"select {columns} from read_parquet({indexed}) where file not in ({others})"
    if new:
        files = ", ".join(_quoted(_glob_escape(_full_name(address, name))) for name in new)
        query += f" union all select {columns} from read_parquet([{files}], hive_partitioning = false)"
    return f"create view lake.cells as {query}"


def _sql_type(type_: pa.DataType) -> str:
    """Return the DuckDB type that Parquet of this Arrow type is read as."""
    if pa.types.is_list(type_):
        return f"{_sql_type(type_.value_type)}[]"
    return _SQL_TYPES[type_]


def _quoted(text: str) -> str:
    """Return a text as SQL, for statements that take no bound parameter."""
    return "'" + text.replace("'", "''") + "'"


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
        KeyboardInterrupt: Ctrl-C; the connection serves on.
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
    except _DUCKDB_ERRORS as error:
        raise _query_error(connection, error) from error


def _execute(connection: duckdb.DuckDBPyConnection, sql: str, params: Mapping[str, Any] | None) -> pa.Table:
    # The transaction is the second fence: whatever slipped past the first can't write.
    connection.execute("begin transaction read only")
    try:
        values = dict(params) if params else None
        return _interruptible(connection, lambda: connection.sql(sql, params=values).to_arrow_table())
    finally:
        connection.execute("rollback")


def _interruptible(connection: duckdb.DuckDBPyConnection, work: Callable[[], _T]) -> _T:
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
        todo = f"the views are {', '.join(sorted(view_files()))}"
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


def words() -> list[str]:
    """Return what a query is made of, sorted: SQL's keywords, raw tables, views and all their columns."""
    with connect(None) as connection:
        rows = connection.execute("""
            select keyword_name from duckdb_keywords()
            union select column_name from duckdb_columns() where not internal
            union select view_name from duckdb_views() where not internal
            union select 'lake.' || table_name from duckdb_tables()
        """).fetchall()
    return sorted(str(word) for (word,) in rows)


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
        create = f"create table _{name} as select * from {name}"
        _interruptible(connection, functools.partial(connection.execute, create))
        connection.execute(f"drop view {name}")
        connection.execute(f"alter table _{name} rename to {name}")


def _texts(kind: str) -> dict[str, str]:
    """Return the SQL files of one folder by stem, sorted."""
    folder = sql_dir() / kind
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.sql"))}
