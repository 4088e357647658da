"""Examine an entry of the catalog before any sweep: what is there, what runs, what changed upstream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from u1core.catalog.entries import ModelEntry, Preprocessing
from u1core.common.errors import U1Error
from u1core.networks.build import build_network, build_shapes
from u1core.networks.optical_path import Layer, check_path, find_path
from u1core.networks.preprocess import preprocessing_of
from u1core.networks.proof import prove
from u1core.networks.resolve import describe_path, resolve
from u1core.networks.sources import registry
from u1core.networks.weights import weights_status


@dataclass(frozen=True)
class Remark:
    """One thing looked at.

    Attributes:
        about: What was looked at.
        state: 'ok', 'note' (worth knowing) or 'fault' (a sweep would fail or mislead).
        text: What was seen.
    """

    about: str
    state: str
    text: str


def examine_model(entry: ModelEntry, models_dir: Path | None = None, trained: bool = True) -> list[Remark]:
    """Examine a model: optical path, weights, what changed upstream, and what `prove` asks.

    Args:
        entry: As in the catalog; what it leaves out is filled in first.
        models_dir: Where `file:` weights are looked for before $U1_MODELS.
        trained: With its weights; else with random ones, which need no file.

    Returns:
        What was found; a fault ends the examination, since what follows would only repeat it.
    """
    remarks: list[Remark] = []
    for step in (_path, _upstream, _weights, _batch):
        try:
            remarks += step(entry, models_dir, trained)
        except U1Error as error:
            remarks.append(Remark(step.__name__.strip("_"), "fault", str(error)))
        if any(remark.state == "fault" for remark in remarks):
            break
    return remarks


def _path(entry: ModelEntry, models_dir: Path | None, trained: bool) -> Iterator[Remark]:
    """Compare the layers written down with those that are found."""
    resolved = resolve(entry)
    layers = describe_path(resolved)
    check_path(resolved, {layer.path: (layer.height, layer.width) for layer in layers})
    yield Remark("path", "ok", f"{len(layers)} layers down to {_shape(layers, resolved.bottleneck)}")
    signed = [layer for layer in layers if not layer.non_negative]
    if signed:
        kinds = ", ".join(dict.fromkeys(layer.nonlinearity or "no non-linearity" for layer in signed))
        text = f"{len(signed)} of {len(layers)} layers go below zero ({kinds}): see negative_share"
        yield Remark("sign", "note", text)
    if entry.layers and not entry.is_baseline:
        yield from _compare(layers, entry)


def _shape(layers: tuple[Layer, ...], bottleneck: str) -> str:
    layer = next(layer for layer in layers if layer.path == bottleneck)
    return f"{bottleneck}, {layer.channels} x {layer.height} x {layer.width}"


def _compare(layers: tuple[Layer, ...], entry: ModelEntry) -> Iterator[Remark]:
    """Say where the finder takes other values than the entry does."""
    try:
        found = find_path(build_shapes(entry), preprocessing_of(entry).size).layers
    except U1Error as error:
        yield Remark("path", "note", f"by hand only: {error.got}")
        return
    written = {(x.channels, x.height, x.width, x.nonlinearity) for x in layers}
    others = [x for x in found if (x.channels, x.height, x.width, x.nonlinearity) not in written]
    if others:
        shown = ", ".join(f"{x.path} ({x.channels} x {x.height} x {x.width})" for x in others)
        yield Remark("path", "note", f"the finder takes others: {shown}")


def _upstream(entry: ModelEntry, models_dir: Path | None, trained: bool) -> Iterator[Remark]:
    """Say what the publisher of the weights says otherwise than the entry."""
    if entry.weights == "none" or entry.weights.startswith(("file:", "package:")):
        return
    published = registry.published(entry.weights)
    pairs = {
        "sha256": (published.sha256, entry.sha256),
        "label space": (published.label_space, entry.label_space),
        "preprocessing": (_written(published.preprocessing), _written(entry.preprocessing)),
    }
    for about, (theirs, ours) in pairs.items():
        differs = not theirs.startswith(ours) and not ours.startswith(theirs)
        if theirs and ours and differs:
            yield Remark("upstream", "note", f"{about} is now {theirs}, the entry says {ours}")


def _written(preprocessing: Preprocessing | None) -> str:
    return "" if preprocessing is None else preprocessing.to_json()


def _weights(entry: ModelEntry, models_dir: Path | None, trained: bool) -> Iterator[Remark]:
    if entry.architecture.startswith("code:") and _same_at_any_seed(entry):
        text = "the function gives the same weights at any seed: let it build at random, and name a file:"
        yield Remark("weights", "note", text)
    if not entry.has_weights or not trained:
        yield Remark("weights", "note", "random, seed 0")
    elif reason := weights_status(entry, models_dir):
        yield Remark("weights", "fault", reason)
    else:
        yield Remark("weights", "ok", entry.weights)


def _same_at_any_seed(entry: ModelEntry) -> bool:
    """Tell whether a network that should be random is not: the control `random-init` would be none."""
    first, other = (build_network(entry, trained=False, seed=seed).state_dict() for seed in (0, 1))
    return all(torch.equal(first[name], other[name]) for name in first)


def _batch(entry: ModelEntry, models_dir: Path | None, trained: bool) -> Iterator[Remark]:
    """Prove its layers and, where somebody says what they predict, its logits."""
    entry = resolve(entry)
    network = build_network(entry, trained=trained, models_dir=models_dir)
    prove(network, entry, trained=trained)
    text = "two pictures: shapes, finite, the same twice, the same alone"
    if trained and entry.has_weights and entry.label_space not in ("", "none"):
        text += f"; {prove(network, entry, entry.head or '')} classes"
    yield Remark("batch", "ok", text)
