"""The SQL files: their headers, which view reads which, and what a query needs of them.

`sql/` holds macros, views in layers, analyses and checks; docs/lake.md describes them.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterable
from graphlib import TopologicalSorter
from pathlib import Path

from u1core.common.errors import U1Error

HEADER_KEYS = ("Question", "Grain", "Reads", "Params", "Columns")
"""Of every SQL file, in this order; Columns, which describes what a view derives, where there is any."""


LAYERS = ("rows", "images", "classes", "cells", "training", "claims")
"""The folders of sql/views in reading order: a view reads its own layer and the layers before it.

Tables as they are, one row per image, what classes do, what a cell comes to, the training of networks, the
paper's claims. Training reads statistics of the cells whose weights were trained here, and one claim is about
training, so it stands between the two.
"""


WORD = re.compile(r"\w+")


_SAYS_NOTHING = re.compile(r"""('[^']*'|"[^"]*")|--[^\n]*|/\*.*?\*/|\s+""", re.DOTALL)
"""Texts and quoted names, which are kept; comments and white space, of which a space is left."""


_ASKS_WHAT_THERE_IS = frozenset(
    {
        *("show", "describe", "desc", "summarize", "pragma", "information_schema", "pg_catalog"),
        *("duckdb_columns", "duckdb_tables", "duckdb_views", "duckdb_dependencies", "sqlite_master"),
    }
)
"""Words of queries whose answer depends on which views there are."""


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
    """Return the text of every view by name, each after the views that it reads; alike in every process."""
    files = read_folder("views")
    graph = {name: sorted(reads(text) & files.keys()) for name, text in files.items()}
    return {name: files[name] for name in TopologicalSorter(graph).static_order()}


def views_read_by(names: Iterable[str]) -> dict[str, str]:
    """Return the text of some views and of all that they read, each after what it reads."""
    files = view_files()
    wanted = set(names)
    for name in reversed(files):
        wanted |= reads(files[name]) if name in wanted else set()
    return {name: text for name, text in files.items() if name in wanted}


@functools.cache
def rules_sha256() -> str:
    """Return what the rules of all verdicts are known by: the sha256 of the SQL that decides them.

    That is the views of claims and of claims by cell, whatever these read, and all macros. A view that no
    verdict reads (the first edition), a comment, or a line broken elsewhere is no other rule.
    """
    texts = views_read_by(("claims", "claims_by_cell"))
    return _sha256_of_sql({"views": texts, "macros": read_folder("macros")})


def _sha256_of_sql(files: dict[str, dict[str, str]]) -> str:
    r"""Hash SQL texts by kind and name.

    Example:
        >>> a = _sha256_of_sql({"views": {"v": "-- what?\nselect '--  a' as b"}})
        >>> a == _sha256_of_sql({"views": {"v": "select\n    '--  a' as b  -- that"}})
        True
        >>> a == _sha256_of_sql({"views": {"v": "select '-- a' as b"}})
        False
    """
    said = {
        kind: {
            name: _SAYS_NOTHING.sub(lambda part: part[1] or " ", text).strip() for name, text in texts.items()
        }
        for kind, texts in files.items()
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def view_paths() -> dict[str, str]:
    """Return where every view stands, by name: 'sql/views/<layer>/<name>.sql'."""
    root = sql_dir()
    return {name: f"sql/{path.relative_to(root).as_posix()}" for name, path in _paths("views").items()}


def views_named(query: str) -> list[str]:
    """Return the views that a query may read: those that it names, or all where it asks what there is."""
    names = list(view_files())
    words = set(WORD.findall(query.lower()))
    return names if words & _ASKS_WHAT_THERE_IS else [name for name in names if name in words]


def analysis(name: str) -> str:
    """Return the SQL text of one analysis.

    Raises:
        U1Error: There is no such analysis.
    """
    files = read_folder("analyses")
    if name not in files:
        raise U1Error("the name of an analysis", repr(name), f"choose one of {', '.join(files)}")
    return files[name]


def analyses() -> list[str]:
    """Return the names of all analyses, sorted."""
    return list(read_folder("analyses"))


def checks() -> dict[str, str]:
    """Return the SQL text of every check by name; a healthy lake gives none of them a row."""
    return read_folder("checks")


def read_folder(kind: str) -> dict[str, str]:
    """Return the SQL files of one folder and of those in it by stem, sorted."""
    return {name: path.read_text(encoding="utf-8") for name, path in _paths(kind).items()}


def _paths(kind: str) -> dict[str, Path]:
    return {path.stem: path for path in sorted((sql_dir() / kind).rglob("*.sql"), key=lambda path: path.stem)}
