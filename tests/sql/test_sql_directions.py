"""Class directions, class bias and agreements: literal rows in, literal rows out, and parity."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycircstat2.hypothesis import wheeler_watson_test
from scipy import stats

from u1core.lake.connect import connect
from u1core.lake.views import analysis

PI = math.pi


def uniform_scores(groups):
    """W of the k-sample uniform scores test, straight from its definition."""
    scores = 2 * PI * stats.rankdata(np.concatenate(groups)) / sum(map(len, groups))
    parts = np.split(scores, np.cumsum([len(group) for group in groups])[:-1])
    return 2 * sum(abs(np.exp(1j * part).sum()) ** 2 / len(part) for part in parts)


def random_groups(rng, ties):
    """2 to 6 classes of 1 to 40 angles, some leaning, some of a single image."""
    sizes = rng.integers(1, 40, int(rng.integers(2, 7)))
    groups = [rng.vonmises(rng.uniform(-PI, PI), rng.choice([0, 1, 5]), n) for n in sizes]
    return [np.round(g, 1) for g in groups] if ties else groups


def fill(lake, all_groups, plane="image"):
    """Store each list of groups as a cell of its own, in one insert."""
    columns = {"key": [], "label": [], "angle": []}
    for number, groups in enumerate(all_groups):
        lake.cell(f"k{number}", model=f"k{number}")
        for label, group in enumerate(groups):
            columns["key"] += [f"k{number}"] * len(group)
            columns["label"] += [label] * len(group)
            columns["angle"] += group.tolist()
    lake.connection.execute(
        f"""insert into lake.angles by name
        select
            unnest($key) as cell_key, unnest($key) as model, unnest($label) as label,
            unnest($angle) as theta_{plane}_rad, 'toy' as dataset, 'original' as variant, 'last' as layer,
            'query' as split""",
        columns,
    )


def bias(lake, plane="image"):
    rows = lake.rows("select * from class_bias where plane = $plane", plane=plane)
    return {row["cell_key"]: row for row in rows}


def test_class_bias_equals_an_independent_uniform_scores_test(lake):
    rng = np.random.default_rng(11)
    all_groups = [random_groups(rng, ties=number % 2 == 0) for number in range(60)]
    # Opposite angles, one constant class among two, and one image per class.
    all_groups += [
        [np.array([0.5] * 9), np.array([0.5 - PI] * 9)],
        [np.array([1.0] * 5), np.array([1.0] * 7 + [2.0])],
        [np.array([0.1]), np.array([2.0]), np.array([-3.0])],
    ]
    fill(lake, all_groups)
    found = bias(lake)
    p = []
    for number, groups in enumerate(all_groups):
        row, w, dof = found[f"k{number}"], uniform_scores(groups), 2 * (len(groups) - 1)
        assert row["mww_w"] == pytest.approx(w, abs=1e-9)
        assert (row["mww_dof"], row["classes"]) == (dof, len(groups))
        assert row["n"] == sum(map(len, groups))
        assert row["mww_chi2_p"] == pytest.approx(stats.chi2.sf(w, dof), rel=1e-9, abs=1e-9)
        assert row["effect_size"] == pytest.approx(w / (2 * row["n"]), abs=1e-12)
        assert 0 <= row["effect_size"] <= 1
        p.append(row["mww_p"])
    q = stats.false_discovery_control(p)
    assert [found[f"k{number}"]["mww_q"] for number in range(len(p))] == pytest.approx(q.tolist(), abs=1e-12)


def test_class_bias_equals_pycircstat2_without_ties(lake):
    # It gives tied and nearly tied angles one rank and two samples another factor: compared where both agree.
    rng = np.random.default_rng(12)
    places = np.linspace(-3, 3, 2000)
    all_groups = [np.split(rng.choice(places, 80, replace=False), [10, 30, 45]) for _ in range(50)]
    fill(lake, all_groups)
    found = bias(lake)
    for number, groups in enumerate(all_groups):
        result = wheeler_watson_test([np.mod(group, 2 * PI) for group in groups])
        # Ranks from 0 instead of from -pi: W does not depend on where counting starts.
        assert found[f"k{number}"]["mww_w"] == pytest.approx(result.W, abs=1e-9)
        assert found[f"k{number}"]["mww_chi2_p"] == pytest.approx(result.pval, abs=1e-9)


def test_class_bias_by_hand(lake):
    # Ranks 1..4 are scores 90, 180, 270, 360 degrees; class 0 has 90 and 180, class 1 the opposite sum:
    # each resultant is sqrt(2), W = 2 (2/2 + 2/2) = 4, p = exp(-2), effect size 4/8.
    lake.angles(lake.cell(), {0: [-3, -2], 1: [1, 2]})
    row = lake.row("select * from class_bias")
    assert (row["mww_w"], row["mww_dof"], row["n"]) == (pytest.approx(4), 2, 4)
    assert row["mww_chi2_p"] == pytest.approx(math.exp(-2))
    # Of the 6 ways to deal four ranks to two pairs, 4 pair neighbours and give W = 4; the others give 0.
    assert row["mww_permutation_p"] == pytest.approx(2 / 3, abs=0.02)
    assert (row["mww_permutations"], row["mww_smallest_p"]) == (9999, row["mww_permutation_p"])
    assert (row["mww_p"], row["mww_q"]) == (row["mww_permutation_p"],) * 2
    assert (row["p_method"], row["smallest_class"]) == ("permutation", 2)
    assert row["effect_size"] == pytest.approx(0.5)


def exact_p(groups):
    """Share of the ways to deal the angles to two classes whose W is at least that seen."""
    pooled, size, seen = np.concatenate(groups), len(groups[0]), uniform_scores(groups)
    chosen = [np.isin(range(len(pooled)), c) for c in itertools.combinations(range(len(pooled)), size)]
    return np.mean([uniform_scores([pooled[c], pooled[~c]]) >= seen - 1e-9 for c in chosen])


def test_permutation_p_of_the_bias_equals_enumeration_with_and_without_ties(lake):
    rng = np.random.default_rng(16)
    all_groups = [[rng.vonmises(0, 1, 5), rng.vonmises(1, 1, 6)] for _ in range(10)]
    all_groups += [[np.round(group) for group in groups] for groups in all_groups]
    fill(lake, all_groups)
    found = bias(lake)
    for number, groups in enumerate(all_groups):
        row, p = found[f"k{number}"], exact_p(groups)
        # 9,999 draws: four standard errors.
        assert row["mww_p"] == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 9999) + 1e-4)


def test_the_chi_square_tail_is_used_where_it_may_be_trusted(lake):
    rng = np.random.default_rng(17)
    cases = {
        "large classes": ([20, 30], 0, "chi-square"),
        "a small class": ([19, 300], 0, "permutation"),
        "tied angles": ([60, 60], 2, "permutation"),
        "a small class of many images": ([5, 5000], 0, "chi-square"),
        "tied angles of many images": ([2600, 2600], 2, None),
    }
    groups = [
        [
            np.round(rng.uniform(-PI, PI, size) / step) * step if step else rng.uniform(-PI, PI, size)
            for size in sizes
        ]
        for sizes, step, _ in cases.values()
    ]
    fill(lake, groups)
    found = bias(lake)
    for number, (sizes, _, method) in enumerate(cases.values()):
        row = found[f"k{number}"]
        assert (row["smallest_class"], row["p_method"]) == (min(sizes), method)
        assert (row["mww_permutation_p"] is None) == (method != "permutation")
        expected = {"chi-square": row["mww_chi2_p"], "permutation": row["mww_permutation_p"], None: None}
        assert row["mww_p"] == expected[method]


def test_many_equal_angles_do_not_feign_a_bias(lake):
    # 30 % of the images share one angle: their average rank moves the mean score off 0, and W with it.
    rng = np.random.default_rng(18)
    pooled = np.append(np.zeros(300), rng.uniform(-PI, PI, 700))
    angles = [rng.permutation(pooled) for _ in range(200)]
    fill(lake, [np.split(a, 4) for a in angles])
    p = np.array([row["mww_p"] for row in bias(lake).values()])
    chi2_p = np.array([row["mww_chi2_p"] for row in bias(lake).values()])
    assert np.mean(p <= 0.05) < 0.1 < np.mean(chi2_p <= 0.05)


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=8), min_size=2, max_size=4),
    st.integers(1, 30),
)
def test_uniform_scores_do_not_depend_on_the_zero_or_the_sense_of_angles(groups, turn):
    connection = connect(None, ["class_bias"])

    def w(number, transform):
        connection.execute(
            "insert into lake.cells by name select $k as cell_key, $k as model, 'done' as status, "
            "'toy' as dataset, 'original' as variant",
            {"k": str(number)},
        )
        for label, group in enumerate(groups):
            for step in group:
                # 31 places of the circle, so that turning permutes them and keeps ties.
                angle = (transform(step) % 31 - 15) * 2 * PI / 31
                connection.execute(
                    "insert into lake.angles by name select $k as cell_key, $a as theta_image_rad, "
                    "$l as label, 'query' as split, 'last' as layer",
                    {"k": str(number), "a": angle, "l": label},
                )

    w(0, lambda step: step)
    w(1, lambda step: step + turn)
    w(2, lambda step: -step)
    rows = connection.sql("select mww_w from class_bias where plane = 'image'").fetchall()
    first, turned, mirrored = (value for (value,) in rows)
    assert [turned, mirrored] == ([first] * 2 if first is None else pytest.approx([first] * 2, abs=1e-9))


def test_one_class_cannot_be_biased(lake):
    lake.angles(lake.cell(), {1: [0.1, 0.2, 0.3]})
    row = lake.row("select * from class_bias where plane = 'image'")
    assert (row["n"], row["classes"]) == (3, 1)
    undefined = (
        "mww_w",
        "mww_dof",
        "mww_chi2_p",
        "mww_permutation_p",
        "mww_p",
        "p_method",
        "mww_q",
        "effect_size",
    )
    assert [row[name] for name in undefined] == [None] * 8


def test_one_constant_angle_is_no_evidence_of_bias(lake):
    # Average ranks would put every image on one score, which W takes for the strongest bias there is.
    lake.angles(lake.cell(), {0: [1.0] * 5, 1: [1.0] * 7})
    row = lake.row("select * from class_bias")
    assert (row["n"], row["classes"], row["mww_p"], row["effect_size"]) == (12, 2, None, None)


def test_angles_that_are_null_are_left_out(lake):
    lake.angles(lake.cell(), {0: [0.1, None], 1: [None]})
    assert lake.row("select n, classes from class_bias") == {"n": 1, "classes": 1}
    assert lake.row("select n, class_name from class_directions") == {"n": 1, "class_name": "ant"}


def test_class_directions_by_hand(lake):
    keys = lake.cell()
    # Two ants at 10 and 30 degrees: direction 20, R = cos 10; one bee; two cows back to back.
    lake.angles(keys, {0: np.radians([10.0, 30.0]).tolist(), 1: [2.0], 2: [1.0, 1.0 - PI]})
    ant, bee, cow = lake.rows("select * from class_directions order by label")
    assert (ant["n"], ant["mean_direction_rad"]) == (2, pytest.approx(math.radians(20)))
    assert ant["resultant_length"] == pytest.approx(math.cos(math.radians(10)))
    # Half of the resamples of two images are one image twice: they bound nothing.
    assert (ant["ci_low_rad"], ant["ci_method"]) == (None, None)
    assert (bee["n"], bee["resultant_length"]) == (1, pytest.approx(1))
    assert bee["mean_direction_rad"] == pytest.approx(2.0)
    assert bee["ci_low_rad"] is None
    assert cow["mean_direction_rad"] is None
    assert cow["rayleigh_p"] == pytest.approx(1)


def test_the_large_sample_arc_by_hand(lake):
    # 25 images at 10 and 25 at 30 degrees, Fisher 4.21-22: delta = (1 - cos 20) / (2 cos^2 10) = tan^2 10.
    lake.angles(lake.cell(), {0: np.radians([10.0, 30.0] * 25).tolist()})
    row = lake.row("select * from class_directions")
    arc = math.asin(1.959963984540054 * math.tan(math.radians(10)) / math.sqrt(50))
    assert row["ci_low_rad"] == pytest.approx(math.radians(20) - arc)
    assert row["ci_high_rad"] == pytest.approx(math.radians(20) + arc)
    assert row["ci_method"] == "large sample"


def studentised_arc(angles):
    """Half width by the studentised bootstrap (Fisher & Hall 1989), numpy's own draws."""
    rng, n = np.random.default_rng(1), len(angles)

    def moments(weights):
        first, second = weights @ np.exp(1j * angles), weights @ np.exp(2j * angles)
        return first, 1 - (second * np.exp(-2j * np.angle(first))).real

    first, scatter = moments(np.full(n, 1 / n))
    drawn, scatters = moments(rng.multinomial(n, np.full(n, 1 / n), 20_000) / n)
    turn = np.angle(drawn / first)
    pivot = np.where(
        np.abs(turn) < PI / 2, np.abs(np.sin(turn)) / np.sqrt(scatters / abs(drawn) ** 2), np.inf
    )
    sine = np.quantile(pivot, 0.95) * math.sqrt(scatter) / abs(first)
    return math.asin(sine) if sine <= 1 else None


