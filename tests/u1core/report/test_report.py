import datetime as dt
import os
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
from synthetic_lake import CLASSES, LAYERS, write_synthetic_lake, write_synthetic_training

from u1core.cells.variants import VARIANTS
from u1core.common.errors import U1Error
from u1core.lake.connect import EXPENSIVE_VIEWS, connect
from u1core.lake.store import Lake
from u1core.lake.views import view_paths
from u1core.report import words
from u1core.report import write as report
from u1core.report.data import CellName, read
from u1core.report.figures.agreement import heat
from u1core.report.figures.angles import Direction
from u1core.report.figures.axis import Track, panel
from u1core.report.figures.canvas import CARD, MARKERS, SMALL, Mark
from u1core.report.figures.energy import EnergyMap, energy_map, radial_profile, sombrero_surface
from u1core.report.figures.location import Places, accuracy_by_radius, accuracy_map
from u1core.report.sections import controls, page
from u1core.report.sections.scene import Scene
from u1core.report.write import render_report, write_report

AT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
VOID = {"meta", "link", "img", "br", "hr"}
CELL_CARDS = (
    "Mean energy map",
    "Sombrero surface",
    "Angle by class, image plane",
    "Angle by class, activation space",
    "Memory-based classification",
    "Confusion, pooled 1-NN",
)
SUBJECTS = ("axis", "sombrero", "agreement", "controls", "location", "uncertainty")
TURNED = ("hflip", "rot90", "rot180", "rot270")
BOTTLENECK = next(layer for layer in LAYERS if layer.is_bottleneck)


