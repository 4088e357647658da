"""`u1 sql`: read-only DuckDB over the lake's views."""

from __future__ import annotations

import contextlib
import csv
import functools
import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from duckdb.sqltypes import DuckDBPyType
from rich.markup import escape
from rich.table import Table

from flows.ask import ask
from flows.cli.terminal import Console
from u1core.common.errors import U1Error
from u1core.common.paths import at_home
from u1core.common.text import printable
from u1core.lake import describe, guard
from u1core.lake.store import Lake

_SHOWN_ROWS = 200
_HISTORY_LINES = 2000


def read_file(path: Path) -> str:
    """Read a query from a file."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as e:
        raise U1Error("-f to name a text file with a query", f"{path} ({e})", "check the name") from e


def answer(lake: Path | str, query: str, params: dict[str, Any], format_: str, out: Console) -> None:
    """Run one query and print its rows, each value as DuckDB writes and reads it."""
    rows = ask(lake, query, params, _SHOWN[format_])
    if format_ == "table":
        _print_table(rows, out)
    elif format_ == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")  # what a shell compares has no carriage return
        writer.writerow(rows.column_names)
        for row in _rows(rows):
            writer.writerow(map(_visible, row) if sys.stdout.isatty() else row)
    elif format_ == "json":
        _print_json(rows)
    else:
        if sys.stdout.isatty():
            raise U1Error("--format parquet to be redirected", "a terminal", "add > answer.parquet")
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink)
        sys.stdout.buffer.write(sink.getvalue())


def _for_table(type_: DuckDBPyType) -> str:
    return "{}" if type_.id in ("float", "double") else "{}::varchar"


def _for_json(type_: DuckDBPyType) -> str:
    # What has no type is not even computed on its way to JSON.
    return "{}::varchar" if type_.id == "null" else "to_json({})::varchar"


def _for_parquet(type_: DuckDBPyType) -> str:
    return "{}::varchar" if _is_less_in_parquet(type_) else "{}"


def _is_less_in_parquet(type_: DuckDBPyType) -> bool:
    """Tell whether Arrow or Parquet have no such type, or one that loses some of it."""
    if type_.id not in ("list", "array", "map", "struct", "tuple"):
        return type_.id in _LESS_IN_PARQUET
    inside = [child for _, child in type_.children if isinstance(child, DuckDBPyType)]
    return not inside or any(map(_is_less_in_parquet, inside))


_LESS_IN_PARQUET = frozenset(
    ("uhugeint", "bignum", "bit", "interval", "time with time zone", "union", "variant", "geometry")
)


_SHOWN = {
    "table": _for_table,
    "csv": lambda _: "{}::varchar",
    "json": _for_json,
    "parquet": _for_parquet,
}


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


def _print_json(rows: pa.Table) -> None:
    """Print one object a row, of values that DuckDB wrote as JSON."""
    names = [json.dumps(name) for name in rows.column_names]
    objects = []
    for row in _rows(rows):
        values = (_JSON_TOKEN.sub(_as_json, value or "null") for value in row)
        objects.append(",\n".join(map("  {}: {}".format, names, values)))
    inside = ",\n".join(f" {{\n{members}\n }}" for members in objects)
    sys.stdout.write(f"[\n{inside}\n]\n" if objects else "[]\n")


_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\b(?:nan|inf(?:inity)?)\b', re.I)
"""A string, or a number that JSON has not."""


def _as_json(token: re.Match[str]) -> str:
    return json.dumps(json.loads(token[0])) if token[0].startswith('"') else "null"


def _print_table(rows: pa.Table, out: Console) -> None:
    table = Table(*map(escape, rows.column_names))
    for row in _rows(rows.slice(0, _SHOWN_ROWS)):
        table.add_row(*map(_cell, row))
    # A pipe has no width: never cut a figure there.
    (out if out.is_terminal else Console(width=10_000)).print(table)
    if len(rows) > _SHOWN_ROWS:
        out.print(f"{_SHOWN_ROWS} of {len(rows)} rows; --format csv prints all")


def _visible(value: str | None) -> str | None:
    return value and printable(value)


def _cell(value: str | float | None) -> str:
    if value is None:
        return "[dim]null[/]"
    return escape(value) if isinstance(value, str) else f"{value:.6g}"


def shell(lake: Path | str, out: Console) -> None:
    """Ask queries in a loop; at a terminal a mistake is a line and the shell goes on, from a pipe it ends."""
    Lake.open(lake)
    if not sys.stdin.isatty():
        for query in guard.statements(sys.stdin.read()):
            answer(lake, query, {}, "table", out)
        return
    out.print(
        f"DuckDB over {lake}, read-only. End a query with ; and leave with Ctrl-D. Tab completes. "
        "Try `show tables;`",
        highlight=False,
        markup=False,
    )
    # `u1` takes these as Ctrl-C, after which a shell would go on.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    with _line_editing():
        while (typed := _typed()) is not None:
            try:
                answer(lake, typed, {}, "table", out)
            except U1Error as e:
                out.print(f"u1: {e}", highlight=False, markup=False)
            except KeyboardInterrupt:
                out.print("u1: interrupted; the shell goes on, Ctrl-D leaves it", highlight=False)


def _typed() -> str | None:
    """Read lines up to a semicolon; None to leave. Ctrl-C throws away what was typed."""
    lines: list[str] = []
    while not lines or not lines[-1].rstrip().endswith(";"):
        try:
            line = input("...> " if lines else "u1> ")
        except EOFError:
            return None
        except KeyboardInterrupt:
            print()
            lines = []
            continue
        if not lines and line.strip().rstrip(";") in ("exit", "quit", ".exit", ".quit"):
            return None
        if lines or line.strip():
            lines.append(line)
    return "\n".join(lines)


@contextlib.contextmanager
def _line_editing() -> Iterator[None]:
    """Edit lines, recall those of earlier sessions and complete by Tab, where Python has readline."""
    try:
        import readline
    except ImportError:
        yield
        return
    libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
    readline.set_completer(lambda text, state: dict(enumerate(completions(text))).get(state))
    readline.set_history_length(_HISTORY_LINES)
    # A user without a home has no history.
    with contextlib.suppress(OSError, U1Error):
        readline.read_history_file(_history())
    try:
        yield
    finally:
        with contextlib.suppress(OSError, U1Error):
            history = _history()
            history.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(history)


def _history() -> Path:
    return at_home(os.environ.get("XDG_STATE_HOME") or "~/.local/state") / "u1sweep/sql_history"


def completions(text: str) -> list[str]:
    """Return the keywords, tables, views and columns that begin with a text, or with what follows its dot.

    Example:
        >>> completions("theta_image_s")
        ['theta_image_sd_rad']
        >>> completions("u.theta_image_s")
        ['u.theta_image_sd_rad']
    """
    found = [word for word in _words() if word.startswith(text.lower())]
    alias, dot, start = text.rpartition(".")
    if dot and not found:
        found = [f"{alias}.{word}" for word in _words() if word.startswith(start.lower())]
    return found


@functools.cache
def _words() -> list[str]:
    return describe.words()