def test_bootstrap_arcs_equal_an_independent_bootstrap(lake):
    rng = np.random.default_rng(19)
    samples = [rng.vonmises(2, kappa, n) for kappa in (1.5, 5) for n in (12, 25, 49) for _ in range(4)]
    fill(lake, [[sample] for sample in samples])
    rows = lake.rows("select * from class_directions order by cell_key")
    rows = sorted(rows, key=lambda row: int(row["cell_key"][1:]))
    for row, sample in zip(rows, samples, strict=True):
        expected = studentised_arc(sample)
        if expected is None or expected > 1.2:
            continue
        assert row["ci_method"] == "bootstrap"
        assert row["half_arc_rad"] == pytest.approx(expected, rel=0.15)


def test_bootstrap_arcs_turn_with_the_angles_and_ignore_the_order_of_images(lake):
    rng = np.random.default_rng(20)
    sample = rng.vonmises(0, 3, 15)
    fill(lake, [[sample], [rng.permutation(sample)], [(sample + 2.5 + PI) % (2 * PI) - PI]])
    same, shuffled, turned = lake.rows("select * from class_directions order by cell_key")
    assert same["half_arc_rad"] == pytest.approx(shuffled["half_arc_rad"], abs=1e-12)
    assert same["half_arc_rad"] == pytest.approx(turned["half_arc_rad"], abs=1e-9)


