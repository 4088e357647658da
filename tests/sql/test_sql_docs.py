"""docs/lake.md names every column, view, analysis and check."""

import re
from pathlib import Path

import pytest

from u1core.lake import views
from u1core.lake.schema import COLUMNS

PAGE = Path(__file__).parents[2] / "docs" / "lake.md"


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
