"""What `u1 sql` prints parses back: every type of DuckDB, as table, CSV, JSON and Parquet."""

import contextlib
import csv
import io
import json
import math
from decimal import Decimal

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.cli import sql
from flows.cli.terminal import Console
from u1core.common.errors import U1Error
from u1core.lake.connect import connect, quoted
from u1core.lake.guard import run_query


@pytest.fixture(scope="module")
def printed():
    """Run a query over an empty lake; return what is printed."""
    connection = connect(None, ())

    def run(query, format_):
        out = io.TextIOWrapper(io.BytesIO(), newline="")
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
            patch.setattr(sql, "ask", lambda _, *asked: run_query(connection, *asked))
            sql.answer("", query, {}, format_, Console(width=10_000))
        out.flush()
        said = out.buffer.getvalue()
        return said if format_ == "parquet" else said.decode()

    return run


def loads(text):
    """Read JSON as strict readers do, numbers exactly."""
    return json.loads(text, parse_float=Decimal, parse_constant=pytest.fail)


def rows_of_csv(text):
    return list(csv.reader(io.StringIO(text, newline="")))


def cells_of_table(text):
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]


# -- values: (type, SQL, what JSON says) --------------------------------------------------------------------


def whole(type_, low, high):
    return st.integers(low, high).map(lambda n: (type_, f"'{n}'::{type_}", n))


def real(type_, width):
    return st.floats(width=width).map(
        lambda x: (type_, f"'{x!r}'::{type_}", Decimal(repr(x)) if math.isfinite(x) else None)
    )


def text_of(type_, *texts):
    """Values that JSON says as strings: just the text that DuckDB reads."""
    return st.sampled_from(texts).map(lambda text: (type_, f"'{text}'::{type_}", text))


CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.text(CHARACTERS, max_size=6) | st.sampled_from(
    ["", "NULL", "null", "NaN", " a", "a, b", "{'a': 1}"]
)
LEAVES = st.one_of(
    st.just(("INTEGER", "null::INTEGER", None)),
    st.booleans().map(lambda b: ("BOOLEAN", str(b), b)),
    whole("BIGINT", -(2**63), 2**63 - 1),
    whole("UBIGINT", 0, 2**64 - 1),
    whole("HUGEINT", -(2**127), 2**127 - 1),
    whole("UHUGEINT", 0, 2**128 - 1),
    whole("BIGNUM", -(10**50), 10**50),
    st.decimals(-(10**20), 10**20, places=9).map(lambda d: ("DECIMAL(38,9)", f"'{d}'::DECIMAL(38,9)", d)),
    real("DOUBLE", 64),
    real("FLOAT", 32),
    TEXTS.map(lambda text: ("VARCHAR", quoted(text), text)),
    text_of("DATE", "infinity", "-infinity", "0044-03-15 (BC)", "2024-02-29", "5881580-07-10"),
    text_of("TIMESTAMP", "infinity", "0044-03-15 (BC) 01:02:03", "294247-01-10 04:00:54.775806"),
    text_of("TIMESTAMPTZ", "-infinity", "2024-02-29 12:00:00+00", "0001-01-01 (BC) 00:00:00+00"),
    text_of("TIMESTAMP_NS", "2024-02-29 12:00:00.123456789"),
    text_of("TIME", "24:00:00", "00:00:00.000001"),
    text_of("TIMETZ", "12:00:00+15:59"),
    text_of("INTERVAL", "1 month 3 days 00:00:04", "-2 years", "100 days"),
    text_of("BLOB", r"\x00\xFF", "abc"),
    text_of("UUID", "6cb034a2-303f-46d2-b4da-a0385a72288d"),
    text_of("BIT", "0101", "00000000"),
    text_of("ENUM('x', 'y y')", "x", "y y"),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda v: (f"{v[0]}[]", f"[{v[1]}, null]", [v[2], None])),
        inner.map(lambda v: (f"{v[0]}[2]", f"[{v[1]}, {v[1]}]::{v[0]}[2]", [v[2], v[2]])),
        inner.map(lambda v: (f"MAP(VARCHAR, {v[0]})", f"map {{'k=1': {v[1]}}}", {"k=1": v[2]})),
        st.tuples(inner, inner).map(
            lambda p: (
                f'STRUCT(a {p[0][0]}, "b, c" {p[1][0]})',
                f"{{'a': {p[0][1]}, 'b, c': {p[1][1]}}}",
                {"a": p[0][2], "b, c": p[1][2]},
            )
        ),
    ),
    max_leaves=4,
)
COLUMNS = st.lists(st.tuples(st.sampled_from(["a", "A", "b", "a_1", "x, y"]), VALUES), min_size=1, max_size=5)


