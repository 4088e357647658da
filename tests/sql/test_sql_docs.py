"""docs/lake.md names every column, view, analysis and check; docs/columns.md where each is computed."""

import re
import sys
from pathlib import Path

import pytest

from u1core.lake import views
from u1core.lake.schema import COLUMNS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "lake.md"

sys.path.append(str(ROOT / "benchmarks"))
import columns_page  # noqa: E402

sys.path.pop()


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text()


def table_rows(section):
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in section.splitlines()
        if "|" in line
    ]


@pytest.mark.parametrize("table", COLUMNS)
def test_every_column_is_listed_with_its_unit_and_description(page, table):
    (section,) = re.findall(rf"^### {table}\n(.*?)(?=^##)", page, re.M | re.S)
    listed = [
        (name, unit, description.replace("\\|", "|"))
        for name, _, unit, description in table_rows(section)[2:]
    ]
    assert listed == [(column.name, column.unit, column.description) for column in COLUMNS[table]]


def test_every_view_is_listed(page):
    (section,) = re.findall(r"^## Views\n(.*?)(?=^##)", page, re.M | re.S)
    listed = {name.strip() for row in table_rows(section)[2:] for name in row[0].split(",")}
    assert listed == set(views.view_files())


@pytest.mark.parametrize(
    ("title", "names"), [("Questions ready to ask", views.analyses()), ("Checks", list(views.checks()))]
)
def test_every_query_file_is_listed(page, title, names):
    (section,) = re.findall(rf"^## {title}\n(.*?)(?=^##)", page, re.M | re.S)
    assert [row[0] for row in table_rows(section)[2:]] == names


def test_view_columns_named_on_the_page_exist(page, empty):
    connection, _ = empty
    (section,) = re.findall(r"^## Views\n(.*?)(?=^##)", page, re.M | re.S)
    for names, _, columns in table_rows(section)[2:]:
        if "," not in names:
            named = set(re.findall(r"`([a-z_0-9]+)`", columns))
            known = set(connection.sql(f"from {names}").columns) | {"angles"}
            assert named <= known, names


def test_the_page_of_columns_is_current():
    assert (ROOT / "docs" / "columns.md").read_text() == columns_page.page(), "make columns writes it"


def test_every_column_of_every_view_is_followed(empty):
    connection, _ = empty
    for view in views.view_files():
        assert set(columns_page.columns(view)) == set(connection.sql(f"from {view}").columns), view


@pytest.mark.parametrize(
    ("view", "column", "name", "text"),
    [
        ("class_bias", "mww_q", "sql/views/classes/class_bias.sql", "q as mww_q"),
        ("plane_agreement", "permutation_p", "sql/views/classes/agreements.sql", "as permutation_p,"),
        ("records", "ee50_radius", "records", None),
        ("plane_angles", "is_weak", "sql/views/images/angles.sql", "as is_weak_image"),
        ("claim_bias", "claim", "sql/views/claims/claim_bias.sql", "3 as claim"),
    ],
)
def test_a_column_leads_to_the_line_that_computes_it(view, column, name, text):
    place = columns_page.columns(view)[column]
    assert place.name == name
    lines = (ROOT / name).read_text().splitlines() if text else []
    assert (text is None and not place.line) or text in lines[place.line - 1]