class Page(HTMLParser):
    """What a browser would see: ids, references, pictures and text; an unbalanced tag raises."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.references, self.texts = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.ids += [v for k, v in attrs if k == "id"]
        self.references += [v for k, v in attrs if k in ("src", "href", "srcset", "action", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    @property
    def pictures(self):
        return [r for r in self.references if r.startswith("data:image/svg+xml,")]


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """cifar10 with every variant of one model, another model and the pixels; digits with one cell."""
    root = tmp_path_factory.mktemp("report") / "lake"
    write_synthetic_lake(
        root, ("cifar10",), ("resnet20",), variants=tuple(VARIANTS), failed_models=("resnet50",)
    )
    write_synthetic_lake(root, ("cifar10",), ("resnet32", "pixels"))
    return write_synthetic_lake(root, ("digits",), ("resnet20",))


@pytest.fixture(scope="module")
def connection(lake):
    return connected(lake)


@pytest.fixture(scope="module")
def html(connection):
    return render_report(connection, written_at=AT)


@pytest.fixture(scope="module")
def page_(html):
    return Page(html)


@pytest.fixture(scope="module")
def scene(connection):
    return Scene("cifar10", read(connection))


def connected(root):
    """As `u1 report` does: the expensive views are computed once."""
    return connect(root, frozen=EXPENSIVE_VIEWS)


def render(root):
    return Page(render_report(connected(root), written_at=AT))


def test_every_section_is_there(page_):
    assert {"claims", "glance", "cifar10", "digits"} <= set(page_.ids)
    assert {f"{dataset}-{s}" for dataset in ("cifar10", "digits") for s in SUBJECTS} <= set(page_.ids)
    assert {"cifar10-resnet20-original", "cifar10-resnet32-original", "cifar10-pixels-original"} <= set(
        page_.ids
    )
    assert "cifar10-resnet20-random_init" not in page_.ids  # a control is compared, not described
    for title in CELL_CARDS[:3]:
        assert page_.text.count(f"{title}.") == 4, title
    for title in CELL_CARDS[3:]:
        assert page_.text.count(f"{title}.") == (4 if "Memory" in title else 3), (
            title
        )  # pixels: one plane, energy only
    for variant in TURNED:
        assert f"resnet20, {variant}." in page_.text


def test_training_stands_on_the_page_before_the_data_sets(tmp_path):
    page_ = render(write_synthetic_training(tmp_path / "lake"))
    assert page_.ids.index("training") < page_.ids.index("training-cifar10-small_cnn_64")
    for title in (
        "Gain over the one-hot arm",
        "Accuracy on held-out images",
        "Loss on points",
        "onehot+u1: planned and measured",
        "u1: planned and measured",
    ):
        assert page_.text.count(f" {title}.") == 1, title
    assert "3 seeds of every arm, 4 epochs over 900 images, 100 held out, tested once on 200." in page_.text
    assert len(page_.pictures) == 5


def test_without_training_there_is_no_section_on_it(page_):
    assert "training" not in page_.ids


def test_every_claim_is_shown_with_its_verdict_evidence_and_caveat(connection, page_):
    rows = connection.execute("select statement, verdict, evidence, caveat from claims").fetchall()
    assert len(rows) == 5
    assert sum(row[3] is not None for row in rows) >= 3
    for cell in (text for row in rows for text in row if text is not None):
        assert " ".join(cell.split()) in page_.text


def test_a_failed_cell_is_shown_with_its_error_line(page_):
    assert "1 cell failed" in page_.text
    assert "resnet50 on cifar10: expected the weights file; got no network; download it first" in page_.text
    cells = len(VARIANTS) + 2  # resnet32 and the pixels beside resnet20's
    assert f"cifar10: {cells} × decode, cannot identify image file (in {cells} cells)" in page_.text


def test_the_numbers_beside_a_figure_are_those_of_the_view(connection, page_):
    query = "select mww_w, mww_dof, n from class_bias where split = 'query' and variant = 'original'"
    rows = connection.execute(query).fetchall()
    shown = [row for row in rows if f"W = {words.number(row[0], 5)}, {row[1]} dof" in page_.text]
    assert len(shown) == 7  # both planes of three models and one of the pixels; bottlenecks only


def test_nothing_is_fetched_from_outside(html, page_):
    assert not re.search(r"https?://|@import|<script|url\((?!%23)", html)
    for reference in page_.references:
        assert reference.startswith(("data:", "#")), reference[:60]
    for uri in page_.pictures:
        links = re.findall(r"(?:href|src)='([^']*)'", unquote(uri))
        assert all(link.startswith(("#", "data:image/png;")) for link in links)
    for anchor in (r[1:] for r in page_.references if r.startswith("#")):
        assert page_.ids.count(anchor) == 1


def test_every_source_named_is_a_view(page_):
    paths = set(re.findall(r"sql/views/[\w/]+\.sql", page_.text))
    assert paths <= set(view_paths().values())
    named = {path.removesuffix(".sql").split("/")[-1] for path in paths}
    assert {"claims", "class_bias", "class_directions", "memory_report", "sombrero", "controls"} <= named
    assert {"composition", "class_agreement", "location_report", "theta_uncertainty"} <= named


def test_pictures_are_small_well_formed_and_of_two_sizes(page_):
    sizes = set()
    for uri in page_.pictures:
        root = ET.fromstring(unquote(uri.split(",", 1)[1]))
        sizes.add((root.get("width"), root.get("height")))
        assert len(uri) < 80_000
    assert len(sizes) == len({CARD, SMALL})


def test_the_report_stays_small(html):
    assert len(html) < 3_000_000


def test_the_same_lake_gives_the_same_bytes_but_for_the_time(connection, html):
    later = render_report(connection, written_at=AT + dt.timedelta(days=1))
    assert later != html
    assert re.sub("<time.*?</time>", "", later) == re.sub("<time.*?</time>", "", html)


def test_write_report_replaces_the_file_and_leaves_nothing_else(tmp_path):
    Lake.open(tmp_path / "lake", create=True)
    out = tmp_path / "report" / "index.html"
    for _ in range(2):
        assert write_report(connected(tmp_path / "lake"), out) == out
    assert [p.name for p in out.parent.iterdir()] == ["index.html"]


def test_a_report_that_cannot_be_written_keeps_the_old_one(tmp_path, monkeypatch):
    Lake.open(tmp_path / "lake", create=True)
    out = tmp_path / "index.html"
    out.write_text("old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(U1Error, match="No space left on device"):
        write_report(connected(tmp_path / "lake"), out)
    assert out.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index.html", "lake"]


def test_empty_lake_says_what_to_type(tmp_path):
    Lake.open(tmp_path, create=True)
    page = render(tmp_path)
    assert "Type u1 sweep" in page.text
    assert page.text.count("not tested seen not tested beyond its controls not tested") == 5
    assert page.pictures == []


def test_a_lake_of_failures_shows_them(tmp_path):
    page = render(write_synthetic_lake(tmp_path, models=(), failed_models=("resnet50",)))
    assert "1 cell failed" in page.text
    assert "Type u1 sweep" in page.text


def test_progress_is_told_cell_by_cell(tmp_path):
    lines = []
    root = write_synthetic_lake(tmp_path / "lake", models=("resnet20",), per_class=2, layers=LAYERS[2:])
    write_report(connected(root), tmp_path / "index.html", notify=lines.append)
    assert lines == ["drawing cifar10", "drawing resnet20 on cifar10"]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({"absent_from_query": [3]}, "Without an angle: cat."),
        ({"null_angles": True}, "The two planes cannot be compared here."),
        ({"classes": ("only",), "per_class": 3}, "The classes cannot be tested here."),
        ({"classes": CLASSES[:2], "per_class": 1}, "2 classes; 2 memory and 3 query images"),
        ({"layers": (BOTTLENECK,)}, "Along the optical axis"),
        (
            {"classes": tuple(f"class number {i}" for i in range(20)), "per_class": 2},
            "The first 12 classes by label; 8 more are in the view.",
        ),
        ({"models": ("pixels",)}, "Angle by class, image plane."),
        ({"variants": ("random-init",)}, "resnet20 (random-init) on cifar10"),
    ],
)
def test_dull_lakes(tmp_path, case, expected):
    page = render(write_synthetic_lake(tmp_path, **({"models": ("resnet20",)} | case)))
    assert expected in page.text
    assert "Model agreement needs two models" in page.text


def test_what_is_missing_is_said_with_the_command_that_fills_it(page_, tmp_path):
    page = render(write_synthetic_lake(tmp_path, models=("resnet20",), per_class=2))
    commands = (
        "u1 sweep --variants original,controls,jitter",
        "u1 sweep --variants original,hflip,jitter",
        "u1 sweep --models pixels",
    )
    for command in commands:
        assert page.text.count(command) == 1
        assert page_.text.count(command) == 1  # digits only: cifar10 has everything
    assert "--location-limit" not in page.text
    assert "--location-limit" in render(write_synthetic_lake(tmp_path / "b", variants=("random-init",))).text


def test_many_cells_are_folded_and_the_last_ones_not_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "MAX_OPEN_CELLS", 1)
    monkeypatch.setattr(page, "MAX_DRAWN_CELLS", 1)
    root = write_synthetic_lake(tmp_path, per_class=2)
    seen = render(root)
    assert "cifar10-resnet32-original" in seen.ids
    assert seen.text.count("Mean energy map.") == 1
    assert seen.text.count("Pictures are drawn for the first") == 1


# -- what is shown of a dataset ---------------------------------------------------------------------


def test_a_model_is_shown_by_its_original_and_compared_with_its_random_weights(scene):
    assert [row["variant"] for row in scene.shown] == ["original"] * 3
    assert {n.label for n in scene.compared} == {"resnet20", "resnet20 (random-init)", "resnet32", "pixels"}
    assert [n.model for n in scene.networks] == ["resnet20", "resnet32"]


def test_marks_share_a_colour_per_model_and_are_hollow_for_controls(scene):
    own, control, baseline = (
        scene.marks[CellName("cifar10", *name)]
        for name in (("resnet20", "original"), ("resnet20", "random-init"), ("pixels", "original"))
    )
    assert own.colour == control.colour != baseline.colour
    assert [m.is_control for m in (own, control, baseline)] == [False, True, True]
    assert own.style["mfc"] == own.colour
    assert control.style["mfc"] == "white"
    assert len({Mark("", i).glyph for i in range(len(MARKERS))}) == len(MARKERS)


def test_expected_turns_are_those_of_the_view(connection):
    rows = connection.execute("select variant, mirror, turn_rad from variant_transforms").fetchall()
    for variant, mirror, turn in rows:
        if mirror or turn:
            expected = turn - 0.3 if mirror else turn + 0.3
            assert controls.TURNS[variant](0.3) == pytest.approx(expected)
    assert {variant for variant, *_ in rows} == {"original", *controls.VARIANTS} == set(VARIANTS)


def test_the_synthetic_variants_do_what_they_are_named_for(connection):
    """The generator's own check: turned pictures turn theta, random weights do not know it."""
    query = """
        select variant, complex_correlation
        from controls
        where is_bottleneck and split = 'query' and plane = 'image' and model = 'resnet20'
    """
    found = dict(connection.execute(query).fetchall())
    assert found.pop("random-init") < 0.5
    assert min(found.values()) > 0.8


