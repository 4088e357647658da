"""Build the catalog's networks and their preprocessing.

Shapes: B images, N channels, H x W positions, K classes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from u1core import zoo
from u1core.catalog import Catalog, ModelEntry, Preprocessing
from u1core.errors import U1Error
from u1core.record import on_meta
from u1core.resize import resize
from u1core.weights import load_network, own_tag
from u1core.zoo.references import is_glob

if TYPE_CHECKING:
    from u1core.optical_path import Layer, OpticalPath


def resolve(entry: ModelEntry) -> ModelEntry:
    """Fill in what an entry leaves out, fetching nothing: label space, preprocessing, sha256, optical path.

    Args:
        entry: From the catalog, or from a reference.

    Returns:
        The entry, with a sha256 only if somebody promises one; `u1core.weights.pin` asks the file.

    Raises:
        UnsuitableError: The network has no optical path, or takes no square colour pictures.
        U1Error: Its source, architecture or weights don't exist or aren't allowed.
    """
    entry = _with_published(replace(entry, code_version=zoo.version(entry.architecture)))
    if entry.preprocessing is None and not entry.weights.startswith("torchvision:"):
        default = zoo.default_preprocessing(entry.architecture)
        if default is None:
            todo = f"give models.{entry.id}.preprocessing, or `--preprocessing <model>` when it is added"
            raise U1Error(f"the preprocessing of {entry.architecture}", "none that is known", todo)
        entry = replace(entry, preprocessing=default)
    if entry.layers:
        return entry
    path = _find_path(entry.architecture, own_tag(entry), preprocessing_of(entry).size)
    if isinstance(path, U1Error):
        raise zoo.UnsuitableError(f"{path.expected}, for {entry.architecture}", path.got, path.todo)
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
    named = {entry.id for pattern in exact for entry in catalog.select_models(pattern)}
    models: list[ModelEntry] = []
    left_out: dict[str, str] = {}
    failed: dict[str, str] = {}
    errors = []
    for entry in catalog.select_models(patterns):
        try:
            models.append(resolve(entry))
        except U1Error as error:
            unsuitable = isinstance(error, zoo.UnsuitableError)
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
    weights = zoo.published(entry.weights)
    return replace(
        entry,
        label_space=entry.label_space or weights.label_space,
        preprocessing=entry.preprocessing or weights.preprocessing,
        sha256=entry.sha256 or weights.sha256,
    )


def preprocessing_of(entry: ModelEntry) -> Preprocessing:
    """Return the preprocessing of a resolved entry in numbers, which torchvision's enums are asked for."""
    if entry.preprocessing is not None:
        return entry.preprocessing
    from u1core.zoo.torchvision_models import numbers, weights_enum

    return numbers(weights_enum(entry.weights))


@functools.lru_cache(maxsize=4096)
def _find_path(architecture: str, tag: str, size: int) -> OpticalPath | U1Error:
    """Find the optical path of an architecture without its weights; why there is none is an answer too."""
    from u1core.optical_path import find_path

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
    from u1core.optical_path import describe_layers

    return describe_layers(build_shapes(entry), preprocessing_of(entry).size, entry.layers, entry.id)


def build_shapes(entry: ModelEntry) -> nn.Module:
    """Build the network of an entry on the meta device: its shapes are real, its numbers don't exist."""
    return shapes_of(entry.architecture, own_tag(entry))


def shapes_of(architecture: str, tag: str) -> nn.Module:
    """Build an architecture, fit for the weights of a tag of its source, on the meta device."""
    with _seeded(0):  # some networks need numbers while they are built
        return on_meta(lambda: zoo.build(architecture, tag))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch's CPU generator, the only one that initialises weights here, and put it back."""
    before = torch.random.get_rng_state()
    try:
        torch.default_generator.manual_seed(seed)
        yield
    finally:
        torch.random.set_rng_state(before)


def build_network(
    entry: ModelEntry, *, trained: bool = True, models_dir: Path | None = None, seed: int = 0
) -> nn.Module:
    """Build one network of the catalog, in evaluation mode, on the CPU.

    Args:
        entry: The catalog entry.
        trained: With the entry's weights; else, or where it has none, with seeded random ones.
        models_dir: Where `file:` weights are looked for before $U1_MODELS.
        seed: Of the random weights; the global random state stays as it was.

    Returns:
        The network.

    Raises:
        U1Error: Unknown architecture; weights missing, of another sha256, or of another network.
    """
    with _seeded(seed):
        if trained and entry.has_weights:
            return load_network(entry, models_dir).eval()
        return zoo.build(entry.architecture, own_tag(entry)).eval()


def preprocessor(entry: ModelEntry, *, is_prepared: bool = False) -> Callable[[Tensor], Tensor]:
    """Give the function from pictures to the network's input, for tensors on any device.

    Args:
        entry: A resolved entry; where it has no numbers of its own, torchvision's weights enum has them.
        is_prepared: The pictures are resized and cropped already.

    Returns:
        A function from uint8 (B, H, W, C), C = 1 (grey, replicated) or 3, to float32 (B, 3, h, w), laid out
        with the channels last.
    """
    numbers = preprocessing_of(entry)
    if is_prepared:
        return functools.partial(_scale, numbers=numbers)
    return lambda pictures: _scale(resize(pictures, numbers), numbers)


def _scale(pictures: Tensor, numbers: Preprocessing) -> Tensor:
    """Divide grey values by 255, subtract the mean, divide by the deviation: (B, H, W, C) to (B, 3, H, W).

    A row of pixels is one vector of W x 3 numbers, so that mean and deviation, repeated along it, meet the
    pictures without a stride: ten times as fast as broadcasting over channels.
    """
    rows = pictures.expand(-1, -1, -1, 3).flatten(2)  # (B, H, W * 3)
    mean, std = (
        torch.tensor(values, dtype=torch.float32, device=rows.device).repeat(pictures.shape[2])
        for values in (numbers.mean, numbers.std)
    )
    scaled = rows.float().div_(255.0).sub_(mean).div_(std)
    return scaled.view(*pictures.shape[:3], 3).permute(0, 3, 1, 2)
