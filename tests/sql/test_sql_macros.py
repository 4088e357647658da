"""The circular statistics of sql/macros against scipy, astropy, pycircstat2 and hand arithmetic."""

import hashlib
import itertools
import math
import re

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from u1core.lake.connect import connect
from u1core.lake.views import read_folder

PI = math.pi


@pytest.fixture(scope="module")
def scalar():
    """Evaluate one SQL expression with bound values."""
    connection = connect(None, ())

    def evaluate(expression, **values):
        return connection.execute(f"select {expression}", values).fetchall()[0][0]

    return evaluate


@pytest.fixture(scope="module")
def aggregate(scalar):
    """Evaluate one SQL aggregate over the angles of a list."""

    def evaluate(expression, angles):
        return scalar(
            f"{expression} from unnest($angles::double[]) as t(x)", angles=[float(a) for a in angles]
        )

    return evaluate


@pytest.mark.parametrize(
    ("angle", "wrapped"),
    [
        (0, 0),
        (PI, PI),
        (-PI, PI),
        (3 * PI, PI),
        (-3 * PI, PI),
        (1.5 * PI, -0.5 * PI),
        (2 * PI, 0),
        (math.nextafter(PI, 4), -PI + 1e-15),
    ],
)
def test_wrap_angle(scalar, angle, wrapped):
    assert scalar("wrap_angle($a::double)", a=angle) == pytest.approx(wrapped, abs=1e-14)


@given(st.floats(-1e4, 1e4))
def test_wrapped_angles_lie_in_the_half_open_interval(scalar, angle):
    wrapped = scalar("wrap_angle($a::double)", a=angle)
    assert -PI < wrapped <= PI
    assert math.cos(wrapped) == pytest.approx(math.cos(angle), abs=1e-9)


def test_angular_difference_takes_the_short_way(scalar):
    assert scalar("angular_difference(radians(170), radians(-170))") == pytest.approx(math.radians(-20))
    assert scalar("angular_difference(radians(-170), radians(170))") == pytest.approx(math.radians(20))


def test_circular_mean_by_hand(aggregate):
    # 350 and 10 degrees lie about 0, where the plain mean gives 180.
    assert aggregate("circular_mean(x)", np.radians([350, 10])) == pytest.approx(0, abs=1e-12)
    assert aggregate("circular_mean(x)", [PI, PI]) == PI
    assert aggregate("circular_mean(x)", [-PI, -PI]) == PI


@pytest.mark.parametrize("angles", [[0.3, 0.3 + PI], [0, PI / 2, PI, -PI / 2], np.arange(7) * 2 * PI / 7])
def test_a_balanced_sample_has_no_mean_direction(aggregate, angles):
    assert aggregate("resultant_length(x)", angles) < 1e-12
    assert aggregate("circular_mean(x)", angles) is None
    assert aggregate("centred_cosine_2(x)", angles) is None


def test_an_empty_sample_has_no_statistics(aggregate):
    assert aggregate("circular_mean(x)", []) is None
    assert aggregate("resultant_length(x)", []) is None


def test_rayleigh_stays_in_the_unit_interval_at_its_ends(scalar):
    assert scalar("rayleigh_p(1000000000, 0.0)") == 1.0
    assert scalar("rayleigh_p(1000000000, 1.0)") == 0.0
    # n = 1: exp(sqrt(5) - 3).
    assert scalar("rayleigh_p(1, 1.0)") == pytest.approx(math.exp(math.sqrt(5) - 3), rel=1e-12)


def test_half_arc_is_null_where_the_sample_does_not_bound_its_direction(scalar):
    assert scalar("mean_direction_half_arc(1, 1.0, 1.0)") is None
    assert scalar("mean_direction_half_arc(30, 0.05, 0.0)") is None
    assert scalar("mean_direction_half_arc(30, 1e-15, null)") is None
    assert scalar("mean_direction_half_arc(5, 1.0, 1.0)") == 0


