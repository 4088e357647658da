"""The sweep catalog: which networks are looked at, where, and on which images.

`catalog.toml` beside this module holds the built-in entries and explains their fields; a user's file of the
same form adds entries or replaces them. Nothing here imports torch or opens a weights file.
"""

from __future__ import annotations

import difflib
import fnmatch
import functools
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeGuard, TypeVar

from u1core.errors import U1Error

KINDS = ("cifar10", "fashion_mnist", "digits", "phantom", "folder")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic")

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SHA256 = re.compile(r"[0-9a-f]{8,64}")
_ARCHITECTURE = re.compile(r"(timm|torchvision):[A-Za-z0-9_.]+|cifar_resnet:[0-9]+|pixels:luminance")
_WEIGHTS = re.compile(r"package:[A-Za-z0-9_.-]+|file:.+\.safetensors|torchvision:[a-z0-9_]+@[A-Z0-9_]+|none")
_SOURCE = re.compile(
    r"directory(:.+)?|torchvision:(CIFAR10|FashionMNIST)|npm:[a-z0-9-]+(@[0-9.]+)?"
    r"|apt:[a-z0-9.+-]+|sklearn:load_digits|generated"
)


@dataclass(frozen=True)
class Preprocessing:
    """What happens to a picture before the network sees it.

    The shorter side is resized to floor(size / crop_pct) pixels, the centre cropped to size x size, grey
    values divided by 255, then (value - mean) / std per channel.
    """

    size: int
    crop_pct: float
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class ModelEntry:
    """One network: where its code and weights come from, and the layers t that are recorded.

    `preprocessing` is None where it belongs to torchvision's weights enum; `head` is None where the
    network's output is the logits.
    """

    id: str
    architecture: str
    weights: str
    sha256: str
    preprocessing: Preprocessing | None
    layers: tuple[str, ...]
    bottleneck: str
    head: str | None
    label_space: str
    description: str = ""

    @property
    def has_weights(self) -> bool:
        """Whether this is a network; False for the model-free baseline `pixels`."""
        return self.weights != "none"

    def identity(self) -> dict[str, str]:
        """Say what makes the activations of this network reproducible, for a cell's key; opens no file.

        Returns:
            architecture, weights, sha256, preprocessing (JSON, keys sorted) and layers (JSON).

        Raises:
            U1Error: torchvision has no such weights.
        """
        if self.preprocessing is None:
            numbers = _enum_preprocessing(self.weights)
        else:
            numbers = json.dumps(asdict(self.preprocessing), sort_keys=True)
        return {
            "architecture": self.architecture,
            "weights": self.weights,
            "sha256": self.sha256,
            "preprocessing": numbers,
            "layers": json.dumps(self.layers),
        }


@dataclass(frozen=True)
class DatasetEntry:
    """One labelled image set: its sources in the order they are tried, and what proves them right.

    `class_names` is empty for folders (the folders name the classes); `fingerprint`, `images_memory` and
    `images_query` are None where nothing is promised.
    """

    id: str
    kind: str
    sources: tuple[str, ...]
    class_names: tuple[str, ...]
    label_space: str
    fingerprint: str | None
    images_memory: int | None
    images_query: int | None
    options: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""


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


def nearest(name: str, valid: Iterable[str], n: int = 3) -> str:
    """Name the valid names nearest to a wrong one, or the first few where none is near."""
    names = list(valid)
    return ", ".join(difflib.get_close_matches(name, names, n, cutoff=0.5) or names[:8])


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
    models = {name: _model(name, fields) for name, fields in raw["models"].items()}
    datasets = {name: _dataset(name, fields) for name, fields in raw["datasets"].items()}
    return Catalog(MappingProxyType(models), MappingProxyType(datasets))


def find_problems(raw: Mapping[str, Any]) -> list[str]:
    """List every mistake of a catalog as read from TOML, one line each: entry, field, valid values."""
    problems = [f"[{table}]: valid tables are models, datasets" for table in raw if table not in _FIELDS]
    for table, checks in _FIELDS.items():
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
            problems += _field_problems(where, fields, checks)
            problems += (_model_problems if table == "models" else _dataset_problems)(where, fields)
    return problems


def _field_problems(where: str, fields: Mapping[str, Any], checks: Mapping[str, _Check]) -> list[str]:
    problems = [
        f"{where}.{name}: no such field; nearest valid: {nearest(name, checks)}"
        for name in fields
        if name not in checks
    ]
    for name, check in checks.items():
        if name not in fields:
            problems += [f"{where}.{name}: missing; {check.valid}"] if check.required else []
        elif not check.holds(fields[name]):
            problems.append(f"{where}.{name}: {fields[name]!r} is not valid; {check.valid}")
    return problems


