"""What stands beside the claims, from rows by hand: badges, the 2 x 2, refitted nulls, random weights."""

import math
import xml.etree.ElementTree as ET
from urllib.parse import unquote

import jinja2
import numpy as np
import pytest

from u1core.report.blocks import Badge, Value
from u1core.report.data import Answers
from u1core.report.figures.canvas import CARD
from u1core.report.figures.verdicts import (
    Corner,
    Null,
    Part,
    Strip,
    against_nulls,
    attribution,
    populations,
)
from u1core.report.sections import claims

STATES = ("holds", "refuted", "inconclusive", "not tested")


def focus(dataset="cifar10", model="net", **more):
    """A row of `attribution`: the corners of docs/method.md, in logarithms."""
    values = {"focus": 0.67, "padding_part": 0.29, "placement_part": 0.38, "interaction": -0.19}
    values |= {"floor": 0.01, "reestimation": 0.03}
    errors = {f"{name}_se": 0.02 for name in values}
    row = {"dataset": dataset, "model": model, "n": 600, "is_broken": False}
    return row | values | errors | more


def mean_map(variant, dataset="cifar10", model="net"):
    keys = {"dataset": dataset, "model": model, "variant": variant}
    return keys | {
        "mean_energy": [1.0, 2.0, 3.0, 2.0], "height": 2, "width": 2, "ee50_radius": 0.6,
        "centre_density_ratio": 1.95,
    }  # fmt: skip


def population(key, figure, padding="", **more):
    row = {"cell_key": key, "dataset": "cifar10", "model": key, "figure": figure, "padding": padding}
    return row | {"seeds": 2, "mean": 0.2, "sd": 0.1, "bound": 0.4} | more


def judged(key, figure, **estimates):
    """Rows of evidence and its controls: estimates by variant, written with _ for - and __ for :."""
    for variant, estimate in estimates.items():
        name = variant.replace("__", ":").replace("plus_", "+").replace("_", "-")
        yield {"evidence_key": key, "variant": name, "figure": figure, "estimate": estimate, "se": 0.05}


def loco(key="k", **more):
    row = {"cell_key": key, "dataset": "cifar10", "model": "net", "is_evidence": True}
    for figure, value in (("agreement", 0.9), ("joint_effect", 0.24)):
        row |= {figure: value, f"{figure}_p": 0.002}
        row |= {f"null_{figure}_{at}": v for at, v in (("low", -0.4), ("median", 0.0), ("high", 0.4))}
    return row | more


def verdict(claim, dataset="cifar10", model="net", seen="holds", beyond="not tested"):
    row = {"claim": claim, "dataset": dataset, "model": model, "evidence": "energy concentrates: holds"}
    return row | {"is_seen": seen, "is_beyond_controls": beyond}


def a_test(state="holds", **more):
    row = {"claim": 1, "dataset": "cifar10", "model": "net", "cell_key": "k", "question": "seen"}
    row |= {"test": "energy concentrates", "state": state, "estimate": 0.67, "low": 0.64, "high": 0.7}
    return row | {"margin": 0.57, "lacks": None} | more


def answers(**tables):
    names = (
        "attribution",
        "energy_maps",
        "loco",
        "judged_figures",
        "population",
        "claims_by_cell",
        "claim_tests",
    )
    return Answers({name: [] for name in (*names, "cells")} | tables)


def by_place(found):
    return {subject.anchor: subject for subject in claims.subjects(found)}


def picture(drawing):
    """The SVG of a drawing, as a tree; every picture is one of CARD's size below 80 kB."""
    assert len(drawing.uri) < 80_000
    assert (drawing.width, drawing.height) == tuple(round(100 * side) for side in CARD)
    return ET.fromstring(unquote(drawing.uri.split(",", 1)[1]))


# -- beside which claim ---------------------------------------------------------------------------


def test_without_controls_there_are_no_pictures():
    assert claims.subjects(answers()) == []


def test_the_two_by_two_says_whose_the_focus_is():
    corners = [mean_map(variant) for variant in claims.CORNERS]
    found = by_place(answers(attribution=[focus()], energy_maps=corners))
    (card,) = found[claims.FOCUS].cards
    assert card.title == "net on cifar10"
    assert card.caption == (
        "Of ln(density ratio) 0.670 ± 0.020 the padding makes 0.290 ± 0.020, the photographer 0.380 ± 0.020; "
        "floor 0.010 ± 0.020; 600 images."
    )
    assert claims.PLACES[1] == claims.PLACES[2] == claims.FOCUS
    picture(card.drawing)


def test_a_broken_control_is_said_and_an_empty_one_not_drawn():
    rows = [focus(is_broken=True), focus(model="dark", n=0)]
    (card,) = by_place(answers(attribution=rows))[claims.FOCUS].cards
    assert card.caption.endswith("this control is broken, its parts say nothing.")


def test_what_is_not_drawn_is_counted(monkeypatch):
    monkeypatch.setattr(claims, "MAX_SERIES", 1)
    subject = by_place(answers(attribution=[focus(), focus(model="b"), focus(model="c")]))[claims.FOCUS]
    assert len(subject.cards) == 1
    assert [note.text for note in subject.notes] == ["2 more networks are in the view attribution."]


def test_maps_are_drawn_at_mean_one():
    corner = claims._corner(mean_map("original"))
    assert corner.energy.tolist() == [[0.5, 1.0], [1.5, 1.0]]
    dark = claims._corner(mean_map("original") | {"mean_energy": [0.0] * 4})
    assert dark.energy.tolist() == [[0, 0], [0, 0]]