@pytest.mark.parametrize(
    ("w", "dof"),
    [(0, 18), (1365.25, 18), (1794.92, 18), (2000, 2000), (1900, 2000), (5000, 2000), (1e-12, 2), (1e5, 18)],
)
def test_chi_square_tail_neither_overflows_nor_cancels(scalar, w, dof):
    found = scalar("chi2_sf_even($w::double, $dof::bigint)", w=float(w), dof=dof)
    assert found == pytest.approx(stats.chi2.sf(w, dof), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize(("w", "dof"), [(None, 2), (3.0, None), (3.0, 0), (3.0, 3)])
def test_chi_square_tail_is_null_where_it_is_not_defined(scalar, w, dof):
    assert scalar("chi2_sf_even($w::double, $dof::bigint)", w=w, dof=dof) is None


def test_benjamini_hochberg_by_hand():
    # Four tests: q = min over larger p of p m / rank: 0.04, 0.0533.., 0.0533.., 0.5.
    rows = connect(None, ()).execute("""
        with given as (select unnest([0.01, 0.03, 0.04, 0.5]) as p)
        select q from benjamini_hochberg(given, p) order by p
    """)
    assert [q for (q,) in rows.fetchall()] == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5], abs=1e-9)


def test_wilson_interval_without_trials_is_null(scalar):
    assert scalar("wilson_low(0.5, 0)") is None
    assert scalar("wilson_high(null, 3)") is None


@pytest.mark.parametrize(
    ("p", "draws", "smallest", "level", "told"),
    [
        (0.004, 9999, 0.0001, 0.01, 0.004),
        (0.004, 9998, 0.0001, 0.01, None),  # its standard error is more than a tenth of the level
        (0.004, 1999, 0.0005, 0.05, 0.004),
        (1 / 6, 9999, 1 / 6, 0.01, None),  # three classes have six orders: they can't say
        (0.3, 9999, 0.0001, 0.01, 0.3),
        (None, 9999, 0.0001, 0.01, None),
    ],
)
def test_a_p_is_told_where_the_draws_can_resolve_the_level(scalar, p, draws, smallest, level, told):
    given = {"p": p, "draws": draws, "smallest": smallest, "level": level}
    assert scalar("resolved_p($p::double, $draws, $smallest, $level)", **given) == told


def test_every_permutation_has_its_number(scalar):
    orders = scalar("list_transform(range(0, 120), lambda nth: nth_permutation(5, nth))")
    assert sorted(map(tuple, orders)) == list(itertools.permutations(range(1, 6)))
    assert scalar("nth_permutation(1, 0)") == [1]


def test_label_permutations_are_permutations_and_stay_the_same(scalar):
    orders = [scalar("label_permutation(5, $s)", s=seed) for seed in range(1, 201)]
    assert all(sorted(order) == [1, 2, 3, 4, 5] for order in orders)
    assert len({tuple(order) for order in orders}) > 80  # of 120
    # Every position gets every class about equally often: 200 / 5 = 40 each, five sigma = 29.
    first = [order[0] for order in orders]
    assert all(abs(first.count(label) - 40) < 29 for label in range(1, 6))
    digests = {i: hashlib.md5(f"7:{i}".encode()).hexdigest() for i in range(1, 6)}
    assert orders[6] == sorted(digests, key=digests.get)


@pytest.mark.parametrize(
    ("classes", "pairs", "count"),
    [
        (2, 1, 9999),
        (100, 10_000, 9999),
        (101, 1, 9900),
        (1000, 10_000, 1000),
        (10**6, 1, 99),
        (10, 20_000, 5000),
        (1000, 10**6, 100),
        (2, 10**7, 99),
    ],
)
def test_fewer_permutations_for_many_classes_and_many_pairs(scalar, classes, pairs, count):
    assert scalar("permutation_count($k, $p)", k=classes, p=pairs) == count


