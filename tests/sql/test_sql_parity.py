"""The statistics in SQL against scipy, astropy, pycircstat2, books and exact values, on 200 data sets each.

Every family of data sets is asked in one query, by the views or macros that the reports use. Where two
libraries differ, the comment says how, and a printed example or an exact computation decides.
"""

import itertools
import math

import numpy as np
import pyarrow as pa
import pytest
from astropy.stats.circstats import circmean, circmoment, rayleightest
from pycircstat2 import descriptive, load_data
from pycircstat2.hypothesis import rayleigh_test, wheeler_watson_test
from scipy import stats
from scipy.integrate import quad
from scipy.special import j0, j1

from u1core.lake.connect import connect
from u1core.measures.effect import corrected_effect

PI = math.pi
CHI_SQUARE_P = "mww_chi2_p"


def one_sample_sets(count=240, seed=1):
    """Single samples of angles: spread and concentrated, tied, tiny, large, constant, balanced."""
    rng = np.random.default_rng(seed)
    sets = [
        np.array([0.4]),
        np.array([PI]),
        np.full(7, -2.5),
        np.full(9, PI),
        np.array([0.3, 0.3 - PI]),
        np.array([1.0, 1.0 - PI] * 20),
        np.array([1.0, 1.0, 1.0 - PI]),
        np.arange(-3, 4) * 2 * PI / 7,
        rng.vonmises(3.1, 0.05, 20_000),
        rng.vonmises(-1.0, 200.0, 5_000),
    ]
    while len(sets) < count:
        n = int(rng.choice([2, 3, 4, 5, 10, 30, 100, 300]))
        angles = rng.vonmises(rng.uniform(-PI, PI), rng.choice([0.0, 0.3, 2.0, 50.0]), n)
        sets.append(np.round(angles, 1) if len(sets) % 3 == 0 else angles)
    return sets


def grouped_sets(count=220, seed=2):
    """Data sets of 2 to 6 classes of 1 to 25 angles, every second one rounded so that angles tie."""
    rng = np.random.default_rng(seed)
    sets = [
        [np.array([0.5] * 9), np.array([0.5 - PI] * 9)],
        [np.array([1.0] * 5), np.array([1.0] * 7 + [2.0])],
        [np.array([0.1]), np.array([2.0]), np.array([-3.0])],
        [rng.vonmises(0, 0.2, 3_000), rng.vonmises(0.5, 0.2, 2_000)],
    ]
    while len(sets) < count:
        sizes = rng.integers(1, 26, int(rng.integers(2, 7)))
        groups = [rng.vonmises(rng.uniform(-PI, PI), rng.choice([0, 1, 5]), n) for n in sizes]
        sets.append([np.round(g, 1) for g in groups] if len(sets) % 2 else groups)
    return sets


def store(lake, sets, plane="image"):
    """Store every data set (a list of classes) as a cell of its own, named by its number, in one insert."""
    rows = [
        (f"{number:04d}", label, float(angle))
        for number, groups in enumerate(sets)
        for label, group in enumerate(groups)
        for angle in group
    ]
    for key in dict.fromkeys(row[0] for row in rows):
        lake.cell(key, model=key)
    given = pa.table(dict(zip(("cell_key", "label", "theta_rad"), zip(*rows, strict=True), strict=True)))
    lake.connection.register("given", given)
    lake.connection.execute(f"""
        insert into lake.angles by name
        select
            cell_key, cell_key as model, label, theta_rad as theta_{plane}_rad, 'toy' as dataset,
            'original' as variant, 'last' as layer, 'query' as split
        from given""")


def ask(query, **columns):
    """Run a query over the relation `given` of these columns (arrays, or lists of arrays), in given order."""
    connection = connect(None, ())
    values = {name: [np.asarray(v).tolist() for v in column] for name, column in columns.items()}
    connection.register("given", pa.table({"number": range(len(next(iter(values.values())))), **values}))
    return connection.sql(query).fetchall()


def turn(a, b):
    return abs(math.remainder(a - b, 2 * PI))


# -- one sample: direction, resultant, Rayleigh, arc ------------------------------------------------------