def test_random_weights_stand_behind_the_trained_network_of_their_padding():
    figure = "ln centre density"
    rows = [population("net", figure), population("net", figure, "circular", mean=-0.03, bound=0.1)]
    seen = judged(
        "net", figure, original=0.67, pad_circular=0.57, random_init__0=0.1, random_init__1=0.3,
        pad_circularplus_random_init__0=-0.05,
    )  # fmt: skip
    (row, circular), seen = rows, list(seen)
    assert claims._strip(row, seen) == Strip("net\ncifar10", "", 0.67, 0.05, [0.1, 0.3], 0.2, 0.4)
    assert claims._strip(circular, seen) == Strip("net\ncifar10", "circular", 0.57, 0.05, [-0.05], -0.03, 0.1)
    (card,) = by_place(answers(population=rows, judged_figures=seen))[claims.FOCUS].cards
    assert card.title == "Before random weights: ln(centre density ratio)"


def test_many_networks_make_several_pictures(monkeypatch):
    monkeypatch.setattr(claims, "MAX_STRIPS", 2)
    rows = [population(f"net{i}", "bits") for i in range(5)]
    assert len(by_place(answers(population=rows))[claims.MEMORY].cards) == 3


def test_what_was_seen_stands_beside_its_null_and_random_weights():
    seeds = list(judged("k", "agreement", random_init__0=0.5, random_init__1=0.7, original=0.9))
    found = answers(loco=[loco(), loco("b", model="b", agreement_p=None), loco("c", is_evidence=False)])
    found.tables["judged_figures"].extend(seeds)
    (card,) = by_place(found)[claims.PLANES].cards
    assert card.title == "Each class left out"
    null = claims._null(claims._figures(found), loco(), "agreement")
    assert null == Null("net\ncifar10", 0.9, -0.4, 0.0, 0.4, 0.002, [0.5, 0.7])


# -- cell by cell -----------------------------------------------------------------------------------


def test_cells_are_rows_and_claims_columns():
    rows = [verdict(1), verdict(3, beyond="refuted"), verdict(5, "digits", "small_cnn", "refuted", "refuted")]
    found = answers(
        claims_by_cell=rows,
        cells=[{"dataset": "cifar10", "model": "net", "is_current": True, "is_evidence": True}],
    )
    table = claims.by_cell(found)
    assert table.head == ("dataset", "model", "claim 1", "claim 3", "claim 5")
    first, second = table.rows
    assert first[:2] == ["cifar10", Value("net", href="cifar10-net-original")]
    hint = "energy concentrates: holds"
    assert first[3] == Value("", badges=(Badge("holds", "seen", hint), Badge("refuted", "beyond", hint)))
    assert first[4] == "—"
    assert second[:4] == ["digits", Value("small_cnn"), "—", "—"]  # a training has no section of its own
    assert claims.by_cell(answers()) is None


def test_every_test_is_listed_while_cells_are_few(monkeypatch):
    rows = [a_test(), a_test("not tested", estimate=None, low=None, high=None, margin=None, lacks="roll")]
    first, second = claims.every_test(answers(claim_tests=rows)).rows
    assert first[5:] == [Value("", badges=(Badge("holds"),)), "0.670", "0.640 to 0.700", "0.570", ""]
    assert second[5:] == [Value("", badges=(Badge("not tested"),)), "—", "—", "—", "roll"]
    monkeypatch.setattr(claims, "MAX_TESTED", 0)
    assert claims.every_test(answers(claim_tests=rows)) is None


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_a_badge_of_its_own(state):
    environment = jinja2.Environment(loader=jinja2.PackageLoader("u1core.report"), autoescape=True)
    environment.filters["sql_file"] = str
    blocks = environment.get_template("blocks.html.j2").module
    name = state.replace(" ", "-")
    assert str(blocks.badge(state)).strip() == f'<span class="badge {name}">{state}</span>'
    hinted = str(blocks.badge(state, "seen", 'a "b" <i>'))
    assert 'title="a &#34;b&#34; &lt;i&gt;"><i>seen</i> ' + state in hinted
    style, _, _ = environment.loader.get_source(environment, "style.css")
    assert f".badge.{name} {{" in style


# -- pictures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [1, 8, 64])
def test_four_corners_make_a_picture(side):
    rng = np.random.default_rng(0)
    corner = Corner(rng.uniform(size=(side, side)), 0.6, 1.9)
    picture(attribution([corner, None, Corner(np.zeros((2, 3)), None, None), corner], [Part("P", 0.3, 0.02)]))


def test_parts_that_are_not_known_are_drawn_as_dashes():
    picture(
        attribution([None] * 4, [Part("P", None, None, 0), Part("G", 0.1, None, 1), Part("floor", 0.0, 0.0)])
    )


@pytest.mark.parametrize("cells", [1, claims.MAX_NULLS])
def test_every_cell_stands_against_its_null(cells):
    nulls = [
        Null(f"net{i}\ncifar10", 0.9, -0.4, 0.0, 0.4, p, [0.1] * 20) for i, p in enumerate([0.0001] * cells)
    ]
    unknown = [Null("net0\ncifar10", 0.2, -0.1, 0.0, 0.1, None)]
    picture(against_nulls([("agreement A", nulls), ("joint effect J", unknown)], 0.01))


def test_strips_without_a_bound_or_a_trained_network_are_drawn():
    strips = [
        Strip("net\ncifar10", "", 0.6, 0.05, [0.1] * 20, 0.1, None),
        Strip("net\ncifar10", "circular", None, None, [], None, math.nan),
        *(
            Strip(f"net{i}\ncifar10", padding, 0.6, None, [0.1] * 20, 0.1, 0.3)
            for i in range(7)
            for padding in ("", "circular")
        ),
    ]
    picture(populations(strips, "ln(centre density ratio)"))