def test_mean_cosine_by_hand(scalar):
    a, b = [0.0, PI / 2, PI], [0.0, PI, PI]
    units = "unit_vectors($a::double[]), unit_vectors($b::double[])"
    assert scalar(f"mean_cosine({units})", a=a, b=b) == pytest.approx(2 / 3)
    swapped = "unit_vectors($a::double[]), permuted_vectors(unit_vectors($b::double[]), [2, 1, 3])"
    # cos(0 - pi) + cos(pi/2 - 0) + cos(pi - pi) = -1 + 0 + 1.
    assert scalar(f"mean_cosine({swapped})", a=a, b=b) == pytest.approx(0, abs=1e-12)


# -- what is no number --------------------------------------------------------------------------------------

CALLS = {
    "wrap_angle": "1.0",
    "angular_difference": "1.0, 2.0",
    "sector_of": "1.0, 24",
    "sector_centre": "1, 4",
    "resultant_of": "0.3, 0.4",
    "direction_of": "0.3, 0.4",
    "centred_cosine_2_of": "0.5, 0.5, 0.2, 0.1",
    "mean_direction_half_arc": "100, 0.8, 0.5",
    "scatter": "0.5, 0.1, 0.2, 0.1",
    "studentised_square": "0.5, 0.5, 0.1, 0.1",
    "bootstrap_half_arc": "1.0, 1.0, 0.5",
    "t_quantile_975": "5",
    "t_quantile_95": "5",
    "t_expansion": "1.0, 12",
    "next_draw_bound": "20, 1.0, 2.0",
    "t_quantile_975_between": "5",
    "mean_half_width": "4, 2.0",
    "flip_count": "3",
    "pairs_needed": "1.0, 1.0",
    "permutation_count": "10, 20",
    "shuffle_count": "500",
    "deck_size": "5",
    "rayleigh_p": "10, 0.5",
    "chi2_sf_even": "2.0, 4",
    "tie_share": "3, 24",
    "mww_tail_is_trusted": "100, 20, 0.0",
    "smallest_p": "9999, 24",
    "resolved_p": "0.004, 9999, 0.0001, 0.01",
    "mww_null_mean": "12, 3, 0.0",
    "mww_null_variance": "12, 3, 0.75",
    "mww_ceiling": "[1.0, 4.0], 5",
    "wilson_half_width": "0.5, 10",
    "wilson_centre": "0.5, 10",
    "wilson_low": "0.5, 10",
    "wilson_high": "0.5, 10",
    "exceedance_p": "[1.0, 2.0, 3.0], 2.0",
    # Aggregates and windows of a column of two, of which the second is in question.
    "resultant_length": "x",
    "circular_mean": "x",
    "centred_cosine_2": "x",
    "least_rank": "x, true",
    "greatest_rank": "x, true",
    "average_rank": "x, true",
    # Over lists: what is in question is their second entry.
    "unit_vectors": "[1.0, x]",
    "mean_cosine": "[1.0, x], [1.0, 0.0]",
    "flipped_sum": "[1.0, x, 4.0], 2",
    "sign_flip_p": "[1.0, x, 4.0]",
    "size_of": "[1.0, x, 4.0]",
    "score_cosines": "[1.0, x]",
    "score_sines": "[1.0, x]",
}
LEAVE_NULLS_OUT = {"flipped_sum", "sign_flip_p", "size_of", "exceedance_p"}
"""Macros over lists that do so, as aggregates do."""
STATES = {"state_of", "worst_state", "counted_states", "control_command"}
"""Macros of states and words."""
WHOLE = {"benjamini_hochberg", "rows_of_current", "two_way_means"}
"""Macros over relations."""
COUNTED = {
    "is_turned",
    "resample",
    "drawn_shares",
    "label_permutation",
    "nth_permutation",
    "vector_positions",
    "permuted_vectors",
    "repeated_labels",
}
"""Macros over positions and seeds, which are no measurements."""
LIMITS = {
    ("sector_centre", 1, "inf"): -PI,
    ("t_quantile_975", 0, "inf"): stats.norm.ppf(0.975),
    ("t_quantile_975_between", 0, "inf"): stats.norm.ppf(0.975),
    ("t_quantile_95", 0, "inf"): stats.norm.ppf(0.95),
    ("t_expansion", 1, "inf"): 1,
    ("next_draw_bound", 0, "inf"): 1 + 2 * stats.norm.ppf(0.99),
    ("mean_half_width", 0, "inf"): 0,
    ("mean_direction_half_arc", 0, "inf"): 0,
    ("pairs_needed", 1, "inf"): 2,
    ("pairs_needed", 1, "-inf"): 2,
    ("permutation_count", 0, "inf"): 99,
    ("permutation_count", 1, "inf"): 99,
    ("shuffle_count", 0, "inf"): 999,
    ("sector_centre", 1, "-inf"): -PI,
    ("exceedance_p", 0, "inf"): 1,
    ("exceedance_p", 0, "-inf"): 3 / 4,
    ("chi2_sf_even", 0, "inf"): 0,
    ("chi2_sf_even", 0, "-inf"): 1,
    ("tie_share", 0, "inf"): 0,
    ("smallest_p", 0, "inf"): 1 / 24,
    ("smallest_p", 1, "inf"): 1e-4,
    ("wilson_half_width", 1, "inf"): 0,
    ("wilson_half_width", 1, "-inf"): 0,
    ("wilson_centre", 1, "inf"): 0.5,
    ("wilson_centre", 1, "-inf"): 0.5,
    ("wilson_low", 1, "inf"): 0.5,
    ("wilson_high", 1, "inf"): 0.5,
}
"""What an infinite argument gives where that is a limit: by macro, argument and value."""


