"""The report's queries select, filter and count, and nothing more: SQL is parsed, not read."""

import json

import duckdb
import pytest

from u1core.lake.connect import connect
from u1core.report.data import QUERIES, read

PLAIN = {"COLUMN_REF", "STAR", "CONSTANT", "COMPARISON", "CONJUNCTION", "SUBQUERY"}
"""Classes of DuckDB's expressions that compute nothing."""
LOGIC = {"COMPARE_IN", "COMPARE_NOT_IN", "OPERATOR_NOT", "OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL"}


def nodes(tree):
    if isinstance(tree, dict):
        yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for branch in tree:
            yield from nodes(branch)


def computed(query):
    """Name what a query computes: functions, arithmetic and windows; empty where it selects and filters."""
    with duckdb.connect() as connection:
        select = "select json_serialize_sql($query::varchar)"
        (text,) = connection.execute(select, {"query": query}).fetchone()
    parsed = json.loads(text)
    assert not parsed["error"], parsed
    found = [node for node in nodes(parsed) if "class" in node]
    assert found
    return {
        node.get("function_name") or node["type"]
        for node in found
        if node["class"] not in PLAIN and node["type"] not in LOGIC
    }


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_selects_filters_and_counts(name):
    assert computed(QUERIES[name]) <= {"count", "count_star"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("select median(a) from t", {"median"}),
        ("select a from t where a + 1 > 2", {"+"}),
        ("select a from (select a::int as a from t)", {"CAST"}),
        ("select sum(a) over () from t", {"WINDOW_AGGREGATE"}),
        ("select case when a then b end from t", {"CASE_EXPR"}),
        ("select a from t where a in (select max(b) from u) order by floor(a)", {"max", "floor"}),
        ("select distinct a, count(*) from t where not a in (1, 2) and b is null group by a", {"count_star"}),
    ],
)
def test_what_a_query_computes_is_found(query, found):
    named = computed(query)
    assert found <= named | {"WINDOW_AGGREGATE", "CAST", "CASE_EXPR"}, named
    assert bool(found - {"count_star"}) == bool(named - {"count_star"})


def test_every_query_runs_on_an_empty_lake():
    assert read(connect(None)).tables.keys() == QUERIES.keys()