@pytest.fixture(scope="module")
def sampled():
    """Pairs of a sample and what the macros say about it."""
    sets = one_sample_sets()
    rows = ask(
        """
        with measured as (
            select
                number,
                count(*) as n,
                circular_mean(a) as mean,
                resultant_length(a) as length,
                centred_cosine_2(a) as cosine_2,
            from given, unnest(x) as t(a)
            group by number
        )
        select
            *,
            rayleigh_p(n, length) as p,
            mean_direction_half_arc(n, length, cosine_2) as arc,
        from measured
        order by number
        """,
        x=sets,
    )
    names = ("number", "n", "mean", "length", "cosine_2", "p", "arc")
    return [(sample, dict(zip(names, row, strict=True))) for sample, row in zip(sets, rows, strict=True)]


def has_direction(sample):
    return abs(np.exp(1j * sample).mean()) >= 1e-12


def test_directions_equal_scipy_astropy_and_pycircstat2(sampled):
    for sample, row in sampled:
        if not has_direction(sample):
            # All three libraries answer with the angle of rounding noise; here there is no answer.
            assert row["mean"] is None
            assert row["length"] < 1e-12
            continue
        others = [stats.circmean(sample), circmean(sample), descriptive.circ_mean(sample)]
        assert max(turn(row["mean"], other) for other in others) < 1e-9
        assert -PI < row["mean"] <= PI


def test_resultant_lengths_equal_scipy_and_pycircstat2(sampled):
    for sample, row in sampled:
        assert row["length"] == pytest.approx(1 - stats.circvar(sample), abs=1e-9)
        assert row["length"] == pytest.approx(descriptive.circ_r(sample), abs=1e-9)
        assert 0 <= row["length"] <= 1


def test_rayleigh_equals_pycircstat2(sampled):
    for sample, row in sampled:
        assert row["n"] == len(sample)
        expected = rayleigh_test(r=row["length"], n=len(sample)).pval
        # Zar's difference of large roots cancels in pycircstat2 by about n * 1e-16 in the exponent.
        assert row["p"] == pytest.approx(expected, rel=1e-9 + 1e-15 * len(sample), abs=1e-300)


def test_rayleigh_of_the_books():
    # Zar (1999), example 27.1: eight trees, R = 6.60, 0.001 < P < 0.002.
    trees = np.radians([45, 55, 81, 96, 110, 117, 132, 154])
    ((p,),) = ask("select rayleigh_p(count(*), resultant_length(a)) from given, unnest(x) as t(a)", x=[trees])
    assert 0.001 < p < 0.002


def exact_rayleigh_p(n, length):
    """P(R >= length) for n uniform directions, from Kluyver's (1906) integral.

    P(nR < r) = r int_0^inf J_0(t)^n J_1(rt) dt (Mardia & Jupp 2000, section 4.4); for n >= 8 what lies
    beyond t = 60 is below 1e-8.
    """
    r, edges = n * length, np.linspace(0, 60, 121)
    parts = [
        quad(lambda t: j0(t) ** n * j1(r * t), low, high, epsabs=1e-12)[0]
        for low, high in itertools.pairwise(edges)
    ]
    return 1 - r * sum(parts)


def test_rayleigh_is_near_the_exact_tail():
    # astropy's series (Wilkie 1983) differs from Zar's form in the third digit: the exact tail is the judge.
    # Zar's error is below 0.06 / n^2 everywhere. The series is nearer up to n = 49; from 50 on astropy drops
    # its correction and is off by 2e-3, a hundred times as much: one formula for all n is kept.
    cases = [(n, math.sqrt(z / n)) for n in (8, 10, 20, 50) for z in np.linspace(0.2, 5, 50)]
    sizes, lengths = (list(column) for column in zip(*cases, strict=True))
    rows = ask("select rayleigh_p(n, r) from given order by number", n=sizes, r=lengths)
    found = np.array(rows)[:, 0]
    exact = np.array([exact_rayleigh_p(*case) for case in cases])
    assert (np.abs(found - exact) < 0.06 / np.square(sizes)).all()
    astropys = np.array([np.exp(-n * r**2) for n, r in cases])  # what rayleightest returns from n = 50 on
    assert np.abs(astropys - exact)[-50:].max() > 100 * np.abs(found - exact)[-50:].max()


def test_rayleigh_equals_astropy_to_the_order_of_its_series(sampled):
    for sample, row in sampled:
        if len(sample) >= 10:
            assert row["p"] == pytest.approx(rayleightest(sample), abs=3e-3)


