"""The sweep catalog: which networks are looked at, where, and on which images.

`catalog.toml` beside this module holds the built-in entries and explains their fields; a user's file of the
same form adds entries or replaces them. Nothing here imports torch or opens a weights file.
"""

from __future__ import annotations

import fnmatch
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from u1core.catalog import datasets, models
from u1core.catalog.entries import DatasetEntry, ModelEntry, Preprocessing
from u1core.catalog.fields import field_problems, nearest
from u1core.errors import U1Error

__all__ = [
    "Catalog",
    "DatasetEntry",
    "ModelEntry",
    "Preprocessing",
    "find_problems",
    "load_catalog",
    "nearest",
]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_TABLES = {"models": models, "datasets": datasets}

Entry = TypeVar("Entry", ModelEntry, DatasetEntry)


@dataclass(frozen=True)
class Catalog:
    """All entries by id, in the order of the files."""

    models: Mapping[str, ModelEntry]
    datasets: Mapping[str, DatasetEntry]

    def select_models(self, patterns: str) -> list[ModelEntry]:
        """Choose models by comma-separated ids or globs, each once, in the order asked for.

        Raises:
            U1Error: A pattern matches nothing.
        """
        return _select(self.models, patterns, "model")

    def select_datasets(self, patterns: str) -> list[DatasetEntry]:
        """Choose data sets by comma-separated ids or globs, each once, in the order asked for.

        Raises:
            U1Error: A pattern matches nothing.
        """
        return _select(self.datasets, patterns, "dataset")


def load_catalog(extra: Path | None = None) -> Catalog:
    """Read the built-in catalog and, on top, the user's file: entries of the same id are replaced whole.

    Args:
        extra: A TOML file of the same form as the built-in one.

    Raises:
        U1Error: The file can't be read, or entries are wrong; every problem is named at once.
    """
    raw = _read_toml(Path(__file__).with_name("catalog.toml"))
    if extra is not None:
        added = _read_toml(extra)
        problems = find_problems(added)
        if problems:
            raise U1Error(
                f"a catalog without mistakes in {extra}",
                f"{len(problems)}: {' | '.join(problems)}",
                "correct them",
            )
        raw = {table: {**raw.get(table, {}), **added.get(table, {})} for table in ("models", "datasets")}
    found = {
        table: {name: form.parse(name, fields) for name, fields in raw[table].items()}
        for table, form in _TABLES.items()
    }
    return Catalog(MappingProxyType(found["models"]), MappingProxyType(found["datasets"]))


def find_problems(raw: Mapping[str, Any]) -> list[str]:
    """List every mistake of a catalog as read from TOML, one line each: entry, field, valid values."""
    problems = [f"[{table}]: valid tables are models, datasets" for table in raw if table not in _TABLES]
    for table, form in _TABLES.items():
        entries = raw.get(table, {})
        if not isinstance(entries, dict):
            problems.append(f"{table}: must be tables [{table}.<id>]")
            continue
        for name, fields in entries.items():
            where = f"{table}.{name}"
            if not _ID.fullmatch(name):
                problems.append(f"{where}: an id is made of letters, digits, '_', '.', '-'")
            if not isinstance(fields, dict):
                problems.append(f"{where}: must be a table [{where}]")
                continue
            problems += field_problems(where, fields, form.FIELDS) + form.problems(where, fields)
    return problems


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise U1Error("a readable catalog file", f"{path}: {error.strerror}", "check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise U1Error("a catalog in TOML", f"{path}: {error}", "correct that place") from error


def _select(entries: Mapping[str, Entry], patterns: str, what: str) -> list[Entry]:
    chosen: dict[str, Entry] = {}
    for pattern in filter(None, (part.strip() for part in patterns.split(","))):
        found = [name for name in entries if fnmatch.fnmatchcase(name, pattern)]
        if not found:
            todo = f"nearest: {nearest(pattern, entries)}; `u1 catalog list` shows all"
            raise U1Error(f"a {what} id of the catalog, or a glob over them", f"'{pattern}'", todo)
        chosen.update((name, entries[name]) for name in found)
    if not chosen:
        raise U1Error(f"at least one {what} id or glob", f"'{patterns}'", "`u1 catalog list` shows them")
    return list(chosen.values())
