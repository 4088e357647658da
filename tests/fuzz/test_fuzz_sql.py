"""Whatever is asked of `u1 sql`: rows, or a U1Error of one line; nothing is ever written."""

import pyarrow as pa
import pytest
from fuzzing import answer, damaged, fuzzed, words
from hypothesis import given
from hypothesis import strategies as st

from u1core.lake import views
from u1core.lake.connect import connect
from u1core.lake.guard import run_query
from u1core.lake.views import analysis

WORDS = [
    "select",
    "from",
    "where",
    "group",
    "by",
    "all",
    "order",
    "limit",
    "distinct",
    "with",
    "as",
    "union",
    "except",
    "join",
    "on",
    "using",
    "having",
    "describe",
    "show",
    "summarize",
    "explain",
    "analyze",
    "pivot",
    "unpivot",
    "values",
    "pragma",
    "set",
    "reset",
    "use",
    "call",
    "load",
    "insert",
    "update",
    "delete",
    "create",
    "drop",
    "alter",
    "copy",
    "export",
    "import",
    "attach",
    "detach",
    "install",
    "begin",
    "commit",
    "table",
    "view",
    "temp",
    "macro",
    "function",
    "schema",
    "index",
    "sequence",
    "type",
    "secret",
    "into",
    "to",
    "recursive",
    "lateral",
    "null",
    "true",
    "false",
    "case",
    "when",
    "then",
    "else",
    "end",
    "cast",
    "between",
    "in",
    "like",
    "is",
    "not",
    "and",
    "or",
    "over",
    "partition",
    "cells",
    "records",
    "class_bias",
    "class_directions",
    "vectors",
    "claims",
    "lake.records",
    "tables",
    "duckdb_tables()",
    "count(*)",
    "sum(",
    "median(",
    "list(",
    "struct_pack(",
    "unnest(",
    "range(3)",
    "getenv(",
    "current_setting(",
    "query(",
    "$split",
    "(",
    ")",
    ",",
    ";",
    "*",
    "+",
    "-",
    "/",
    "::",
    ".",
    "=",
    "<>",
    "[",
    "]",
    "{",
    "}",
    "--",
    "/*",
    "*/",
    "'",
    '"',
    "0",
    "1",
    "-1",
    "1.5",
    "1e400",
    "99999999999999999999",
    "'x'",
    '"x"',
]
SOUP = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)
QUERIES = [text.encode() for text in (*views.view_files().values(), *map(analysis, views.analyses()))]
SHORT = [text for text in QUERIES if len(text) < 1500]


@pytest.fixture(scope="module")
def connection():
    with connect(None) as opened:
        yield opened


@fuzzed
@given(
    st.one_of(SOUP, words, damaged(SHORT).map(lambda text: text.decode(errors="replace"))),
    st.one_of(
        st.none(),
        st.just({"split": "query"}),
        st.dictionaries(words, st.one_of(words, st.none()), max_size=2),
    ),
)
def test_any_query(connection, query, params):
    rows = answer(run_query, connection, query, params)
    assert rows is None or isinstance(rows, pa.Table)
    # The connection is as it was: an error in it would be every later query's.
    assert run_query(connection, "select count(*) as n from lake.records").to_pylist() == [{"n": 0}]