def test_centred_cosines_equal_astropy_and_pycircstat2(sampled):
    for sample, row in sampled:
        if not has_direction(sample):
            assert row["cosine_2"] is None
            continue
        angle, length = circmoment(sample, p=2, centered=True)
        assert row["cosine_2"] == pytest.approx(length * math.cos(angle), abs=1e-9)
        moment = descriptive.circ_moment(sample, p=2, centered=True)
        assert row["cosine_2"] == pytest.approx(moment.real, abs=1e-9)


def test_arcs_follow_from_the_variance_of_the_mean_direction(sampled):
    # Delta method: the mean direction has variance mean(sin^2(x - mean)) / (n R^2); Fisher (1993), 4.4.4.
    for sample, row in sampled:
        if len(sample) < 2 or not has_direction(sample):
            assert row["arc"] is None
            continue
        across = np.sin(sample - circmean(sample))
        sine = stats.norm.ppf(0.975) * math.sqrt(np.square(across).sum()) / (len(sample) * row["length"])
        if sine > 1:
            assert row["arc"] is None
        else:
            # The square root turns rounding of 1e-16 in constant samples into 1e-8.
            assert row["arc"] == pytest.approx(math.asin(sine), rel=1e-9, abs=1e-7)


def test_arcs_equal_pycircstat2_on_symmetric_samples():
    # It takes the modulus of the second moment for rho_2, which the centred cosine equals by symmetry only.
    rng = np.random.default_rng(4)
    halves = [rng.vonmises(0, 3, 20) for _ in range(200)]
    sets = [0.4 + np.concatenate([half, -half]) for half in halves]
    rows = ask(
        """select mean_direction_half_arc(count(*), resultant_length(a), centred_cosine_2(a))
        from given, unnest(x) as t(a) group by number order by number""",
        x=sets,
    )
    for (arc,), sample in zip(rows, sets, strict=True):
        low, high = descriptive.circ_mean_ci(sample, method="dispersion", ci=0.95)
        assert arc == pytest.approx(math.remainder(high - low, 2 * PI) / 2, abs=1e-9)


# -- several classes: Mardia-Watson-Wheeler ---------------------------------------------------------------


def uniform_scores(groups):
    """W of the k-sample uniform scores test by definition, mid-ranks on ties (Mardia & Jupp 2000, ch. 8)."""
    scores = 2 * PI * stats.rankdata(np.concatenate(groups)) / sum(map(len, groups))
    parts = np.split(scores, np.cumsum([len(group) for group in groups])[:-1])
    return 2 * sum(abs(np.exp(1j * part).sum()) ** 2 / len(part) for part in parts)


def bias(lake):
    return {row["cell_key"]: row for row in lake.rows("select * from class_bias where plane = 'image'")}


def test_class_bias_equals_its_definition(lake):
    sets = grouped_sets()
    store(lake, sets)
    found = bias(lake)
    for number, groups in enumerate(sets):
        row, w, dof = found[f"{number:04d}"], uniform_scores(groups), 2 * (len(groups) - 1)
        assert row["mww_w"] == pytest.approx(w, rel=1e-9, abs=1e-9)
        assert (row["mww_dof"], row["classes"]) == (dof, len(groups))
        assert row["n"] == sum(map(len, groups))
        assert row["effect_size"] == pytest.approx(w / (2 * row["n"]), abs=1e-12)
        assert 0 <= row["effect_size"] <= 1
        assert row["mww_chi2_p"] == pytest.approx(stats.chi2.sf(w, dof), rel=1e-9, abs=1e-300)
    tested = [row for row in found.values() if row["mww_p"] is not None]
    assert len(tested) >= 200
    q = stats.false_discovery_control([row["mww_p"] for row in tested])
    assert [row["mww_q"] for row in tested] == pytest.approx(q.tolist(), rel=1e-12)