@pytest.mark.parametrize("angles", [[1.0] * 9, [0.3], [0.3, 0.4], [0.3, 0.4, 0.5], [-2.0, 0.0, 2.0, 3.0]])
def test_a_sample_that_does_not_bound_its_direction_has_no_arc(lake, angles):
    lake.angles(lake.cell(), {0: angles})
    row = lake.row("select * from class_directions")
    assert [row[name] for name in ("half_arc_rad", "ci_low_rad", "ci_high_rad", "ci_method")] == [None] * 4


def test_weak_angles_are_counted(lake):
    keys = lake.cell()
    lake.insert("frames", {"layer": "last", "floor_image": 0.1}, **keys)
    for image, strength in enumerate([0.05, 0.2, 0.3, 0.4]):
        row = {"image_id": image, "label": 0, "theta_image_rad": 0.1 * image, "strength_image": strength}
        lake.insert("angles", row, split="query", layer="last", **keys)
    assert lake.row("select n, weak_share from class_directions") == {"n": 4, "weak_share": 0.25}


def test_an_arc_may_cross_pi(lake):
    lake.angles(lake.cell(), {0: [PI - 0.1, PI, -PI + 0.1] * 10})
    row = lake.row("select * from class_directions")
    assert abs(row["mean_direction_rad"]) == pytest.approx(PI)
    assert row["ci_high_rad"] < 0 < row["ci_low_rad"]


