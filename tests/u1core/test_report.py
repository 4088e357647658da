import datetime as dt
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
from synthetic_lake import CLASSES, LAYERS, write_synthetic_lake

from u1core import report
from u1core.errors import U1Error
from u1core.lake.sql import connect, view_files
from u1core.lake.store import Lake
from u1core.report import figures, render_report, sections, write_report

AT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
VOID = {"meta", "link", "img", "br", "hr"}
CELL_CARDS = (
    "Mean energy map",
    "Sombrero surface",
    "Radial profile",
    "Angle by class, image plane",
    "Angle by class, activation space",
    "Memory-based classification",
    "Confusion, pooled 1-NN",
    "Concentration along the layers",
)


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
    root = tmp_path_factory.mktemp("report") / "lake"
    write_synthetic_lake(root, ("cifar10",), ("resnet20", "resnet32"), failed_models=("resnet50",))
    return write_synthetic_lake(root, ("digits",), ("resnet20",), variants=("original", "random-init"))


@pytest.fixture(scope="module")
def html(lake):
    return render_report(connect(lake), written_at=AT)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def render(root):
    return Page(render_report(connect(root), written_at=AT))


def test_every_section_is_there(page):
    assert {"claims", "glance", "cifar10", "digits"} <= set(page.ids)
    assert {"cifar10-resnet20-original", "cifar10-resnet32-original"} <= set(page.ids)
    assert {"digits-resnet20-original", "digits-resnet20-random_init"} <= set(page.ids)
    for title in CELL_CARDS:
        assert page.text.count(f"{title}.") == 4, title
    assert page.text.count("Class directions across models, image plane.") == 2
    assert len(page.pictures) == 4 * len(CELL_CARDS) + 2 * 2


def test_every_claim_is_shown_with_its_verdict_and_evidence(lake, page):
    rows = connect(lake).execute("select statement, verdict, evidence from claims").fetchall()
    assert len(rows) == 5
    for cell in (text for row in rows for text in row):
        assert " ".join(cell.split()) in page.text


def test_a_failed_cell_is_shown_with_its_error_line(page):
    assert "1 cell failed" in page.text
    assert "resnet50 on cifar10: expected the weights file; got no network; download it first" in page.text
    assert "cifar10: 2 × decode, cannot identify image file (in 2 cells)" in page.text


def test_the_numbers_beside_a_figure_are_those_of_the_view(lake, page):
    rows = connect(lake).execute("select mww_w, mww_dof, n from class_bias where split = 'query'").fetchall()
    bottleneck = [row for row in rows if f"W = {sections.number(row[0], 5)}, {row[1]} dof" in page.text]
    assert len(bottleneck) == 8  # two planes of four cells; the other layers are not drawn


def test_nothing_is_fetched_from_outside(html, page):
    assert not re.search(r"https?://|@import|<script|url\((?!%23)", html)
    for reference in page.references:
        assert reference.startswith(("data:", "#")), reference[:60]
    for uri in page.pictures:
        links = re.findall(r"(?:href|src)='([^']*)'", unquote(uri))
        assert all(link.startswith(("#", "data:image/png;")) for link in links)
    for anchor in (r[1:] for r in page.references if r.startswith("#")):
        assert page.ids.count(anchor) == 1


def test_every_source_named_is_a_view(page):
    named = set(re.findall(r"sql/views/(\w+)\.sql", page.text))
    assert {"claims", "class_bias", "class_directions", "memory_report", "sombrero"} <= named
    assert named <= set(view_files())


def test_pictures_are_small_well_formed_and_alike_in_size(page):
    sizes = set()
    for uri in page.pictures:
        root = ET.fromstring(unquote(uri.split(",", 1)[1]))
        sizes.add((root.get("width"), root.get("height")))
        assert len(uri) < 80_000
    assert len(sizes) == 1


def test_the_same_lake_gives_the_same_bytes_but_for_the_time(lake, html):
    later = render_report(connect(lake), written_at=AT + dt.timedelta(days=1))
    assert later != html
    assert re.sub("<time.*?</time>", "", later) == re.sub("<time.*?</time>", "", html)


