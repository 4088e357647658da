"""docs/queries.md: every query and every snippet runs over a synthetic lake, and leaves it as it was."""

import importlib.util
import io
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from command import ROOT, U1

from u1core.cells.variants import VARIANTS
from u1core.lake import views
from u1core.lake.connect import EXPENSIVE_VIEWS, connect
from u1core.lake.guard import run_query
from u1core.lake.store import Lake

PAGE = (ROOT / "docs" / "queries.md").read_text()
QUESTIONS = re.findall(r"^### (\d+)\. (.+?)\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S)
QUERIES = [
    (f"{number}. {question}", query)
    for number, question, text in QUESTIONS
    for query in re.findall(r"```sql\n(.*?)```", text, re.S)
]
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.S)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """`lake/` in a folder: two networks, the pixels, controls of one of them, a failed cell, training."""
    sys.path.insert(0, str(ROOT / "tests" / "u1core"))
    from synthetic_lake import write_synthetic_lake, write_synthetic_training

    sys.path.pop(0)
    root = tmp_path_factory.mktemp("queries") / "lake"
    Lake.open(root, create=True)
    jitter = [name for name, variant in VARIANTS.items() if variant.group == "jitter"]
    write_synthetic_lake(root, models=("resnet20",), variants=("original", "random-init", "hflip", *jitter))
    write_synthetic_lake(root, models=("resnet32", "pixels"), failed_models=("resnet50",))
    return write_synthetic_training(root)


@pytest.fixture(scope="module")
def connection(lake):
    return connect(lake, frozen=EXPENSIVE_VIEWS)


@pytest.fixture
def in_its_folder(lake, monkeypatch):
    monkeypatch.chdir(lake.parent)
    return lake


def files(lake):
    return {path: path.stat().st_mtime_ns for path in lake.parent.rglob("*")}


def test_the_page_has_numbered_questions_each_with_a_query_and_how_to_read_it():
    assert [int(number) for number, _, _ in QUESTIONS] == list(range(1, len(QUESTIONS) + 1))
    assert len(QUESTIONS) >= 21
    for _, question, text in QUESTIONS:
        assert question.endswith("?")
        before, _, after = text.partition("```sql")
        assert before.strip() == ""
        assert after.count("```") >= 1
        assert after.partition("```")[2].strip()
    for _, query in QUERIES:
        assert all(len(line) <= 80 for line in query.splitlines())
        assert query == query.lower()


@pytest.mark.parametrize("query", [query for _, query in QUERIES], ids=[name for name, _ in QUERIES])
def test_a_query_of_the_page_gives_rows_and_only_reads(connection, in_its_folder, query):
    before = files(in_its_folder)
    assert run_query(connection, query).num_rows > 0
    assert files(in_its_folder) == before


def test_a_query_runs_as_the_command_does(lake, in_its_folder):
    """On the views themselves, of which only those named are made; the expensive ones are not tables here."""
    name, query = QUERIES[0]
    with connect("lake", views.views_named(query)) as connection:
        rows = run_query(connection, query).to_pylist()
    assert {row["model"] for row in rows} == {"resnet20", "resnet32"}, name
    assert all(row["effect_size"] > 0.1 for row in rows)


def test_the_tables_by_size_count_every_file_once(connection, in_its_folder):
    rows = run_query(connection, QUERIES[-1][1]).to_pylist()
    found = {row["table_name"]: row["files"] for row in rows}
    tables = {folder.name for folder in in_its_folder.iterdir() if any(folder.rglob("*.parquet"))}
    assert found == {name: len(list((in_its_folder / name).rglob("*.parquet"))) for name in tables}


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.split()[1])
def test_a_snippet_of_another_tool_runs(in_its_folder, snippet):
    module = snippet.split()[1].partition(".")[0]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    assert len(snippet.partition("\n\n")[2].splitlines()) <= 3
    shown = io.StringIO()
    with redirect_stdout(shown):
        exec(snippet, {})
    assert "cell_key" in shown.getvalue()


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_an_answer_is_redirected_to_a_file(in_its_folder, tmp_path, format_):
    query = "select model, image_id, theta_image_rad from angles where layer = 'layer3' order by all"
    path = tmp_path / f"answer.{format_}"
    with path.open("wb") as file:
        arguments, here = ["sql", query, "--format", format_], os.environ | {"PYTHONPATH": str(ROOT)}
        subprocess.run([*U1, *arguments], stdout=file, env=here, check=True)
    read = pyarrow.csv.read_csv(path) if format_ == "csv" else pq.read_table(path)
    with connect(in_its_folder, views.views_named(query)) as connection:
        assert read.to_pylist() == run_query(connection, query).to_pylist()