def asked():
    """Yield every call with one argument replaced: macro, place, value and the call."""
    for name, arguments in CALLS.items():
        given = re.findall(r"\[[^]]*\]|[^, ]+", arguments)
        places = [0] if "x" in arguments else range(len(given))
        for place in places:
            for value in ("nan", "inf", "-inf", "null"):
                number = "null::double" if value == "null" else f"'{value}'::double"
                if "x" in arguments:
                    yield name, place, value, f"{name}({arguments})", number
                elif given[place].startswith("["):
                    listed = given[place].replace("1.0", number)
                    yield name, place, value, f"{name}({', '.join([listed, *given[1:]])})", number
                else:
                    call = ", ".join(number if i == place else one for i, one in enumerate(given))
                    yield name, place, value, f"{name}({call})", number


def last_number(found):
    """The number that the second value gave; of a list the entry that is its."""
    while isinstance(found, list):
        found = found[1]
    return found


@pytest.mark.parametrize(("name", "place", "value", "call", "number"), list(asked()))
def test_nothing_is_said_of_what_is_no_number(scalar, name, place, value, call, number):
    aggregated = name in ("resultant_length", "circular_mean", "centred_cosine_2")
    if "_rank" in name:
        call = (
            f"(select list(r) from (select {call} as r from (values (1.0), ({number})) as t(x) order by x))"
        )
    elif "x" in CALLS[name]:
        rows = f"(values (1.0), ({number}))" if aggregated else f"(values ({number}))"
        call = f"(select {call} from {rows} as t(x))"
    try:
        found = last_number(scalar(call))
    except duckdb.Error as error:
        assert "Conversion" in str(error) or "can not contain NULL" in str(error)
        return
    if (name, place, value) in LIMITS:
        assert found == pytest.approx(LIMITS[name, place, value], abs=1e-12)
    elif value == "null" and place == 0 and (aggregated or name in LEAVE_NULLS_OUT):
        assert found is not None
    elif "_rank" in name and value in ("inf", "-inf"):
        assert found in (1, 2)
    elif name == "mww_tail_is_trusted":
        assert not found
    else:
        assert found is None or not math.isfinite(found)


