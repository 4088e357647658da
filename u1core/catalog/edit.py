"""Write entries into a user's catalog file; what is in it stays as it is, comments too."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import Item

from u1core.catalog import datasets, models
from u1core.catalog.catalog import find_problems
from u1core.catalog.entries import DatasetEntry, ModelEntry
from u1core.catalog.fields import write_fields
from u1core.common import atomic
from u1core.common.errors import U1Error

HEADER = (
    "# Entries of this sweep catalog: `u1 catalog show <id>` explains one, `u1 catalog check` proves all.\n"
)


def add_model(path: Path, entry: ModelEntry, layers: Mapping[str, str], *, replace: bool = False) -> None:
    """Append a model to a catalog file.

    Args:
        path: The file; made if it is not there.
        entry: A resolved entry.
        layers: A remark on every layer, such as its shape.
        replace: An entry of that id goes first.

    Raises:
        U1Error: The id is taken (and `replace` is false), or the file can't be read or written; then it is
            left as it was.
    """
    fields = write_fields(entry, models.FIELDS)
    fields = {name: _remarked(layers) if name == "layers" else value for name, value in fields.items()}
    if replace:
        _remove(path, "models", entry.id)
    _append(path, "models", entry.id, fields)


def add_dataset(path: Path, entry: DatasetEntry, remark: str) -> None:
    """Append a data set to a catalog file.

    Args:
        path: The file; made if it is not there.
        entry: The entry.
        remark: What was found when it was added.

    Raises:
        U1Error: The id is taken, or the file can't be read or written; it is left as it was.
    """
    _append(path, "datasets", entry.id, write_fields(entry, datasets.FIELDS), remark)


def check_free(path: Path, table: str, name: str) -> None:
    """Raise U1Error if a catalog file, which need not be there yet, has an entry of this id."""
    if name in tomllib.loads(_read(path)).get(table, {}):
        todo = "give another with --id, or edit the file"
        raise U1Error(f"an id that {path} does not have", f"'{name}'", todo)


def _append(path: Path, table: str, name: str, fields: Mapping[str, Any], remark: str = "") -> None:
    check_free(path, table, name)
    before = _read(path)
    entry = tomlkit.table()
    if remark:
        entry.add(tomlkit.comment(remark))
    for field, value in fields.items():
        entry.add(field, _inline(value) if isinstance(value, dict) else value)
    block = tomlkit.dumps({table: {name: entry}}).replace(f"[{table}]\n", "", 1)
    text = f"{before.rstrip()}\n\n{block}" if before else f"{HEADER}\n{block}"
    try:
        problems = find_problems(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise U1Error(f"a catalog with tables [{table}.<id>]", f"{path}: {error}", "write it so") from error
    if problems:
        raise U1Error(f"an entry without mistakes for {path}", " | ".join(problems), "add it by hand")
    _write(path, text)


def _remove(path: Path, table: str, name: str) -> None:
    document = tomlkit.parse(_read(path))
    if document.get(table, {}).pop(name, None) is not None:
        _write(path, tomlkit.dumps(document))


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
        tomllib.loads(text)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise U1Error("a readable catalog file", f"{path}: {error.strerror}", "check the path") from error
    except (ValueError, RecursionError) as error:
        raise U1Error("a catalog in TOML", f"{path}: {error}", "correct that place") from error
    return text


def _write(path: Path, text: str) -> None:
    """Replace the file whole or not at all."""
    try:
        atomic.write_text(path, text)
    except OSError as error:
        raise U1Error(
            "a catalog file that can be written", f"{path}: {error.strerror}", "check it"
        ) from error


def _inline(values: Mapping[str, Any]) -> Item:
    table = tomlkit.inline_table()
    for name, value in values.items():
        table.append(name, value)
    return table


def _remarked(layers: Mapping[str, str]) -> Item:
    array = tomlkit.array()
    for name, remark in layers.items():
        array.add_line(name, comment=remark, indent="    ")
    array.add_line(indent="")
    return array
