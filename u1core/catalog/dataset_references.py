"""Data sets named where they are used: `folder:~/pictures`, `torchvision:EMNIST`, with no catalog entry."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from u1core.catalog.datasets import LISTED_KINDS, parse, plugin_kinds, why_no_class
from u1core.catalog.entries import MAX_ID, DatasetEntry
from u1core.catalog.fields import nearest
from u1core.catalog.torchvision_sets import CLASSIFICATION
from u1core.common.errors import U1Error
from u1core.common.paths import at_home, matching

_VALID = "folder:<path>, parquet:<glob>, csv:<file> or torchvision:<Class>"


def is_dataset_reference(text: str) -> bool:
    """Tell whether this is meant as a reference: ids of the catalog hold no colon."""
    return ":" in text


def dataset_reference(text: str) -> DatasetEntry:
    """Make an entry of a reference.

    Args:
        text: folder:<path>, parquet:<glob or folder>, csv:<file>, torchvision:<Class>, or <kind>:<value> of a
            plugin, whose options.path the value becomes.

    Returns:
        An entry whose id is made of the path's last name, or torchvision.<Class>. Paths are absolute.

    Raises:
        U1Error: No such kind, nothing at the path, no such class.
    """
    kind, _, value = text.partition(":")
    if kind not in LISTED_KINDS and kind not in plugin_kinds():
        valid = (*LISTED_KINDS, *plugin_kinds())
        raise U1Error(
            _VALID, f"'{text}'", f"nearest kinds: {nearest(kind, valid)}; a plugin's must be installed"
        )
    if not value:
        raise U1Error(_VALID, f"'{text}'", "name what follows the colon")
    if kind == "torchvision":
        return _torchvision_entry(value)
    path = _find(kind, value)
    return _entry(_id(path, kind), kind, {"path": path}, f"{kind}: {path}")


def _torchvision_entry(name: str) -> DatasetEntry:
    if name not in CLASSIFICATION:
        raise U1Error("torchvision:<Class> to name a classification set", f"'{name}'", why_no_class(name))
    return _entry(f"torchvision.{name}", "torchvision", {"class": name}, f"torchvision.datasets.{name}")


def _entry(name: str, kind: str, options: dict[str, Any], description: str) -> DatasetEntry:
    return parse(name, {"kind": kind, "options": options, "description": description})


def _find(kind: str, value: str) -> str:
    """Make a path absolute and see that something is there; a plugin's value need not be a path."""
    try:
        path = Path(os.path.normpath(at_home(value).absolute()))
    except RuntimeError as error:  # ~nobody
        raise U1Error(f"{kind}:<path>", f"'{value}'", str(error)) from error
    there: Mapping[str, Callable[[Path], object]] = {
        "folder": Path.is_dir,
        "csv": Path.is_file,
        "parquet": matching,
    }
    if kind in there and not there[kind](path):
        what = {"folder": "a folder", "csv": "a file", "parquet": "files"}[kind]
        raise U1Error(f"{kind}:<path> to name {what}", str(path), "check the path")
    return str(path) if kind in there or path.exists() else value


def _id(path: str, kind: str) -> str:
    """Make an id of the last name of a path that holds no wildcard."""
    named = Path(path)
    while glob.has_magic(named.name) and not named.exists():
        named = named.parent
    name = named.name if named.is_dir() else named.stem
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("_.-")[: MAX_ID // 2] or kind