def test_every_macro_is_asked_for_what_is_no_number():
    assert CALLS.keys() | STATES | WHOLE | COUNTED == EXAMPLES.keys()


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("chi2_sf_even('inf'::double, 4)", 0.0),
        ("chi2_sf_even(5e-324, 4)", 1.0),
        ("rayleigh_p(1e100, 0.5)", 0.0),
        ("rayleigh_p(10, 1.5)", None),
        ("rayleigh_p(-1, 0.5)", None),
        ("wrap_angle(1e300)", None),
        ("sector_of(4.0, 24)", None),
        ("flip_count(0)", 0),
        ("permutation_count(0, 20)", None),
        ("wilson_high(-0.5, 10)", None),
        ("pairs_needed(1.0, 0.0)", None),
        ("exceedance_p([1.0, 'nan'::double, 3.0], 2)", None),
        ("resultant_of(0.3, null)", None),
    ],
)
def test_macros_at_their_edges(scalar, call, value):
    assert scalar(call) == value


def test_nan_is_no_test(scalar):
    given = "(select unnest([0.01, 'nan'::double, 0.04, null]) as p)"
    rows = f"(with given as {given} select list(q order by p) from benjamini_hochberg(given, p))"
    # Of two tests: 0.01 * 2 / 1 and 0.04; NaN and null stand behind them.
    assert scalar(rows) == [pytest.approx(0.02), pytest.approx(0.04), None, None]


# -- the examples above every macro -------------------------------------------------------------------------

MACRO = re.compile(r"((?:^--.*\n)*)^create macro (\w+)\(", re.M)
EXAMPLE = re.compile(r"^-- Example: (.*(?:\n--   .*)*)", re.M)
EXAMPLES = {
    name: [example.replace("\n--   ", " ") for example in EXAMPLE.findall(comment)]
    for text in read_folder("macros").values()
    for comment, name in MACRO.findall(text)
}
"""By macro; `f(x) for x in list = value` aggregates the list, `f(x) for each x in list = values` keeps it."""


def test_every_macro_has_an_example_of_itself():
    assert sum(text.count("create macro ") for text in read_folder("macros").values()) == len(EXAMPLES)
    assert [name for name, found in EXAMPLES.items() if not any(f"{name}(" in one for one in found)] == []


@pytest.mark.parametrize(
    ("name", "example"), [(name, one) for name, found in EXAMPLES.items() for one in found]
)
def test_an_example_holds(scalar, name, example):
    left, expected = example.rsplit(" = ", 1)
    expression, each, values = re.fullmatch(r"(.*?)(?: for (each )?x in (.*))?", left).groups()
    if each:
        inner = f"select {expression} as y, i from unnest({values}) with ordinality as t(x, i)"
        expression = f"(select list(y order by i) from ({inner}))"
    elif values:
        expression = f"(select {expression} from unnest({values}) as t(x))"
    found, value = scalar(expression), scalar(expected)
    flat, wanted = (side if isinstance(side, list) else [side] for side in (found, value))
    assert [a if isinstance(a, str) else float(a) for a in flat] == [
        b if isinstance(b, str) else pytest.approx(float(b), abs=1e-12) for b in wanted
    ]


def two_way(values):
    """Return the row of `two_way_means` for {(family, dataset): [value, ...]}."""
    connection = connect(None, ())
    rows = [(f, d, float(v)) for (f, d), cells in values.items() for v in cells]
    names = ("family", "dataset", "value")
    cells_ = pa.table(dict(zip(names, zip(*rows, strict=True), strict=True)) | {"item": ["a"] * len(rows)})
    connection.register("cells_", cells_)
    return connection.sql("select * from two_way_means(cells_)").to_arrow_table().to_pylist()[0]


def test_the_interval_of_a_two_way_mean_by_hand():
    # Families 0, 3, 6 and data sets -1, 0, 1, no rest: MS_F = 3 * 18 / 2 = 27, MS_D = 3, MS_E = 0; 30 / 9
    # is the variance of the mean, with 30^2 / (27^2 / 2 + 3^2 / 2) = 2.439 degrees of freedom.
    row = two_way({(f, d): [3 * int(f) + int(d)] for f in "012" for d in ("-1", "0", "1")})
    assert (row["families"], row["datasets"], row["mean"]) == (3, 3, pytest.approx(3))
    assert row["dof"] == pytest.approx(900 / 369)
    half = stats.t.ppf(0.975, 900 / 369) * math.sqrt(30 / 9)
    assert row["ci_high"] - row["mean"] == pytest.approx(half, rel=0.02)
    assert row["mean"] - row["ci_low"] == pytest.approx(half, rel=0.02)


