"""The order of the house: a wing imports only wings before it, nothing in a circle, science no flows."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import u1core

PACKAGE = Path(u1core.__file__).parent
WINGS = (
    "common",
    "catalog",
    "measures",
    "lake",
    "images",
    "networks",
    "cells",
    "training",
    "validate",
    "report",
)
"""Along the way that an image goes."""

OUTSIDE = {"prefect", "dask", "distributed", "tasks", "flows"}
"""What the science never imports."""


def module_name(path, root=PACKAGE):
    parts = path.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(text, modules):
    """Return the modules that a text imports, wherever it does: at the top, in a function, for types."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            named = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else node.module for name in named}
    return found


def graph(package=PACKAGE):
    """Return by module what it imports."""
    paths = {module_name(path, package): path for path in sorted(package.rglob("*.py"))}
    return {name: imported(path.read_text(encoding="utf-8"), paths) for name, path in paths.items()}


def wing(name):
    return name.split(".")[1] if name.count(".") else None


def against_the_order(imports):
    """List the imports of a wing from one that stands behind it."""
    place = {name: number for number, name in enumerate(WINGS)}
    return [
        f"{module} imports {other}"
        for module, others in imports.items()
        for other in sorted(others)
        if other.startswith("u1core.") and wing(module) and place[wing(other)] > place[wing(module)]
    ]


def circle(imports):
    """Return the first circle, as the modules on it."""
    known = {
        name: {other for other in others if other in imports} - {name} for name, others in imports.items()
    }
    try:
        TopologicalSorter(known).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_every_wing_is_there_and_says_what_it_is_for():
    folders = sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file())
    assert folders == sorted(WINGS)
    assert [path.name for path in PACKAGE.glob("*.py")] == ["__init__.py"]
    for name in WINGS:
        text = (PACKAGE / name / "__init__.py").read_text(encoding="utf-8")
        assert ast.get_docstring(ast.parse(text)), name
        rooms = {path.stem for path in (PACKAGE / name).iterdir() if path.name[0] not in "_."}
        rooms -= {"templates"} | {path.stem for path in (PACKAGE / name).glob("*.toml")}
        missing = {room for room in rooms if room not in text}
        assert not missing, f"u1core/{name}/__init__.py does not name {sorted(missing)}"


def test_wings_import_only_wings_before_them():
    assert against_the_order(graph())[:1] == []


def test_no_module_imports_in_a_circle():
    assert " -> ".join(circle(graph())) == ""


def test_the_science_imports_no_orchestration():
    found = [
        f"{module} imports {other}"
        for module, others in graph().items()
        for other in sorted(others)
        if other.partition(".")[0] in OUTSIDE
    ]
    assert found[:1] == []


def test_a_wrong_import_would_be_named(tmp_path):
    for name, text in {
        "catalog/entries.py": "def f():\n    from u1core.networks import weights\n",
        "networks/weights.py": "from u1core.networks import build\n",
        "networks/build.py": "from u1core.networks.weights import load\n",
    }.items():
        path = tmp_path / "u1core" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    imports = graph(tmp_path / "u1core")
    assert against_the_order(imports) == ["u1core.catalog.entries imports u1core.networks.weights"]
    assert set(circle(imports)) == {"u1core.networks.weights", "u1core.networks.build"}
