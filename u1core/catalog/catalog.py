"""The sweep catalog: which networks are looked at, where, and on which images.

`catalog.toml` beside this module holds the built-in entries and explains their fields; a user's file of the
same form adds entries or replaces them. A reference such as `folder:~/pictures` needs no entry; what one to a
model stands for is found in `u1core.networks.references`. Nothing here imports torch or opens a weights file.
"""

from __future__ import annotations

import fnmatch
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from u1core.catalog import datasets, models
from u1core.catalog.dataset_references import dataset_reference
from u1core.catalog.entries import MAX_ID, DatasetEntry, ModelEntry
from u1core.catalog.fields import field_problems, nearest
from u1core.common.errors import U1Error

_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{MAX_ID - 1}}}")
_TABLES = {"models": models, "datasets": datasets}
_SHOWN_PROBLEMS = 20

Entry = TypeVar("Entry", ModelEntry, DatasetEntry)


@dataclass(frozen=True)
class Catalog:
    """All entries by id, in the order of the files."""

    models: Mapping[str, ModelEntry]
    datasets: Mapping[str, DatasetEntry]

    def select_datasets(self, patterns: str) -> list[DatasetEntry]:
        """Choose data sets by comma-separated patterns, each once, in the order asked for.

        Args:
            patterns: Ids or globs over them; references such as `folder:<path>`, which need no entry.

        Raises:
            U1Error: A pattern matches nothing.
        """
        return select(self.datasets, patterns, "dataset", lambda reference: [dataset_reference(reference)])


def default_catalog() -> Path | None:
    """Return the user's catalog: $U1_CATALOG, else `catalog.toml` in the working directory if it is there."""
    if named := os.environ.get("U1_CATALOG"):
        return Path(named)
    here = Path("catalog.toml")
    return here if here.is_file() else None


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
            shown = problems[:_SHOWN_PROBLEMS] + ["..."] * (len(problems) > _SHOWN_PROBLEMS)
            got = f"{len(problems)}: {' | '.join(shown)}"
            raise U1Error(f"a catalog without mistakes in {extra}", got, "correct them")
        raw = {table: {**raw.get(table, {}), **added.get(table, {})} for table in ("models", "datasets")}
    found = {
        table: {name: form.parse(name, fields) for name, fields in raw[table].items()}
        for table, form in _TABLES.items()
    }
    return Catalog(MappingProxyType(found["models"]), MappingProxyType(found["datasets"]))


def find_problems(raw: Mapping[str, Any]) -> list[str]:
    """List every mistake of a catalog as read from TOML, one line each: entry, field, valid values."""
    # [cluster] says where sweeps run: `u1 sweep` reads it, not the catalog.
    known = (*_TABLES, "cluster")
    problems = [
        f"[{table}]: valid tables are models, datasets, cluster" for table in raw if table not in known
    ]
    for table, form in _TABLES.items():
        entries = raw.get(table, {})
        if not isinstance(entries, dict):
            problems.append(f"{table}: must be tables [{table}.<id>]")
            continue
        for name, fields in entries.items():
            where = f"{table}.{name}"
            if not _ID.fullmatch(name):
                problems.append(f"{where}: an id is made of letters, digits, '_', '.', '-', at most {MAX_ID}")
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
    except (ValueError, RecursionError) as error:  # of numbers and nesting without end, too
        doubled = r"Cannot declare \('(\w+)', '(.+?)'\) twice"
        reason = re.sub(doubled, r"two entries [\1.\2]", str(error))
        raise U1Error("a catalog in TOML", f"{path}: {reason}", "correct that place") from error


def _known(entry: Entry, entries: Mapping[str, Entry], what: str) -> Entry:
    """Prefer the catalog's entry of the same origin: its layers and sha256 are written down."""
    known = entries.get(entry.id, entry)
    if known.origin != entry.origin:
        todo = "give it an entry with an id of its own: `u1 catalog add`"
        raise U1Error(f"a {what} of another id than the catalog's '{entry.id}'", f"{entry.origin}", todo)
    return known


def select(
    entries: Mapping[str, Entry], patterns: str, what: str, refer: Callable[[str], list[Entry]]
) -> list[Entry]:
    """Choose entries by comma-separated patterns, each once, in the order asked for.

    Args:
        entries: Of the catalog, by id.
        patterns: Ids, globs over them, or references.
        what: 'model' or 'dataset', for messages.
        refer: Makes the entries that a reference stands for.

    Raises:
        U1Error: A pattern matches nothing, or two entries would have one id.
    """
    chosen: dict[str, Entry] = {}
    for pattern in filter(None, (part.strip() for part in patterns.split(","))):
        found = [entry for name, entry in entries.items() if fnmatch.fnmatchcase(name, pattern)]
        if not found and ":" in pattern:
            found = [_known(entry, entries, what) for entry in refer(pattern)]
        if not found:
            todo = f"nearest: {nearest(pattern, entries)}; `u1 catalog list` shows all"
            raise U1Error(f"a {what} id of the catalog, or a glob over them", f"'{pattern}'", todo)
        for entry in found:
            if chosen.setdefault(entry.id, entry) != entry:
                todo = "give one of them an entry with an id of its own: `u1 catalog add`"
                raise U1Error(f"{what}s of different ids", f"two that would be '{entry.id}'", todo)
    if not chosen:
        raise U1Error(f"at least one {what} id or glob", f"'{patterns}'", "`u1 catalog list` shows them")
    return list(chosen.values())