def test_splits_planes_and_layers_are_tested_apart(lake):
    keys = lake.cell(layers=["first", "last"])
    lake.angles(keys, {0: [0.1], 1: [0.2]}, split="memory")
    lake.angles(keys, {0: [0.1], 1: [0.2]}, plane="feature")
    lake.angles(keys, {0: [0.1], 1: [0.2]}, layer="first")
    rows = lake.rows("select plane, split, layer, n from class_bias order by plane, split, layer")
    assert [tuple(row.values()) for row in rows] == [
        ("feature", "query", "last", 2),
        ("image", "memory", "last", 2),
        ("image", "query", "first", 2),
    ]


def test_planes_agree_where_classes_lean_the_same_way(lake):
    keys = lake.cell()
    lake.angles(keys, {0: [0.0], 1: [PI / 2], 2: [PI]})
    lake.angles(keys, {0: [0.0], 1: [PI / 2], 2: [-PI / 2]}, plane="feature")
    row = lake.row("select * from plane_agreement")
    assert row["classes"] == 3
    assert row["agreement"] == pytest.approx(2 / 3)
    # All 6 orders: sums 2 (identity), 1 + 0 + 0, ... only the identity reaches 2/3, so p is near 1/6.
    assert row["permutations"] == 9999
    assert row["permutation_p"] == pytest.approx(1 / 6, abs=0.02)


