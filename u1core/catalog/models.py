"""The fields of a model in the catalog."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import PurePath
from typing import Any

from u1core.catalog.entries import OBJECTIVES, ModelEntry, Preprocessing
from u1core.catalog.fields import CLASS_NAMES, Field, matches, positive, read_fields, text, texts, told_of
from u1core.catalog.schemes import schemes

INTERPOLATIONS = ("nearest", "bilinear", "bicubic")
CROP_MODES = ("center", "squash")
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
"""Of weights files: safetensors, and state dicts that `torch.load(weights_only=True)` reads."""

_SHA256 = re.compile(r"[0-9a-f]{8,64}")
_DEPTH = re.compile(r"[0-9]{1,4}")
_FRACTION = re.compile(r"-?\d{1,9}(\.\d{1,20}|/\d{1,9})?", re.ASCII)
_REFERENCE = re.compile(r"(?P<scheme>[a-z][a-z0-9_]*):(?P<name>\S(.*\S)?)")
_ARCHITECTURES = {
    "timm": re.compile(r"[A-Za-z0-9_]+"),
    "torchvision": re.compile(r"[a-z0-9_]+"),
    "pixels": re.compile(r"luminance|bank"),
    "code": re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"),
}
_WEIGHTS = {
    "timm": re.compile(r"[A-Za-z0-9_]+\.[A-Za-z0-9_.]+"),
    "torchvision": re.compile(r"[a-z0-9_]+@[A-Z0-9_]+"),
    "package": re.compile(r"[A-Za-z0-9_.-]+"),
    "embedded": re.compile(r"[A-Za-z0-9_-]+"),
}


def parse(name: str, given: Mapping[str, Any]) -> ModelEntry:
    """Make the entry of fields without mistakes."""
    return ModelEntry(id=name, **read_fields(given, FIELDS))


def _preprocessing(numbers: Mapping[str, Any]) -> Preprocessing:
    channels = {name: tuple(map(_as_float, numbers[name])) for name in ("mean", "std")}
    return Preprocessing(**{**numbers, **channels, "crop_pct": float(numbers["crop_pct"])})


def _numbers(preprocessing: Preprocessing) -> dict[str, Any]:
    channels = {name: _fractions(getattr(preprocessing, name)) for name in ("mean", "std")}
    return {**told_of(preprocessing), **channels}


def _fractions(values: Sequence[float]) -> list[float | str]:
    """Write multiples of 1/255 as the fractions they are, where three digits would not say them."""
    shown: list[float | str] = []
    for value in values:
        fraction = Fraction(value).limit_denominator(255)
        exact = float(fraction) == value and fraction.denominator > 2 and len(repr(value)) > 10
        shown.append(str(fraction) if exact else value)
    return shown


def problems(where: str, given: Mapping[str, Any]) -> list[str]:
    """Check what takes two fields to see."""
    problems, layers = [], given.get("layers")
    scheme, weights = str(given.get("architecture", "")).partition(":")[0], given.get("weights")
    if layers is None and "bottleneck" in given:
        problems.append(f"{where}.layers: missing; leave the bottleneck out too, and both are found")
    if layers is not None and texts(layers) and given.get("bottleneck") not in layers:
        problems.append(f"{where}.bottleneck: must be one of its layers: {', '.join(layers)}")
    if scheme == "pixels" and weights != "none":
        problems.append(f"{where}.weights: must be 'none', the pictures alone have no weights")
    if scheme == "code" and "preprocessing" not in given:
        problems.append(f"{where}.preprocessing: missing; {_PREPROCESSING_VALID}")
    return problems


def _channels(value: object, above: float) -> bool:
    """Tell whether these are three numbers (or fractions written as text) above a bound."""
    try:
        return isinstance(value, list) and len(value) == 3 and all(_as_float(v) > above for v in value)
    except (TypeError, ValueError, ArithmeticError):
        return False


def _as_float(value: object) -> float:
    """Read a number or a fraction; an exponent in a text would be computed, however many digits it gives."""
    if isinstance(value, str) and not _FRACTION.fullmatch(value):
        raise ValueError(value)
    return float(Fraction(value))  # type: ignore[call-overload]


def _is_preprocessing(value: object) -> bool:
    needed = {"size", "crop_pct", "interpolation", "mean", "std"}
    if not isinstance(value, dict) or set(value) - {"crop_mode"} != needed:
        return False
    crop = value["crop_pct"]
    return (
        positive(value["size"])
        and isinstance(crop, int | float)
        and 0 < crop <= 1
        and value["interpolation"] in INTERPOLATIONS
        and value.get("crop_mode", "center") in CROP_MODES
        and _channels(value["mean"], -1)
        and _channels(value["std"], 0)
    )


def _is_architecture(value: object) -> bool:
    reference = isinstance(value, str) and _REFERENCE.fullmatch(value)
    if not reference or reference["scheme"] not in schemes():
        return False
    scheme, name = reference["scheme"], reference["name"]
    if scheme == "cifar_resnet":
        return matches(_DEPTH)(name) and int(name) >= 8 and int(name) % 6 == 2
    return scheme not in _ARCHITECTURES or matches(_ARCHITECTURES[scheme])(name)


def _is_weights(value: object) -> bool:
    reference = isinstance(value, str) and _REFERENCE.fullmatch(value)
    if not reference:
        return value == "none"
    scheme, name = reference["scheme"], reference["name"]
    if scheme == "file":
        path = PurePath(name)
        return path.suffix in SUFFIXES and ".." not in path.parts
    return matches(_WEIGHTS[scheme])(name) if scheme in _WEIGHTS else scheme in schemes()


def _is_objective(value: object) -> bool:
    return value in OBJECTIVES


_PREPROCESSING_VALID = (
    f"a table of size (px), crop_pct (0 to 1), interpolation ({', '.join(INTERPOLATIONS)}), "
    "mean and std (3 numbers each), and perhaps crop_mode (center, squash)"
)

FIELDS = {
    "architecture": Field(
        _is_architecture,
        "timm:<name>, torchvision:<name>, cifar_resnet:<6n+2>, small_cnn:<channels>, pixels:luminance, "
        "pixels:bank, code:<module>:<function> or <scheme>:<name> of a plugin",
    ),
    "weights": Field(
        _is_weights,
        f"package:<distribution>, embedded:<name>, file:<path> ({', '.join(SUFFIXES)}; no '..'), "
        "torchvision:<name>@<WEIGHTS>, timm:<name>.<tag>, those of a plugin, or none",
    ),
    "sha256": Field(matches(_SHA256), "8 to 64 lower-case hexadecimal digits", required=False),
    "preprocessing": Field(
        _is_preprocessing, _PREPROCESSING_VALID, required=False, read=_preprocessing, write=_numbers
    ),
    "layers": Field(
        lambda v: texts(v) and len(set(v)) == len(v),
        "a list of different node paths",
        required=False,
        read=tuple,
        write=list,
    ),
    "bottleneck": Field(text, "one of the layers", required=False),
    "head": Field(text, "the node path of the logits", required=False),
    "label_space": Field(text, "a name, such as imagenet1k or cifar10"),
    "class_names": CLASS_NAMES,
    "objective": Field(
        _is_objective,
        "what the weights were trained by: an arm of `u1 train`; left out, onehot",
        required=False,
    ),
    "family": Field(text, "the design it is one size or recipe of, such as 'resnet'", required=False),
    "description": Field(text, "text", required=False),
}
