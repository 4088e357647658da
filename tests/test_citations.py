"""What comments, docstrings and pages cite is there: files, modules and what is in them."""

import ast
import importlib
import importlib.util
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("u1core", "tasks", "flows", "sql", "tests", "benchmarks", "docs", "examples", "requirements")
PATH = re.compile(rf"(?<![\w/.~-])(?:{'|'.join(FOLDERS)})/[\w/.*-]*[\w*]|(?<![\w/.*-])[A-Za-z][\w-]*\.md\b")
MODULE = re.compile(r"(?<![\w/.-])(?:u1core|tasks|flows)(?:\.\w+)+")
WRITTEN = {"digest.md"}
"""Files that a sweep writes."""


def prose(path):
    """Return a page, or the comments of a file, and of Python its docstrings, also those below attributes."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    if path.suffix == ".sql":
        return "\n".join(line for line in text.splitlines() if line.lstrip().startswith("--"))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    said = [token.string for token in tokens if token.type == tokenize.COMMENT]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            said.append(str(node.value.value))
    return "\n".join(said)


def is_there(cited):
    if cited in WRITTEN:
        return True
    return any(next(folder.glob(cited), None) for folder in (ROOT, ROOT / "docs"))


def is_known(cited):
    """Tell whether a dotted name leads to a module, or to something in one."""
    parts = cited.split(".")
    for cut in range(len(parts), 0, -1):
        name = ".".join(parts[:cut])
        folder = ROOT.joinpath(*parts[:cut])
        if not folder.is_dir() and not folder.with_suffix(".py").is_file():
            continue
        found = importlib.import_module(name)
        for attribute in parts[cut:]:
            found = getattr(found, attribute, None)
        return found is not None
    return False


def wrong(text):
    """List the citations that lead nowhere."""
    files = [cited for cited in PATH.findall(text) if not is_there(cited)]
    return files + [cited for cited in MODULE.findall(text) if not is_known(cited)]


@pytest.mark.parametrize("places", ["u1core", "tasks", "flows", "sql", "tests", "benchmarks", "docs", "*.md"])
def test_what_is_cited_is_there(places):
    found = [path for place in ROOT.glob(places) for path in (place, *place.rglob("*"))]
    paths = sorted(p for p in found if p.suffix in (".py", ".sql", ".md") and p.name != "CHANGELOG.md")
    assert paths
    assert [f"{p.relative_to(ROOT)} cites {cited}" for p in paths for cited in wrong(prose(p))] == []


def test_a_wrong_citation_would_be_named(tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text(
        '"""As in notes.md, docs/method.md, `u1core.nothing.at_all`, u1core.measures.optics.focus."""\n'
        'LINE = "not cited: other.md"\n'
        "A = 1  # sql/views/none.sql, CHANGELOG.md\n"
    )
    assert wrong(prose(path)) == ["sql/views/none.sql", "notes.md", "u1core.nothing.at_all"]