def same(found, said):
    """Compare what JSON says with what it should; a FLOAT is said as exactly as it is, which is longer."""
    if isinstance(said, dict):
        return list(found) == list(said) and all(same(found[name], said[name]) for name in said)
    if isinstance(said, list):
        return len(found) == len(said) and all(map(same, found, said))
    if isinstance(said, Decimal):
        return found == said or math.isclose(found, said, rel_tol=1e-15)
    return found == said and isinstance(found, bool) == isinstance(said, bool)


@settings(deadline=None, max_examples=50)
@given(COLUMNS)
def test_what_is_printed_parses_back(printed, columns):
    query = "select " + ", ".join(f'{sql_} as "{name}"' for name, (_, sql_, _) in columns)
    names, texts = rows_of_csv(printed(query, "csv"))
    assert len({name.casefold() for name in names}) == len(columns)
    (row,) = loads(printed(query, "json"))
    assert list(row) == names
    assert all(same(found, said) for found, (_, (_, _, said)) in zip(row.values(), columns, strict=True))
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        for text, (_, (type_, sql_, said)) in zip(texts, columns, strict=True):
            if said is None and text == "":
                continue
            back = f"select $text::{type_} is not distinct from {sql_}"
            assert connection.execute(back, {"text": text}).fetchall() == [(True,)], (text, type_)
    assert len(cells_of_table(printed(query, "table"))[0]) == len(columns)
    assert pq.read_table(io.BytesIO(printed(query, "parquet"))).column_names == names


def test_columns_of_one_name_are_both_shown(printed):
    query = "select 1 as label, 2 as label, 3 as LABEL order by 1"
    assert rows_of_csv(printed(query, "csv")) == [["label", "label_1", "LABEL_2"], ["1", "2", "3"]]
    assert loads(printed(query, "json")) == [{"label": 1, "label_1": 2, "LABEL_2": 3}]
    assert cells_of_table(printed(query, "table")) == [["1", "2", "3"]]
    table = pq.read_table(io.BytesIO(printed(query, "parquet")))
    assert table.to_pylist() == [{"label": 1, "label_1": 2, "LABEL_2": 3}]


def test_numbers_stay_numbers_and_what_is_none_is_null(printed):
    query = """select sum(range) as s, 340282366920938463463374607431768211455::uhugeint as u, 1.10 as d,
        'nan'::double as x, ['-inf'::float, 1] as y, 'NaN, "Infinity"' as text from range(3)"""
    assert loads(printed(query, "json")) == [
        {
            "s": 3,
            "u": 340282366920938463463374607431768211455,
            "d": Decimal("1.10"),
            "x": None,
            "y": [None, Decimal("1.0")],
            "text": 'NaN, "Infinity"',
        }
    ]
    assert rows_of_csv(printed(query, "csv"))[1][1] == "340282366920938463463374607431768211455"
    table = pq.read_table(io.BytesIO(printed(query, "parquet")))
    assert table["u"].to_pylist() == ["340282366920938463463374607431768211455"]


@pytest.mark.parametrize("value", ["date 'infinity'", "date '0044-03-15 (BC)'", "timestamp '294247-01-10'"])
def test_dates_that_python_has_not(printed, value):
    with duckdb.connect() as connection:
        ((text,),) = connection.execute(f"select ({value})::varchar").fetchall()
    query = f"select {value} as v"
    assert cells_of_table(printed(query, "table"))[-1] == [text]
    assert rows_of_csv(printed(query, "csv"))[-1] == [text]
    assert loads(printed(query, "json")) == [{"v": text}]


@pytest.mark.parametrize(
    "value", ["'[nan, -inf, 1]'::json", "1::variant", "union_value(a := 'nan'::double)", "{}"]
)
def test_rare_types_are_shown(printed, value):
    for format_ in ("table", "csv", "parquet"):
        printed(f"select {value} as v", format_)
    assert "v" in loads(printed(f"select {value} as v", "json"))[0]


@pytest.mark.parametrize("format_", ["table", "csv", "json", "parquet"])
def test_what_fails_fails_in_every_format(printed, format_):
    with pytest.raises(U1Error, match="boom"):
        printed("select error('boom')", format_)


def test_no_rows_are_an_empty_list(printed):
    assert loads(printed("select 1 as a where false", "json")) == []


@pytest.mark.parametrize(
    "query",
    ["explain select 1", "show tables", "describe select 1", "pivot (select 1 a, 2 b) on a using sum(b)"],
)
def test_what_is_no_select_is_printed(printed, query):
    for format_ in ("table", "csv", "json", "parquet"):
        printed(query, format_)