def test_model_agreement_and_its_null(lake):
    rng = np.random.default_rng(13)
    directions = rng.uniform(-PI, PI, 10)
    for model, angles in {
        "a": directions,
        "b": np.angle(np.exp(1j * (directions + 0.1))),
        "c": rng.uniform(-PI, PI, 10),
    }.items():
        lake.angles(lake.cell(model, model=model), {label: [float(a)] for label, a in enumerate(angles)})
    rows = {(r["model_a"], r["model_b"]): r for r in lake.rows("select * from model_agreement")}
    assert set(rows) == {("a", "b"), ("a", "c"), ("b", "c")}
    same = rows["a", "b"]
    assert same["agreement"] == pytest.approx(math.cos(0.1), abs=1e-12)
    assert same["permutation_p"] == pytest.approx(1 / 10000)
    assert rows["a", "c"]["permutation_p"] > 0.05
    p = [row["permutation_p"] for row in rows.values()]
    q = [row["permutation_q"] for row in rows.values()]
    assert q == pytest.approx(stats.false_discovery_control(p).tolist())


def test_permutation_p_equals_enumeration(lake):
    # Five classes have 120 orders; the share of orders at least as good is the exact p.
    rng = np.random.default_rng(14)
    a, b = rng.uniform(-PI, PI, (2, 5))
    b[:3] = a[:3]
    for model, angles in {"a": a, "b": b}.items():
        lake.angles(lake.cell(model, model=model), {label: [float(x)] for label, x in enumerate(angles)})
    row = lake.row("select * from model_agreement")
    orders = [np.cos(a - b[list(order)]).mean() for order in itertools.permutations(range(5))]
    exact = np.mean([value >= row["agreement"] - 1e-12 for value in orders])
    assert row["permutation_p"] == pytest.approx(exact, abs=0.02)


def test_only_shared_classes_bottlenecks_and_current_cells_are_compared(lake):
    old = lake.cell("old", model="a", selected_at="2025-01-01 00:00:00+00")
    a = lake.cell("a", model="a", layers=["first", "last"])
    b = lake.cell("b", model="b")
    lake.angles(old, {0: [3.0], 1: [3.0]})
    lake.angles(a, {0: [0.0], 1: [1.0], 2: [2.0]})
    lake.angles(a, {0: [3.0], 1: [3.0]}, layer="first")
    lake.angles(b, {0: [0.0], 1: [1.0]})
    row = lake.row("select * from model_agreement")
    assert (row["cell_key_a"], row["layer_a"], row["classes"]) == ("a", "last", 2)
    assert row["agreement"] == pytest.approx(1)


def test_models_without_two_shared_classes_have_no_p(lake):
    lake.angles(lake.cell("a", model="a"), {0: [0.0]})
    lake.angles(lake.cell("b", model="b"), {0: [0.5], 1: [1.0]})
    row = lake.row("select * from model_agreement")
    assert (row["classes"], row["permutation_p"], row["permutation_q"]) == (1, None, None)


def test_permutation_p_is_the_same_on_every_connection(lake):
    keys = lake.cell()
    angles = {0: [0.0], 1: [1.0], 2: [2.5], 3: [-1.0], 4: [-2.0]}
    lake.angles(keys, angles)
    lake.angles(keys, {k: [a[0] * 0.5] for k, a in angles.items()}, plane="feature")
    first, second = (lake.row("select permutation_p from plane_agreement") for _ in range(2))
    assert first == second