def test_class_bias_equals_pycircstat2_without_ties(lake):
    # It ranks among distinct angles but divides by all of them (its note says that ties are not considered):
    # with ties its scores leave a gap in the circle, and where the circle is cut shows. Mid-ranks do neither.
    rng = np.random.default_rng(12)
    places = np.linspace(-3, 3, 2000)
    sets = [
        np.split(rng.choice(places, 80, replace=False), cuts)
        for cuts in ([10, 30, 45], [40, 41], [1, 2, 3, 70], [20]) * 50
    ]
    store(lake, sets)
    found = bias(lake)
    for number, groups in enumerate(sets):
        result = wheeler_watson_test([np.mod(group, 2 * PI) for group in groups])
        # Two samples have (N - 1) / N of the k-sample W there, as in Wheeler & Watson (1964): its null mean
        # is then exactly 2 (k - 1), ours N / (N - 1) times that.
        factor = 80 / 79 if len(groups) == 2 else 1
        # Ranks count from 0 there and from -pi here: W does not depend on where counting starts.
        assert found[f"{number:04d}"]["mww_w"] == pytest.approx(factor * result.W, abs=1e-9)


def scores_of(groups):
    """Return the uniform scores of each class as complex numbers, mid-ranks on ties."""
    ranks = stats.rankdata(np.concatenate(groups))
    return np.split(np.exp(2j * PI * ranks / len(ranks)), np.cumsum([len(g) for g in groups])[:-1])


def w_of(scores):
    return 2 * sum(abs(z.sum()) ** 2 / len(z) for z in scores if len(z))


def jackknife(scores):
    """Return the jackknife variance of W at fixed ranks, each image left out in turn.

    What every W has in common drops out; an image alone in its class takes its class with it, of which it
    is all that the null mean expects, so that nothing is left.
    """
    shift = [
        0 if len(z) == 1 else 2 * (abs(z.sum() - z[i]) ** 2 / (len(z) - 1) - abs(z.sum()) ** 2 / len(z))
        for z in scores
        for i in range(len(z))
    ]
    return np.var(shift) * (len(shift) - 1)


def test_the_corrected_effect_equals_its_definition_by_leaving_images_out(lake):
    sets = [groups for groups in grouped_sets(16, seed=8) if len(set(np.concatenate(groups))) > 2]
    store(lake, sets)
    found = bias(lake)
    asked = 0
    for number, groups in enumerate(sets):
        scores, row = scores_of(groups), found[f"{number:04d}"]
        z = np.concatenate(scores)
        sizes, n, classes = np.array([len(g) for g in groups]), len(z), len(groups)
        # E |S_k|^2 of n_k scores drawn from all of them: n_k and n_k (n_k - 1) pairs of two different ones.
        pairs = (abs(z.sum()) ** 2 - n) / (n * (n - 1))
        null_mean = 2 * sum(1 + (sizes - 1) * pairs)
        room = 2 * n - null_mean
        if room < 1e-9 or row["mww_w"] is None:
            continue
        ceiling = 1 if classes >= 10 else sum(sizes / n * np.sinc(sizes / n) ** 2)
        effect = (w_of(scores) - null_mean) / room
        assert row["effect_corrected"] == pytest.approx(effect / ceiling, abs=1e-9)
        null_variance = lake.row(
            "select mww_null_variance($n, $k, $r) as v", n=n, k=classes, r=float(sum(1 / sizes))
        )["v"]
        kept = jackknife(scores) - (1 - np.clip(effect, 0, 1)) ** 2 * null_variance
        se = math.sqrt(max(null_variance, kept)) / room / ceiling
        assert row["effect_se"] == pytest.approx(se, rel=1e-7)
        asked += 1
    assert asked >= 10


def test_the_corrected_effect_of_python_is_that_of_the_view(lake):
    rng = np.random.default_rng(12)
    many = [rng.vonmises(k, 0.4, n) for k, n in enumerate(rng.integers(1, 40, 12))]
    edges = [[np.array([0.1]), np.array([2.0])], [np.arange(9.0) / 3], [np.full(4, PI), np.full(3, PI)]]
    sets = [*grouped_sets(40, seed=11), many, [np.round(angles, 1) for angles in many], *edges]
    store(lake, sets)
    found = bias(lake)
    for number, groups in enumerate(sets):
        angles = np.append(np.concatenate(groups), np.nan)  # an image without an angle is none
        labels = np.append(np.repeat(np.arange(len(groups)), [len(g) for g in groups]), 0)
        row = found[f"{number:04d}"]
        effect = corrected_effect(angles, labels)
        assert (effect.n, effect.classes) == (row["n"], row["classes"])
        for value, expected in ((effect.corrected, "effect_corrected"), (effect.error, "effect_se")):
            assert value is row[expected] is None or value == pytest.approx(row[expected], rel=0, abs=1e-12)


