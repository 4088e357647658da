"""The fields of a data set in the catalog."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from u1core.catalog.entries import DatasetEntry
from u1core.catalog.fields import Check, integer, matches, positive, text, texts

KINDS = ("cifar10", "fashion_mnist", "digits", "phantom", "folder")

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SOURCE = re.compile(
    r"directory(:.+)?|torchvision:(CIFAR10|FashionMNIST)|npm:[a-z0-9-]+(@[0-9.]+)?"
    r"|apt:[a-z0-9.+-]+|sklearn:load_digits|generated"
)

PHANTOM_OPTIONS = (
    *(
        "planted",
        "kappa",
        "offset_deg",
        "seed",
        "size",
        "radius",
        "radius_spread",
        "sigma_long",
        "sigma_short",
    ),
    *("background", "contrast", "noise"),
)


def parse(name: str, fields: Mapping[str, Any]) -> DatasetEntry:
    """Make the entry of fields without mistakes."""
    return DatasetEntry(
        id=name,
        kind=fields["kind"],
        sources=tuple(fields["sources"]),
        class_names=tuple(fields.get("class_names", ())),
        label_space=fields.get("label_space", name),
        fingerprint=fields.get("fingerprint"),
        images_memory=fields.get("images_memory"),
        images_query=fields.get("images_query"),
        options=dict(fields.get("options", {})),
        description=fields.get("description", ""),
    )


def problems(where: str, fields: Mapping[str, Any]) -> list[str]:
    """Check what takes two fields to see."""
    kind, names, options = fields.get("kind"), fields.get("class_names"), fields.get("options", {})
    problems = []
    if kind != "folder" and names is None:
        problems.append(f"{where}.class_names: missing; a list of at least two names, by label")
    if not isinstance(options, dict):
        return problems
    if kind == "phantom":
        missing = [name for name in ("images_memory", "images_query") if name not in fields]
        problems += [f"{where}.{name}: missing; how many to generate" for name in missing]
    needed = {"folder": ("size",), "phantom": PHANTOM_OPTIONS}.get(str(kind), ())
    for name in needed:
        value = options.get(name)
        if not isinstance(value, int | float) or (name == "size" and not (integer(value) and value >= 1)):
            problems.append(f"{where}.options.{name}: a number is needed; a {kind} takes {', '.join(needed)}")
    return problems


FIELDS = {
    "kind": Check(lambda v: v in KINDS, f"one of {', '.join(KINDS)}"),
    "sources": Check(
        lambda v: texts(v) and all(_SOURCE.fullmatch(s) for s in v),
        "a list of directory, directory:<path>, torchvision:CIFAR10|FashionMNIST, npm:<package>@<version>, "
        "apt:<package>, sklearn:load_digits, generated",
    ),
    "class_names": Check(
        lambda v: texts(v) and len(set(v)) == len(v) >= 2,
        "a list of at least two different names",
        required=False,
    ),
    "label_space": Check(text, "a name", required=False),
    "fingerprint": Check(
        lambda v: matches(_SHA256)(v) and len(v) == 64, "64 lower-case hexadecimal digits", required=False
    ),
    "images_memory": Check(positive, "a whole number above 0", required=False),
    "images_query": Check(positive, "a whole number above 0", required=False),
    "options": Check(lambda v: isinstance(v, dict), "a table", required=False),
    "description": Check(text, "text", required=False),
}