def _model_problems(where: str, fields: Mapping[str, Any]) -> list[str]:
    """Check what takes two fields to see."""
    problems, layers = [], fields.get("layers")
    if isinstance(layers, list) and _texts(layers) and fields.get("bottleneck") not in layers:
        problems.append(f"{where}.bottleneck: must be one of its layers: {', '.join(layers)}")
    weights = str(fields.get("weights", ""))
    if (weights == "none") != str(fields.get("architecture", "")).startswith("pixels:"):
        problems.append(
            f"{where}.weights: 'none' goes with the architecture pixels:luminance, and only with it"
        )
    if weights != "none" and "sha256" not in fields:
        problems.append(f"{where}.sha256: missing; {_OF_MODELS['sha256'].valid}")
    of_enum = weights.startswith("torchvision:")
    if not of_enum and "preprocessing" not in fields:
        problems.append(f"{where}.preprocessing: missing; {_PREPROCESSING_VALID}")
    return problems


def _dataset_problems(where: str, fields: Mapping[str, Any]) -> list[str]:
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
        if not isinstance(value, int | float) or (name == "size" and not (_integer(value) and value >= 1)):
            problems.append(f"{where}.options.{name}: a number is needed; a {kind} takes {', '.join(needed)}")
    return problems


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise U1Error("a readable catalog file", f"{path}: {error.strerror}", "check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise U1Error("a catalog in TOML", f"{path}: {error}", "correct that place") from error


def _model(name: str, fields: Mapping[str, Any]) -> ModelEntry:
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


def _dataset(name: str, fields: Mapping[str, Any]) -> DatasetEntry:
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


@functools.cache
def _enum_preprocessing(weights: str) -> str:
    """Ask a torchvision weights enum for its preprocessing, as JSON with sorted keys."""
    from u1core.networks import torchvision_weights

    transform = torchvision_weights(weights).transforms()
    names = ("crop_size", "resize_size", "mean", "std", "interpolation", "antialias")
    numbers = {name: getattr(transform, name) for name in names}
    return json.dumps(numbers, sort_keys=True, default=lambda value: getattr(value, "value", str(value)))


@dataclass(frozen=True)
class _Check:
    holds: Callable[[Any], bool]
    valid: str
    required: bool = True


def _integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _positive(value: object) -> bool:
    return _integer(value) and value > 0


def _texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) and v for v in value)


def _matches(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


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
        _positive(value["size"])
        and isinstance(crop, int | float)
        and 0 < crop <= 1
        and value["interpolation"] in INTERPOLATIONS
        and _channels(value["mean"], -1)
        and _channels(value["std"], 0)
    )


def _is_architecture(value: object) -> bool:
    if not _matches(_ARCHITECTURE)(value):
        return False
    source, name = str(value).split(":")
    return source != "cifar_resnet" or (int(name) >= 8 and int(name) % 6 == 2)


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
_PREPROCESSING_VALID = (
    f"a table of size (px), crop_pct (0 to 1), interpolation ({', '.join(INTERPOLATIONS)}), "
    "mean and std (3 numbers each)"
)
_OF_MODELS = {
    "architecture": _Check(
        _is_architecture, "timm:<name>, torchvision:<name>, cifar_resnet:<6n+2> or pixels:luminance"
    ),
    "weights": _Check(
        _matches(_WEIGHTS),
        "package:<distribution>, file:<path>.safetensors, torchvision:<name>@<WEIGHTS> or none",
    ),
    "sha256": _Check(_matches(_SHA256), "8 to 64 lower-case hexadecimal digits", required=False),
    "preprocessing": _Check(_is_preprocessing, _PREPROCESSING_VALID, required=False),
    "layers": _Check(lambda v: _texts(v) and len(set(v)) == len(v), "a list of different node paths"),
    "bottleneck": _Check(_text, "one of the layers"),
    "head": _Check(_text, "the node path of the logits", required=False),
    "label_space": _Check(_text, "a name, such as imagenet1k or cifar10"),
    "description": _Check(_text, "text", required=False),
}
_OF_DATASETS = {
    "kind": _Check(lambda v: v in KINDS, f"one of {', '.join(KINDS)}"),
    "sources": _Check(
        lambda v: _texts(v) and all(_SOURCE.fullmatch(s) for s in v),
        "a list of directory, directory:<path>, torchvision:CIFAR10|FashionMNIST, npm:<package>@<version>, "
        "apt:<package>, sklearn:load_digits, generated",
    ),
    "class_names": _Check(
        lambda v: _texts(v) and len(set(v)) == len(v) >= 2,
        "a list of at least two different names",
        required=False,
    ),
    "label_space": _Check(_text, "a name", required=False),
    "fingerprint": _Check(
        lambda v: _matches(_SHA256)(v) and len(v) == 64, "64 lower-case hexadecimal digits", required=False
    ),
    "images_memory": _Check(_positive, "a whole number above 0", required=False),
    "images_query": _Check(_positive, "a whole number above 0", required=False),
    "options": _Check(lambda v: isinstance(v, dict), "a table", required=False),
    "description": _Check(_text, "text", required=False),
}
_FIELDS: dict[str, dict[str, _Check]] = {"models": _OF_MODELS, "datasets": _OF_DATASETS}