@pytest.mark.parametrize("sizes", [(2, 2), (1, 3, 2), (4, 3), (2, 2, 2)])
def test_null_mean_and_variance_of_w_equal_enumeration(lake, sizes):
    n = sum(sizes)
    z = np.exp(2j * PI * np.arange(n) / n)
    cuts = np.cumsum(sizes)[:-1]
    dealt = [w_of(np.split(z[list(order)], cuts)) for order in itertools.permutations(range(n))]
    row = lake.row(
        "select mww_null_mean($n, $k, 0) as mean, mww_null_variance($n, $k, $r) as variance",
        n=n, k=len(sizes), r=sum(1 / size for size in sizes),
    )  # fmt: skip
    assert row["mean"] == pytest.approx(np.mean(dealt), rel=1e-12)
    assert row["variance"] == pytest.approx(np.var(dealt), rel=1e-9)


def test_noise_in_a_thousand_classes_is_no_effect(lake):
    rng = np.random.default_rng(3)
    store(lake, [[rng.uniform(-PI, PI, 6) for _ in range(1000)]])
    (row,) = bias(lake).values()
    assert row["effect_size"] == pytest.approx(1 / 6, abs=0.02)
    assert abs(row["effect_corrected"]) < 3 * row["effect_se"]
    # sqrt(4 n (K - 1) (n - K)) / (n - 1) / (2 n - nu) = 0.00577, by either side's noise.
    assert row["effect_se"] == pytest.approx(0.0058, abs=0.0006)


def population_effect(directions, kappa, sizes):
    """Return sum_k p_k |E e^(2 pi i F(theta))|^2 over classes, F the law of all angles, by quadrature."""
    grid = (np.arange(8192) + 0.5) / 8192 * 2 * PI - PI
    density = np.exp(kappa * (np.cos(grid - directions[:, None]) - 1))
    density /= density.sum(axis=1, keepdims=True)
    share = sizes / sizes.sum()
    pooled = share @ density
    scores = np.exp(2j * PI * (np.cumsum(pooled) - pooled / 2))
    ceiling = 1 if len(sizes) >= 10 else sum(share * np.sinc(share) ** 2)
    return sum(share * abs(density @ scores) ** 2) / ceiling


def test_the_interval_of_the_corrected_effect_covers(lake):
    # 100 worlds: at a rate of 0.95 at least 0.87 cover in 999 of 1,000 draws; docs/method.md has the grid.
    rng = np.random.default_rng(9)
    sizes, directions = np.resize([20, 30], 10), rng.uniform(-PI, PI, 10)
    truth = population_effect(directions, 1.0, sizes)
    worlds = [[rng.vonmises(m, 1.0, n) for m, n in zip(directions, sizes, strict=True)] for _ in range(100)]
    store(lake, worlds)
    found = list(bias(lake).values())
    effect, se = (np.array([row[name] for row in found]) for name in ("effect_corrected", "effect_se"))
    assert effect.mean() == pytest.approx(truth, abs=3.5 * effect.std() / 10)
    assert np.mean(abs(effect - truth) <= 1.96 * se) >= 0.87
    assert 0.8 <= se.mean() / effect.std() <= 1.25


def test_class_bias_of_the_books(lake):
    # Zar (1999), example 27.12: two samples of 10 and 11 angles, W = 3.678, 0.10 < P < 0.25.
    angles = load_data("D12", source="zar").to_numpy()
    store(lake, [[np.radians(angles[angles[:, 1] == label, 0]) for label in (1, 2)]])
    (row,) = bias(lake).values()
    assert row["mww_w"] * 20 / 21 == pytest.approx(3.678, abs=5e-4)
    assert 0.10 < row["mww_chi2_p"] < 0.25


def test_one_class_and_one_angle_are_not_tested(lake):
    rng = np.random.default_rng(5)
    one_class = [[rng.vonmises(0, 1, n)] for n in range(1, 101)]
    one_angle = [[np.full(n, 0.1 * n), np.full(3, 0.1 * n)] for n in range(1, 31)]
    store(lake, [*one_class, *one_angle])
    assert all(row["mww_w"] is row["mww_p"] is row["mww_q"] is None for row in bias(lake).values())