# -- words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (None, 3, "—"),
        (float("nan"), 3, "—"),
        (0.0, 3, "0.00"),
        (-0.12345, 2, "−0.12"),
        (1365.251, 5, "1365.3"),
        (12345.6, 3, "12346"),
        (3.21e-91, 2, "3.2 × 10⁻⁹¹"),
    ],
)
def test_number(value, digits, expected):
    assert words.number(value, digits) == expected


def test_a_probability_too_small_for_a_double_is_not_called_zero():
    assert words.probability("p", 0.0) == "p < 10⁻³⁰⁰"
    assert words.probability("q", 0.012) == "q = 0.012"
    assert words.probability("q", None) == "q —"


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        (1.10432, 0.0123, "1.104 ± 0.012"),
        (-3.0, 0.5, "−3.00 ± 0.50"),
        (1.5, None, "1.50"),
        (1.5, 0.0, "1.50"),
        (None, 0.1, "—"),
        (250_000.0, 1200.0, "2.50 × 10⁵ ± 1200"),
    ],
)
def test_plus_minus(value, error, expected):
    assert words.plus_minus(value, error) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(None, "—"), (np.pi, "180°"), (-0.1, "−5.7°"), (-1e-6, "0.0°")]
)
def test_degrees(value, expected):
    assert words.degrees(value) == expected