def test_three_sizes_of_a_family_are_one_witness_and_two_families_none():
    once = {(f, d): [int(f) * int(d)] for f in "012" for d in "012"}
    again = {key: cells * 3 for key, cells in once.items()}
    assert two_way(once) == two_way(again)
    lacking = once | {("3", "0"): [9.0], (None, "1"): [9.0]}
    assert two_way(lacking) == two_way(once)
    # A data set that one family alone has would leave no other family.
    assert two_way(once | {("0", "3"): [9.0]}) == two_way(once)
    few = two_way({key: cells for key, cells in once.items() if key[0] != "2"})
    assert (few["families"], few["mean"], few["ci_low"]) == (2, 0.5, None)


def test_the_two_way_interval_covers():
    # docs/method.md has the grid; here 300 worlds, families and data sets mattering as much as the rest.
    rng = np.random.default_rng(2)
    connection = connect(None, ())
    names, covered = [f"{f}" for f in range(5)], 0
    values = rng.normal(size=(300, 5, 1)) + rng.normal(size=(300, 1, 4)) + rng.normal(size=(300, 5, 4))
    for world in values:
        cells_ = pa.table(
            {
                "item": [""] * 20,
                "family": np.repeat(names, 4),
                "dataset": np.tile(names[:4], 5),
                "value": world.ravel(),
            }
        )
        connection.register("cells_", cells_)
        low, high = connection.sql("select ci_low, ci_high from two_way_means(cells_)").fetchall()[0]
        covered += low <= 0 <= high
    assert 0.91 <= covered / 300 <= 0.99  # 0.96 is expected: four standard errors


# -- states -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dof", [*range(1, 13), 19, 100, 10**6])
def test_the_one_sided_quantile_is_that_of_student(scalar, dof):
    assert scalar("t_quantile_95($dof)", dof=dof) == pytest.approx(stats.t.ppf(0.95, dof), abs=1e-4)


def test_the_next_of_twenty_draws_exceeds_the_bound_once_in_a_hundred(scalar):
    bound = scalar("next_draw_bound(20, 1, 2)")
    assert bound == pytest.approx(1 + 2 * stats.t.ppf(0.99, 19) * math.sqrt(1.05), abs=1e-4)
    assert (bound - 1) / 2 == pytest.approx(2.60, abs=0.01)
    assert scalar("next_draw_bound(9, 1, 2)") is None


@pytest.mark.parametrize(
    ("low", "high", "state"),
    [
        (0.11, 0.2, "holds"),
        (0.1, 0.2, "inconclusive"),
        (0.0, 0.1, "inconclusive"),
        (0.0, 0.09, "refuted"),
        ("nan", 0.2, "not tested"),
        (0.2, "inf", "not tested"),
        (None, 0.0, "not tested"),
    ],
)
def test_a_state_is_told_by_both_bounds(scalar, low, high, state):
    assert scalar("state_of($low::double, $high::double, 0.1)", low=low, high=high) == state


@pytest.mark.parametrize(
    ("states", "worst"),
    [
        (["holds", "holds"], "holds"),
        (["holds", "inconclusive"], "inconclusive"),
        (["inconclusive", "not tested", "holds"], "not tested"),
        (["not tested", "refuted"], "refuted"),
        ([], "not tested"),
        (None, "not tested"),
        (["holds", None], "not tested"),
        (["refuted", None], "refuted"),
    ],
)
def test_the_worst_of_several_states(scalar, states, worst):
    assert scalar("worst_state($states::varchar[])", states=states) == worst