def test_class_directions_are_those_of_one_sample(lake):
    sets = one_sample_sets()
    store(lake, [[sample] for sample in sets], plane="feature")
    rows = {row["cell_key"]: row for row in lake.rows("select * from class_directions")}
    assert {row["plane"] for row in rows.values()} == {"feature"}
    for number, sample in enumerate(sets):
        row = rows[f"{number:04d}"]
        assert row["n"] == len(sample)
        assert row["resultant_length"] == pytest.approx(descriptive.circ_r(sample), abs=1e-9)
        if has_direction(sample):
            assert turn(row["mean_direction_rad"], circmean(sample)) < 1e-9
    q = stats.false_discovery_control([row["rayleigh_p"] for row in rows.values()])
    assert [row["rayleigh_q"] for row in rows.values()] == pytest.approx(q.tolist(), rel=1e-12)


# -- significance and agreement ---------------------------------------------------------------------------


def test_chi_square_tails_equal_scipy():
    rng = np.random.default_rng(6)
    dof = 2 * rng.integers(1, 1000, 300)
    w = rng.gamma(dof / 2, 2) * rng.choice([0.1, 0.8, 1, 1.3, 5], 300)
    found = ask("select chi2_sf_even(w, dof) from given order by number", w=w, dof=dof)
    assert [p for (p,) in found] == pytest.approx(stats.chi2.sf(w, dof).tolist(), rel=1e-9, abs=1e-300)


def test_average_ranks_equal_scipy():
    rng = np.random.default_rng(7)
    sets = [rng.integers(0, 6, int(rng.integers(1, 40))).astype(float) for _ in range(200)]
    rows = ask(
        """select average_rank(a, number)
        from given, unnest(x) with ordinality as t(a, i) order by number, i""",
        x=sets,
    )
    expected = np.concatenate([stats.rankdata(values) for values in sets])
    assert [rank for (rank,) in rows] == expected.tolist()


def test_benjamini_hochberg_equals_scipy():
    rng = np.random.default_rng(8)
    connection = connect(None, ())
    query = """
        with given as (select * from unnest($p::double[]) with ordinality as t(p, i))
        select q from benjamini_hochberg(given, p) order by i
    """
    for number in range(200):
        p = rng.uniform(0, 1, int(rng.integers(1, 60))) ** rng.choice([1, 4])
        p = np.round(p, 1) if number % 2 else p
        q = [row[0] for row in connection.execute(query, {"p": [*p.tolist(), None]}).fetchall()]
        assert q[-1] is None
        assert q[:-1] == pytest.approx(stats.false_discovery_control(p).tolist(), abs=1e-12)


def test_wilson_intervals_equal_scipy():
    rng = np.random.default_rng(9)
    trials = np.concatenate([[1, 1, 10, 10, 100_000], rng.integers(1, 10_000, 200)])
    hits = np.concatenate([[0, 1, 0, 10, 1], rng.binomial(trials[5:], rng.uniform(0, 1, 200))])
    found = ask(
        "select wilson_low(h / n, n), wilson_high(h / n, n) from given order by number", h=hits, n=trials
    )
    for pair, h, n in zip(found, hits, trials, strict=True):
        interval = stats.binomtest(int(h), int(n)).proportion_ci(method="wilson")
        assert pair == pytest.approx((interval.low, interval.high), abs=1e-12)


def test_agreements_equal_the_definition():
    rng = np.random.default_rng(10)
    a = [rng.uniform(-PI, PI, int(rng.integers(1, 30))) for _ in range(200)]
    b = [angles + rng.vonmises(0, rng.choice([0.1, 5.0]), len(angles)) for angles in a]
    rows = ask("select mean_cosine(unit_vectors(a), unit_vectors(b)) from given order by number", a=a, b=b)
    # In scipy's terms the mean cosine of differences is R cos(mean direction).
    for (found,), first, second in zip(rows, a, b, strict=True):
        difference = first - second
        length = 1 - stats.circvar(difference)
        assert found == pytest.approx(length * math.cos(stats.circmean(difference)), abs=1e-9)