# -- figures ----------------------------------------------------------------------------------------


def test_a_confidence_arc_runs_counter_clockwise_across_pi():
    across = Direction("airplane", np.pi, np.radians(170), np.radians(-170))
    start, span = across.arc
    assert np.degrees(start) == pytest.approx(170)
    assert np.degrees(span) == pytest.approx(20)
    assert Direction("airplane", 0.3, None, None).arc is None


def is_picture(picture):
    return picture.uri.startswith("data:image/svg+xml,")


def test_an_energy_map_without_fit_or_light_is_drawn():
    dark = EnergyMap(np.zeros((3, 5)), None, None, [0.0], [0.0], None, None)
    assert all(is_picture(draw(dark)) for draw in (energy_map, sombrero_surface, radial_profile))


@pytest.mark.parametrize(("trough", "error"), [(0.7, 0.01), (1.2, None), (3.0, 0.5)])
def test_a_trough_is_drawn_wherever_it_lies(trough, error):
    hat = EnergyMap(np.ones((3, 3)), 0.7, 1.5, [0.0, 1.0], [2.0, 1.0], (2.0, 2.0, 1.0), trough, error)
    assert is_picture(radial_profile(hat))


def test_a_track_of_one_point_and_one_without_values_are_drawn():
    one = Track(Mark("pixels", 1, is_control=True), [32.0], [0.7], 0)
    none = Track(Mark("resnet20"), [32.0, 1.0], [None, None], None)
    assert is_picture(panel([one, none], "EE50", reference=0.8))
    assert is_picture(panel([one], "energy", log=True))


def test_places_that_know_nothing_are_drawn():
    flat = np.full(4, 0.1)
    places = Places(flat.reshape(2, 2), np.full(4, 0.7), flat, flat, 0.1, None, None, {})
    assert is_picture(accuracy_map(places))
    assert is_picture(accuracy_by_radius(places))


def test_pairs_without_agreement_are_left_white():
    values = np.array([[np.nan, 0.9], [np.nan, np.nan]])
    assert is_picture(heat(["a", "b (random-init)"], values, np.zeros((2, 2), dtype=bool)))
