"""`u1 sql`: read-only DuckDB over the lake's views."""

from __future__ import annotations

import contextlib
import csv
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.markup import escape
from rich.table import Table

from flows.terminal import Console
from u1core.errors import U1Error
from u1core.lake import sql
from u1core.lake.store import Lake
from u1core.text import printable

_SHOWN_ROWS = 200


def read_file(path: Path) -> str:
    """Read a query from a file."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as e:
        raise U1Error("-f to name a text file with a query", f"{path} ({e})", "check the name") from e


def parse_params(pairs: list[str], option: str = "--param") -> dict[str, Any]:
    """Parse name=value pairs; a value that reads as a number or true/false/null is one."""
    params = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise U1Error(f"{option} to be name=value", repr(pair), f"write for example {option} split=query")
        try:
            params[name] = json.loads(value)
        except ValueError:
            params[name] = value
    return params


def ask(lake: Path | str, query: str, params: dict[str, Any] | None = None) -> pa.Table:
    """Run one query over the views of a lake."""
    Lake.open(lake)
    with sql.connect(lake, sql.views_named(query)) as connection:
        return sql.run_query(connection, query, params)


def answer(lake: Path | str, query: str, params: dict[str, Any], format_: str, out: Console) -> None:
    """Run one query and print its rows."""
    rows = ask(lake, query, params)
    if format_ == "table":
        _print_table(rows, out)
    elif format_ == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(rows.column_names)
        for row in zip(*(column.to_pylist() for column in rows.columns), strict=True):
            writer.writerow(map(_shown, row) if sys.stdout.isatty() else row)
    elif format_ == "json":
        sys.stdout.write(json.dumps(rows.to_pylist(), default=str, indent=1) + "\n")
    else:
        if sys.stdout.isatty():
            raise U1Error("--format parquet to be redirected", "a terminal", "add > answer.parquet")
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink)
        sys.stdout.buffer.write(sink.getvalue())


def _print_table(rows: pa.Table, out: Console) -> None:
    table = Table(*map(escape, rows.column_names))
    for row in rows.slice(0, _SHOWN_ROWS).to_pylist():
        table.add_row(*(_cell(value) for value in row.values()))
    # A pipe has no width: never cut a figure there.
    (out if out.is_terminal else Console(width=10_000)).print(table)
    if len(rows) > _SHOWN_ROWS:
        out.print(f"{_SHOWN_ROWS} of {len(rows)} rows; --format csv prints all")


def _shown(value: object) -> object:
    return printable(value) if isinstance(value, str) else value


def _cell(value: object) -> str:
    if value is None:
        return "[dim]null[/]"
    if isinstance(value, float):
        return f"{value:.6g}"
    return escape(str(value))


def shell(lake: Path | str, out: Console) -> None:
    """Ask queries in a loop; at a terminal a mistake is a line and the shell goes on, from a pipe it ends."""
    Lake.open(lake)
    if not sys.stdin.isatty():
        for query in sql.statements(sys.stdin.read()):
            answer(lake, query, {}, "table", out)
        return
    out.print(
        f"DuckDB over {lake}, read-only. End a query with ; and leave with Ctrl-D. Try `show tables;`",
        markup=False,
    )
    # Line editing and history, where the terminal offers it.
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401
    lines: list[str] = []
    while True:
        try:
            line = input("u1> " if not lines else "...> ")
        except EOFError:
            return
        if not lines and line.strip() in ("exit", "quit", ".exit", ".quit", ""):
            if line.strip():
                return
            continue
        lines.append(line)
        if line.rstrip().endswith(";"):
            try:
                answer(lake, "\n".join(lines), {}, "table", out)
            except U1Error as e:
                out.print(f"u1: {e}", highlight=False, markup=False)
            lines = []
