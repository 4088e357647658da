"""The fields of a data set in the catalog."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from u1core.catalog.entries import DatasetEntry
from u1core.catalog.fields import (
    CLASS_NAMES,
    Field,
    field_problems,
    finite,
    matches,
    nearest,
    positive,
    read_fields,
    text,
    texts,
)
from u1core.catalog.torchvision_sets import CLASSIFICATION, LABEL_SPACES, OTHERS

LISTED_KINDS = ("folder", "parquet", "csv", "torchvision")
"""Kinds whose pictures are listed and decoded one by one; the classes come with them."""

WHOLE_KINDS = ("cifar10", "fashion_mnist", "digits", "phantom", "placed")
"""Kinds that are read whole or not at all: no picture is left out."""

KINDS = (*WHOLE_KINDS, *LISTED_KINDS)

PLUGIN_GROUP = "u1sweep.datasets"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SOURCE = re.compile(
    r"directory(:.+)?|torchvision:[A-Za-z0-9]+|npm:[a-z0-9-]+(@[0-9.]+)?"
    r"|apt:[a-z0-9.+-]+|sklearn:load_digits|generated"
)
_SOURCES_VALID = (
    "a list of directory, directory:<path>, torchvision:<Class>, npm:<package>@<version>, apt:<package>, "
    "sklearn:load_digits, generated"
)

GENERATED = {
    "phantom": (
        *("planted", "kappa", "offset_deg", "seed", "size", "radius", "radius_spread"),
        *("sigma_long", "sigma_short", "background", "contrast", "noise"),
    ),
    "placed": ("seed", "size", "side_small", "side_large", "background", "spread"),
}
"""By kind whose pictures are made here: the options that each needs, all numbers."""

_NAME = Field(text, "the name of a column", required=False)
_PATH = Field(text, "a path", required=False)
_SIZE = Field(positive, "a whole number of pixels above 0", required=False)

OPTIONS: Mapping[str, Mapping[str, Field]] = {
    "folder": {
        "path": _PATH,
        "size": _SIZE,
        "follow_links": Field(lambda v: isinstance(v, bool), "true or false", required=False),
    },
    "parquet": {"path": _PATH, "size": _SIZE, "image": _NAME, "label": _NAME},
    "csv": {"path": _PATH, "size": _SIZE},
    "torchvision": {
        "path": _PATH,
        "size": _SIZE,
        "class": Field(text, "a classification set of torchvision.datasets"),
        "arguments": Field(lambda v: isinstance(v, dict), "a table of its usual arguments", required=False),
    },
}
"""By listed kind: the options it takes. A plugin checks its own."""

_OURS = ("root", "download", "loader", "transform", "target_transform", "transforms")


@functools.cache
def plugin_kinds() -> Mapping[str, EntryPoint]:
    """Find the kinds of data sets that installed packages add; a built-in kind can't be replaced."""
    return {point.name: point for point in entry_points(group=PLUGIN_GROUP) if point.name not in KINDS}


def is_kind(kind: object) -> bool:
    """Tell whether a reader of this kind is built in or installed."""
    return kind in KINDS or kind in plugin_kinds()


def parse(name: str, given: Mapping[str, Any]) -> DatasetEntry:
    """Make the entry of fields without mistakes."""
    options = given.get("options", {})
    sources: tuple[str, ...] = ("directory",)
    label_space = name
    if given["kind"] == "torchvision":
        label_space = LABEL_SPACES.get(options["class"], name)
        sources += () if "path" in options else (f"torchvision:{options['class']}",)
    left_out = {"sources": sources, "label_space": label_space}
    return DatasetEntry(id=name, **left_out | read_fields(given, FIELDS))


def problems(where: str, fields: Mapping[str, Any]) -> list[str]:
    """Check what takes two fields to see."""
    kind, options = fields.get("kind"), fields.get("options", {})
    if not isinstance(kind, str):
        return []
    if not is_kind(kind):
        valid = f"one of {', '.join((*KINDS, *plugin_kinds()))}, or of a plugin that is not installed"
        found = [f"{where}.kind: {kind!r} is not valid; {valid}"]
    else:
        found = []
    if kind not in LISTED_KINDS and kind not in plugin_kinds():
        found += _built_in_problems(where, fields)
    if not isinstance(options, dict):
        return found
    if kind in LISTED_KINDS:
        found += field_problems(f"{where}.options", options, OPTIONS[kind])
    checks = {"torchvision": _torchvision_problems, "parquet": _path_problems, "csv": _path_problems}
    return found + (checks[kind](where, fields, options) if kind in checks else [])


def _built_in_problems(where: str, fields: Mapping[str, Any]) -> list[str]:
    found = []
    if "sources" not in fields:
        found.append(f"{where}.sources: missing; {_SOURCES_VALID}")
    if "class_names" not in fields:
        found.append(f"{where}.class_names: missing; a list of at least two names, by label")
    options = fields.get("options", {})
    kind = fields["kind"]
    if kind not in GENERATED or not isinstance(options, dict):
        return found
    missing = [name for name in ("images_memory", "images_query") if name not in fields]
    found += [f"{where}.{name}: missing; how many to generate" for name in missing]
    taken = ", ".join(GENERATED[kind])
    for name in GENERATED[kind]:
        if not finite(options.get(name)):
            found.append(f"{where}.options.{name}: a number is needed; kind '{kind}' takes {taken}")
    return found if found or kind != "placed" else _placed_problems(where, options)


def _placed_problems(where: str, options: Mapping[str, Any]) -> list[str]:
    size = options["size"]
    return [
        f"{where}.options.{name}: {options[name]!r} is not valid; a whole number of pixels, at most the size"
        for name in ("size", "side_small", "side_large")
        if not positive(options[name]) or options[name] > size
    ]


def _path_problems(where: str, fields: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    sources = fields.get("sources", ())
    named = texts(sources) and any(source.startswith("directory:") for source in sources)
    return [] if named or "path" in options else [f"{where}.options.path: missing; a path"]


def _torchvision_problems(where: str, fields: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    name, arguments = options.get("class"), options.get("arguments", {})
    found = []
    if isinstance(name, str) and name not in CLASSIFICATION:
        found.append(f"{where}.options.class: {why_no_class(name)}")
    if isinstance(arguments, dict):
        ours = [argument for argument in arguments if argument in _OURS]
        found += [f"{where}.options.arguments.{argument}: is set by the sweep" for argument in ours]
    return found


def why_no_class(name: str) -> str:
    """Say why a name is no classification set of torchvision.datasets, with the nearest ones."""
    if name in OTHERS:
        return f"'{name}' is not for classification: {OTHERS[name]}"
    return (
        f"torchvision.datasets has no classification set '{name}'; nearest: {nearest(name, CLASSIFICATION)}"
    )


FIELDS = {
    "kind": Field(text, "the name of a kind"),
    "sources": Field(
        lambda v: texts(v) and all(_SOURCE.fullmatch(s) for s in v),
        _SOURCES_VALID,
        required=False,
        read=tuple,
        write=list,
    ),
    "class_names": CLASS_NAMES,
    "label_space": Field(text, "a name", required=False),
    "fingerprint": Field(
        lambda v: matches(_SHA256)(v) and len(v) == 64, "64 lower-case hexadecimal digits", required=False
    ),
    "images_memory": Field(positive, "a whole number above 0", required=False),
    "images_query": Field(positive, "a whole number above 0", required=False),
    "options": Field(lambda v: isinstance(v, dict), "a table", required=False, read=dict, write=dict),
    "description": Field(text, "text", required=False),
}
