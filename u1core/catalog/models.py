"""The fields of a model in the catalog."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from u1core.catalog.entries import ModelEntry, Preprocessing
from u1core.catalog.fields import Check, matches, positive, text, texts

INTERPOLATIONS = ("nearest", "bilinear", "bicubic")

_SHA256 = re.compile(r"[0-9a-f]{8,64}")
_ARCHITECTURE = re.compile(r"(timm|torchvision):[A-Za-z0-9_.]+|cifar_resnet:[0-9]+|pixels:luminance")
_WEIGHTS = re.compile(r"package:[A-Za-z0-9_.-]+|file:.+\.safetensors|torchvision:[a-z0-9_]+@[A-Z0-9_]+|none")


def parse(name: str, fields: Mapping[str, Any]) -> ModelEntry:
    """Make the entry of fields without mistakes."""
    numbers = fields.get("preprocessing")
    return ModelEntry(
        id=name,
        architecture=fields["architecture"],
        weights=fields["weights"],
        sha256=fields.get("sha256", ""),
        preprocessing=None if numbers is None else _preprocessing(numbers),
        layers=tuple(fields["layers"]),
        bottleneck=fields["bottleneck"],
        head=fields.get("head"),
        label_space=fields["label_space"],
        description=fields.get("description", ""),
    )


def _preprocessing(numbers: Mapping[str, Any]) -> Preprocessing:
    mean, std = ([float(Fraction(v)) for v in numbers[key]] for key in ("mean", "std"))
    return Preprocessing(
        size=numbers["size"],
        crop_pct=float(numbers["crop_pct"]),
        interpolation=numbers["interpolation"],
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
    )


def problems(where: str, fields: Mapping[str, Any]) -> list[str]:
    """Check what takes two fields to see."""
    problems, layers = [], fields.get("layers")
    if isinstance(layers, list) and texts(layers) and fields.get("bottleneck") not in layers:
        problems.append(f"{where}.bottleneck: must be one of its layers: {', '.join(layers)}")
    weights = str(fields.get("weights", ""))
    if (weights == "none") != str(fields.get("architecture", "")).startswith("pixels:"):
        problems.append(
            f"{where}.weights: 'none' goes with the architecture pixels:luminance, and only with it"
        )
    if weights != "none" and "sha256" not in fields:
        problems.append(f"{where}.sha256: missing; {FIELDS['sha256'].valid}")
    of_enum = weights.startswith("torchvision:")
    if not of_enum and "preprocessing" not in fields:
        problems.append(f"{where}.preprocessing: missing; {_PREPROCESSING_VALID}")
    return problems


def _channels(value: object, above: float) -> bool:
    """Tell whether these are three numbers (or fractions written as text) above a bound."""
    try:
        return isinstance(value, list) and len(value) == 3 and all(Fraction(v) > above for v in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return False


def _is_preprocessing(value: object) -> bool:
    if not isinstance(value, dict) or set(value) != {"size", "crop_pct", "interpolation", "mean", "std"}:
        return False
    crop = value["crop_pct"]
    return (
        positive(value["size"])
        and isinstance(crop, int | float)
        and 0 < crop <= 1
        and value["interpolation"] in INTERPOLATIONS
        and _channels(value["mean"], -1)
        and _channels(value["std"], 0)
    )


def _is_architecture(value: object) -> bool:
    if not matches(_ARCHITECTURE)(value):
        return False
    source, name = str(value).split(":")
    return source != "cifar_resnet" or (int(name) >= 8 and int(name) % 6 == 2)


_PREPROCESSING_VALID = (
    f"a table of size (px), crop_pct (0 to 1), interpolation ({', '.join(INTERPOLATIONS)}), "
    "mean and std (3 numbers each)"
)

FIELDS = {
    "architecture": Check(
        _is_architecture, "timm:<name>, torchvision:<name>, cifar_resnet:<6n+2> or pixels:luminance"
    ),
    "weights": Check(
        matches(_WEIGHTS),
        "package:<distribution>, file:<path>.safetensors, torchvision:<name>@<WEIGHTS> or none",
    ),
    "sha256": Check(matches(_SHA256), "8 to 64 lower-case hexadecimal digits", required=False),
    "preprocessing": Check(_is_preprocessing, _PREPROCESSING_VALID, required=False),
    "layers": Check(lambda v: texts(v) and len(set(v)) == len(v), "a list of different node paths"),
    "bottleneck": Check(text, "one of the layers"),
    "head": Check(text, "the node path of the logits", required=False),
    "label_space": Check(text, "a name, such as imagenet1k or cifar10"),
    "description": Check(text, "text", required=False),
}