def test_write_report_replaces_the_file_and_leaves_nothing_else(tmp_path):
    Lake.open(tmp_path / "lake", create=True)
    out = tmp_path / "report" / "index.html"
    for _ in range(2):
        assert write_report(connect(tmp_path / "lake"), out) == out
    assert [p.name for p in out.parent.iterdir()] == ["index.html"]


def test_a_report_that_cannot_be_written_keeps_the_old_one(tmp_path, monkeypatch):
    Lake.open(tmp_path / "lake", create=True)
    out = tmp_path / "index.html"
    out.write_text("old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report.os, "fsync", full)
    with pytest.raises(U1Error, match="No space left on device"):
        write_report(connect(tmp_path / "lake"), out)
    assert out.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index.html", "lake"]


def test_empty_lake_says_what_to_type(tmp_path):
    Lake.open(tmp_path, create=True)
    page = render(tmp_path)
    assert "Type u1 sweep" in page.text
    assert page.text.count("not tested") == 5
    assert page.pictures == []


def test_a_lake_of_failures_shows_them(tmp_path):
    page = render(write_synthetic_lake(tmp_path, models=(), failed_models=("resnet50",)))
    assert "1 cell failed" in page.text
    assert "Type u1 sweep" in page.text


def test_progress_is_told_cell_by_cell(tmp_path):
    lines = []
    root = write_synthetic_lake(tmp_path / "lake", models=("resnet20",), per_class=2, layers=LAYERS[2:])
    write_report(connect(root), tmp_path / "index.html", notify=lines.append)
    assert lines == ["drawing cifar10", "drawing resnet20 on cifar10"]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({"absent_from_query": [3]}, "Without an angle: cat."),
        ({"null_angles": True}, "Nothing to draw: the lake has no value here."),
        ({"classes": ("only",), "per_class": 3}, "The classes cannot be tested here."),
        ({"classes": CLASSES[:2], "per_class": 1}, "2 classes; 2 memory and 3 query images"),
        ({"layers": LAYERS[2:]}, "Layers in order of execution: layer3. "),
        (
            {"classes": tuple(f"class number {i}" for i in range(110)), "per_class": 2},
            "The first 12 classes by label; 98 more are in the view.",
        ),
    ],
)
def test_dull_lakes(tmp_path, case, expected):
    page = render(write_synthetic_lake(tmp_path, models=("resnet20",), **case))
    assert expected in page.text
    assert "Model agreement needs two models" in page.text


def test_many_cells_are_folded_and_the_last_ones_not_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "MAX_OPEN_CELLS", 1)
    monkeypatch.setattr(sections, "MAX_DRAWN_CELLS", 1)
    root = write_synthetic_lake(tmp_path, per_class=2)
    html = render_report(connect(root), written_at=AT)
    assert html.count("<details") == 2
    assert len(Page(html).pictures) == len(CELL_CARDS) + 2


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
    assert sections.number(value, digits) == expected


def test_a_probability_too_small_for_a_double_is_not_called_zero():
    assert sections.probability("p", 0.0) == "p < 10⁻³⁰⁰"
    assert sections.probability("q", 0.012) == "q = 0.012"
    assert sections.probability("q", None) == "q —"


def test_a_confidence_arc_runs_counter_clockwise_across_pi():
    across = figures.Direction("airplane", np.pi, np.radians(170), np.radians(-170))
    start, span = across.arc
    assert np.degrees(start) == pytest.approx(170)
    assert np.degrees(span) == pytest.approx(20)
    assert figures.Direction("airplane", 0.3, None, None).arc is None


def test_an_energy_map_without_fit_or_light_is_drawn():
    dark = figures.EnergyMap(np.zeros((3, 5)), None, None, [0.0], [0.0], None, None)
    for draw in (figures.energy_map, figures.sombrero_surface, figures.radial_profile):
        assert draw(dark).uri.startswith("data:image/svg+xml,")
