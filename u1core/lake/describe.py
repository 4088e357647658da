"""What relations and columns mean, from headers and schemas, as comments that DuckDB shows."""

from __future__ import annotations

from collections import ChainMap

import duckdb

from u1core.lake.connect import connect, quoted, sql_type
from u1core.lake.schema import COLUMNS, Column
from u1core.lake.views import WORD, read_columns, read_header, view_files

_SHOWS_COMMENTS = frozenset({"comment", "duckdb_columns", "duckdb_tables", "duckdb_views"})


_RELATIONS = """
    select 'view' as kind, schema_name, view_name from duckdb_views() where not internal
    union all select 'table', schema_name, table_name from duckdb_tables()
"""


_TYPED_COLUMNS = """
    select if(schema_name = 'lake', 'lake.', '') || table_name as relation, list((column_name, data_type))
    from duckdb_columns() where not internal group by relation
"""


def shows_comments(query: str) -> bool:
    """Tell whether a query may show the descriptions that `comment` writes, which takes a moment."""
    return not _SHOWS_COMMENTS.isdisjoint(WORD.findall(query.lower()))


def comment(connection: duckdb.DuckDBPyConnection) -> None:
    """Describe every table, view and column there is, so that duckdb_columns() and duckdb_views() show it.

    A view is described by its header, the columns of a table by its schema. A column of a view is described
    by the view's header, else like the one of its name and type in what the view reads.
    """
    texts = view_files()
    headers = {name: read_header(text) for name, text in texts.items()}
    described = {
        f"lake.{table}": {(c.name, sql_type(c.type).upper()): _with_unit(c) for c in columns}
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
        text = quoted(f"{header['Question']} {grain}".strip())
        script.append(f"comment on {kind} {schema}.{name} is {text}")
    for relation, columns in described.items():
        for (column, _), text in columns.items():
            script.append(f'comment on column {relation}."{column}" is {quoted(text)}')
    connection.execute(";".join(script))


def _with_unit(column: Column) -> str:
    return column.description + (f" [{column.unit}]" if column.unit not in ("", "1") else "")


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