def test_self_centred_bias_equals_its_definition(lake):
    rng = np.random.default_rng(15)
    keys = lake.cell()
    dipoles = rng.normal(0.1, 0.05, (90, 2))
    labels = np.repeat([0, 1, 2], 30)
    dipoles[labels == 1] += 0.05
    for image, (dipole, label) in enumerate(zip(dipoles, labels, strict=True)):
        row = {"image_id": image, "label": int(label), "dipole_x": dipole[0], "dipole_y": dipole[1]}
        lake.insert("records", row, split="query", layer="last", class_name=f"c{label}", **keys)
    centred = dipoles - dipoles.mean(axis=0)
    theta = np.arctan2(centred[:, 1], centred[:, 0])
    rows = lake.rows(analysis("class_bias_self_centred"), split="query")
    groups = [theta[labels == label] for label in range(3)]
    for row, group in zip(rows, groups, strict=True):
        assert row["mww_w"] == pytest.approx(uniform_scores(groups), abs=1e-9)
        assert row["mww_chi2_p"] == pytest.approx(stats.chi2.sf(row["mww_w"], 4), rel=1e-9)
        assert row["mean_direction_rad"] == pytest.approx(np.angle(np.exp(1j * group).sum()), abs=1e-9)
        assert (row["n"], row["class_n"]) == (90, 30)
    assert lake.rows(analysis("class_bias_self_centred"), split="memory") == []


def test_rose_diagram_counts_every_angle_once(lake):
    lake.angles(lake.cell(), {0: [-PI + 1e-9, -PI / 2, 0.0, PI / 2, PI]})
    rows = lake.rows(analysis("rose_diagram"), split="query", bins=4)
    # Bins of a quarter turn, closed above: (-pi, -pi/2], (-pi/2, 0], (0, pi/2], (pi/2, pi].
    assert [(row["bin"], row["n"]) for row in rows] == [(1, 2), (2, 1), (3, 1), (4, 1)]
    assert rows[0]["bin_centre_rad"] == pytest.approx(-3 * PI / 4)


# Sectors of 15 degrees from -pi: 12 end at 0, 18 at pi/2, 24 at pi; a boundary belongs to the one it ends.
BOUNDARIES = [(0.0, 12), (1e-9, 13), (PI / 2, 18), (-PI / 2, 6), (PI, 24), (math.nextafter(-PI, 0), 1)]


def test_an_angle_on_the_boundary_lies_in_the_sector_that_it_ends(lake):
    for number, (angle, _) in enumerate(BOUNDARIES):
        lake.angles(lake.cell(f"k{number}", model=f"k{number}"), {0: [angle]})
    in_view = lake.rows("select cell_key, sector, sectors, n from theta_sectors order by cell_key")
    assert [tuple(row.values()) for row in in_view] == [
        (f"k{number}", sector, 24, 1) for number, (_, sector) in enumerate(BOUNDARIES)
    ]
    in_analysis = lake.rows(analysis("rose_diagram"), split="query", bins=24)
    assert [(row["cell_key"], row["bin"]) for row in in_analysis] == [
        row[:2] for row in map(tuple, map(dict.values, in_view))
    ]


def test_sectors_count_the_angles_of_a_class_at_the_bottleneck(lake):
    keys = lake.cell(layers=["first", "last"])
    lake.angles(keys, {0: [0.1, 0.1, 3.0], 1: [0.1, None]})
    lake.angles(keys, {0: [0.1]}, layer="first")
    lake.angles(keys, {0: [-3.0]}, plane="feature", split="memory")
    rows = lake.rows("select plane, split, label, sector, n from theta_sectors order by all")
    assert [tuple(row.values()) for row in rows] == [
        ("feature", "memory", 0, 1, 1),
        ("image", "query", 0, 13, 2),
        ("image", "query", 0, 24, 1),
        ("image", "query", 1, 13, 1),
    ]


def test_weak_angles_of_a_cell_are_those_of_its_bottleneck(lake):
    keys = lake.cell()
    lake.insert("frames", {"layer": "last", "floor_image": 0.1, "floor_feature": None}, **keys)
    for image, strength in enumerate([0.05, 0.2, 0.3, 0.4, None]):
        row = {"image_id": image, "strength_image": strength, "strength_feature": 0.3}
        lake.insert("angles", row, split="query", layer="last", **keys)
    rows = lake.rows("select plane, n, weak_share from weak_angles order by plane")
    assert [tuple(row.values()) for row in rows] == [("feature", 0, None), ("image", 4, 0.25)]
