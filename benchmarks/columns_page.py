"""docs/columns.md: in which file and line every public column is computed. `make columns` writes it.

A column is followed from the last line of its view through what it merely copies, view by view, to the line
that names it for the first time: an expression's, or that of a macro's call. A column that nothing computes
is stored: it leads to its table, which docs/lake.md describes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import sqlglot
from sqlglot import exp

from u1core.lake.schema import SCHEMAS
from u1core.lake.views import LAYERS, read_folder, view_paths

PAGE = Path(__file__).resolve().parents[1] / "docs" / "columns.md"
HEAD = """\
# Where every column is computed

Written by `make columns` from the SQL itself; a test holds it. One row per view and place: the file and the
line that name the column first, or the table of the lake that stores it ([lake.md](lake.md#tables)), which
Python fills.
"""


class Place(NamedTuple):
    """Where a column comes from: a SQL file and its line, or a table of the lake and no line."""

    name: str
    line: int = 0

    def __str__(self) -> str:
        if not self.line:
            return f"table [{self.name}](lake.md#{self.name})"
        return f"[{self.name}:{self.line}](../{self.name}#L{self.line})"


class Scope(NamedTuple):
    """A SQL file's path and the steps that its text names."""

    path: str
    steps: dict[str, exp.Query]


def page() -> str:
    """Return the text of docs/columns.md."""
    return HEAD + "".join(map(_section, LAYERS))


def _section(layer: str) -> str:
    lines = [f"\n## {layer}\n\n| view | columns | computed in |\n|---|---|---|\n"]
    for view, path in view_paths().items():
        if Path(path).parent.name == layer:
            found = sorted(columns(view).items(), key=lambda item: item[1])
            for place, group in groupby(found, key=lambda item: item[1]):
                names = ", ".join(f"`{name}`" for name, _ in group)
                lines.append(f"| {view} | {names} | {place} |\n")
    return "".join(lines)


@functools.cache
def columns(view: str) -> dict[str, Place]:
    """Return every column of a view, in order, with the place that computes it."""
    path = view_paths()[view]
    query = sqlglot.parse_one(read_folder("views")[view], dialect="duckdb")
    return _of_query(query, Scope(path, {}))


def _of_query(query: exp.Expression, scope: Scope) -> dict[str, Place]:
    for step in query.ctes:
        scope.steps[step.alias] = step.this
    if isinstance(query, exp.Union):
        return _of_query(query.right, scope) | _of_query(query.left, scope)
    if isinstance(query, exp.Subquery):
        return _of_query(query.this, scope)
    sources = dict(_sources(query, scope))
    return {name: place for item in query.expressions for name, place in _of_item(item, sources, scope)}


def _sources(query: exp.Expression, scope: Scope) -> Iterator[tuple[str, dict[str, Place]]]:
    """Yield what a query reads by the name that it is read under; semi joins give no columns."""
    if query.args.get("from_"):
        yield _source(query.args["from_"].this, scope)
    for join in query.args.get("joins", ()):
        if join.args.get("kind") != "SEMI":
            yield _source(join.this, scope)


def _source(table: exp.Expression, scope: Scope) -> tuple[str, dict[str, Place]]:
    alias = table.args.get("alias")
    if alias and alias.columns:
        return table.alias, {column.name: Place(scope.path, _line(column)) for column in alias.columns}
    if isinstance(table, exp.Subquery):
        return table.alias, _of_query(table.this, scope)
    if isinstance(table.this, exp.Anonymous):
        given, *_ = table.this.expressions
        added = {"q": Place(scope.path, _line(given))} if table.this.name == "benjamini_hochberg" else {}
        return table.alias_or_name, _of_relation(given.table, given.name, scope) | added
    return table.alias_or_name, _of_relation(table.db, table.name, scope)


def _of_relation(schema: str, name: str, scope: Scope) -> dict[str, Place]:
    if schema == "lake":
        return dict.fromkeys(SCHEMAS[name].names, Place(name))
    if name in scope.steps:
        earlier = list(scope.steps)
        known = {step: scope.steps[step] for step in earlier[: earlier.index(name)]}
        return _of_query(scope.steps[name], Scope(scope.path, known))
    return columns(name)


def _of_item(
    item: exp.Expression, sources: dict[str, dict[str, Place]], scope: Scope
) -> Iterator[tuple[str, Place]]:
    """Yield the columns that one item of a select gives."""
    star = item if isinstance(item, exp.Star) else item.this
    if isinstance(star, exp.Star):
        table = item.text("table") if isinstance(item, exp.Column) else ""
        yield from _of_star(star, [sources[table]] if table else list(sources.values()), scope)
        return
    inner = item.unalias()
    name = item.alias_or_name
    here = Place(scope.path, _line(item.args.get("alias") or item))
    if isinstance(inner, exp.Column):
        read = [sources.get(inner.table, {})] if inner.table else sources.values()
        # What no source has is a whole row, or a field of one: named here.
        here = next((given[inner.name] for given in read if inner.name in given), here)
    yield name, here


def _of_star(star: exp.Star, given: list[dict[str, Place]], scope: Scope) -> Iterator[tuple[str, Place]]:
    left_out = {column.name for column in star.args.get("except_") or ()}
    renamed = {one.this.name: one.args["alias"] for one in star.args.get("rename") or ()}
    found = {name: place for columns_ in reversed(given) for name, place in columns_.items()}
    for name, place in found.items():
        if name in renamed:
            # What a macro adds under a general name is named here.
            yield renamed[name].name, Place(scope.path, _line(renamed[name]))
        elif name not in left_out:
            yield name, place


def _line(node: exp.Expression) -> int:
    """Return the line that an identifier stands on."""
    return next(int(one.meta["line"]) for one in node.walk() if "line" in one.meta)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
