"""From a catalog entry to one that says everything: what it leaves out is found, fetching nothing."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from u1core.catalog.catalog import Catalog
from u1core.catalog.entries import ModelEntry
from u1core.common.errors import U1Error
from u1core.networks.head import class_names_of
from u1core.networks.references import is_glob
from u1core.networks.sources import registry
from u1core.networks.sources.source import UnsuitableError
from u1core.networks.weights import own_tag

if TYPE_CHECKING:
    from u1core.networks.optical_path import Layer, OpticalPath
from u1core.networks.build import build_shapes, shapes_of
from u1core.networks.preprocess import preprocessing_of
from u1core.networks.references import select_models


def resolve(entry: ModelEntry) -> ModelEntry:
    """Fill in what an entry leaves out, fetching nothing: label space, preprocessing, sha256, optical path.

    Args:
        entry: From the catalog, or from a reference.

    Returns:
        The entry, with a sha256 only if somebody promises one; `u1core.networks.weights.pin` asks the file.

    Raises:
        UnsuitableError: The network has no optical path, or takes no square colour pictures.
        U1Error: Its source, architecture or weights don't exist or aren't allowed.
    """
    entry = _with_published(replace(entry, code_version=registry.version(entry.architecture)))
    if entry.preprocessing is None and not entry.weights.startswith("torchvision:"):
        default = registry.default_preprocessing(entry.architecture)
        if default is None:
            todo = f"give models.{entry.id}.preprocessing, or `--preprocessing <model>` when it is added"
            raise U1Error(f"the preprocessing of {entry.architecture}", "none that is known", todo)
        entry = replace(entry, preprocessing=default)
    if entry.layers:
        return entry
    path = _find_path(entry.architecture, own_tag(entry), preprocessing_of(entry).size)
    if isinstance(path, U1Error):
        raise UnsuitableError(f"{path.expected}, for {entry.architecture}", path.got, path.todo)
    return replace(entry, layers=path.names, bottleneck=path.bottleneck)


@dataclass(frozen=True)
class Selection:
    """Models asked for, resolved.

    Attributes:
        models: Those that can run, as far as is known without their weights.
        left_out: Reasons by the ids of those that a glob matched but that can't be looked at this way.
        failed: Reasons by the ids of those with a mistake.
    """

    models: tuple[ModelEntry, ...]
    left_out: dict[str, str]
    failed: dict[str, str]


def select_networks(catalog: Catalog, patterns: str) -> Selection:
    """Choose models by patterns and resolve each; a mistake in one does not stop the others.

    Raises:
        U1Error: A pattern matches nothing, nothing is left to run, or a model named exactly is unsuitable.
    """
    exact = [p for p in patterns.split(",") if p.strip() and not is_glob(p)]
    named = {entry.id for pattern in exact for entry in select_models(catalog, pattern)}
    models: list[ModelEntry] = []
    left_out: dict[str, str] = {}
    failed: dict[str, str] = {}
    errors = []
    for entry in select_models(catalog, patterns):
        try:
            resolved = resolve(entry)
            models.append(replace(resolved, class_names=class_names_of(resolved, catalog)))
        except U1Error as error:
            unsuitable = isinstance(error, UnsuitableError)
            if unsuitable and entry.id in named:
                raise
            (left_out if unsuitable else failed)[entry.id] = str(error)
            errors.append(error)
    if not models:
        raise errors[0]
    return Selection(tuple(models), left_out, failed)


def _with_published(entry: ModelEntry) -> ModelEntry:
    """Fill in what the publisher of the weights says; whoever wrote the entry knows better."""
    if entry.weights == "none" or entry.weights.startswith(("file:", "package:")):
        return entry
    if entry.label_space and entry.sha256 and entry.preprocessing:
        return entry  # nothing to ask for, and asking may import a library for seconds
    weights = registry.published(entry.weights)
    return replace(
        entry,
        label_space=entry.label_space or weights.label_space,
        preprocessing=entry.preprocessing or weights.preprocessing,
        sha256=entry.sha256 or weights.sha256,
    )


@functools.lru_cache(maxsize=4096)
def _find_path(architecture: str, tag: str, size: int) -> OpticalPath | U1Error:
    """Find the optical path of an architecture without its weights; why there is none is an answer too."""
    from u1core.networks.optical_path import find_path

    network = shapes_of(architecture, tag)
    try:
        return find_path(network, size)
    except U1Error as error:
        return error


@functools.lru_cache(maxsize=256)
def describe_path(entry: ModelEntry) -> tuple[Layer, ...]:
    """Describe the layers of a resolved entry, from a pass over the meta device.

    Raises:
        U1Error: A layer is no value of the forward pass, or does not last.
    """
    from u1core.networks.optical_path import describe_layers

    return describe_layers(build_shapes(entry), preprocessing_of(entry).size, entry.layers, entry.id)
