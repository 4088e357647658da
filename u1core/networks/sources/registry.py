"""Sources of networks by the scheme of `<scheme>:<name>`, and what each is asked.

Nothing here imports torch or a plugin before its scheme is asked for.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING

from u1core.catalog.entries import Preprocessing
from u1core.catalog.fields import nearest
from u1core.catalog.schemes import sources
from u1core.common.errors import U1Error

if TYPE_CHECKING:
    from torch import Tensor, nn
from u1core.networks.sources.source import ModelSource, Weights

_LIBRARIES = {"timm": "timm.models", "torchvision": "torchvision.models"}
"""Where released code lies, whose every architecture is a function of that name."""


_FUNCTION = re.compile(r"^def ([a-z]\w*)\(", re.MULTILINE)


def _point(scheme: str) -> metadata.EntryPoint:
    if scheme not in sources():
        raise U1Error("a source of networks", f"'{scheme}:'", f"take one of {', '.join(sources())}")
    return sources()[scheme]


@functools.cache
def _source(scheme: str) -> ModelSource:
    point = _point(scheme)
    source = point.load()()
    if not isinstance(source, ModelSource):
        raise TypeError(f"{point.value} makes no u1core.networks.sources.ModelSource")
    return source


@contextmanager
def _asking(scheme: str, name: str = "") -> Iterator[ModelSource]:
    """Yield a source; whatever goes wrong in other people's code is one line that names their package."""
    try:
        yield _source(scheme)
    except U1Error:
        raise
    except Exception as error:
        point = _point(scheme)
        owner = f"the plugin {point.dist.name}" if point.dist else "its source"
        got = f"{type(error).__name__}: {_first_line(error)}"
        raise U1Error(f"{scheme}:{name} from {owner}", got, "correct that, or leave it out") from error


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")[:200]


def names(scheme: str) -> list[str]:
    """Return the architectures of a source."""
    with _asking(scheme) as source:
        return list(source.names())


def separator(scheme: str) -> str:
    """Return what stands between name and tag in a source's references."""
    with _asking(scheme) as source:
        return source.separator


def check(architecture: str) -> tuple[str, str]:
    """Split `<scheme>:<name>` into its parts.

    Raises:
        U1Error: No such source, or it has no such architecture; the nearest are named.
    """
    scheme, _, name = architecture.partition(":")
    with _asking(scheme, name) as source:
        if not source.knows(name):
            near = nearest(name, source.names())
            raise U1Error(f"an architecture of {scheme}", f"'{name}'", f"nearest: {near or 'none'}")
    return scheme, name


def tags(architecture: str) -> list[str]:
    """Return the tags of an architecture's published weights, the default first."""
    scheme, name = check(architecture)
    with _asking(scheme, name) as source:
        return list(source.tags(name))


def published(weights: str) -> Weights:
    """Describe published weights.

    Args:
        weights: `<scheme>:<name><separator><tag>`.

    Raises:
        U1Error: No such source, architecture or tag.
    """
    scheme, _, rest = weights.partition(":")
    name, _, tag = rest.partition(separator(scheme))
    valid = tags(f"{scheme}:{name}")
    if tag not in valid:
        todo = f"take one of {', '.join(valid)}" if valid else "it has none: name a file, or 'none'"
        raise U1Error(f"weights of {scheme}:{name}", f"'{tag}'" if tag else "none named", todo)
    with _asking(scheme, name) as source:
        return source.weights(name, tag)


def build(architecture: str, tag: str = "", classes: int | None = None) -> nn.Module:
    """Build an architecture with random weights, on the torch device that is active.

    Raises:
        U1Error: There is no such architecture, its code fails, or its first pass decides what it is.
    """
    scheme, name = check(architecture)
    with _asking(scheme, name) as source:
        network = source.build(name, tag, classes)
    if lazy := _lazy(network):
        todo = "give its layers their sizes, or pass one picture through it where it is built"
        raise U1Error(f"a network {architecture} whose layers have shapes", f"{lazy} has none yet", todo)
    return network


def _lazy(network: nn.Module) -> str:
    """Return the first parameter or buffer that is made by the first pass; empty where none is."""
    from torch.nn.parameter import is_lazy

    tensors = itertools.chain(network.named_parameters(), network.named_buffers())
    return next((name for name, tensor in tensors if is_lazy(tensor)), "")


def load(architecture: str, tag: str, state: dict[str, Tensor]) -> nn.Module:
    """Build an architecture with the tensors of its published weights.

    Raises:
        U1Error: There is no such architecture.
        RuntimeError: The tensors are of another, as `load_state_dict` says.
    """
    scheme, name = check(architecture)
    return _source(scheme).load(name, tag, state)


def version(architecture: str) -> str:
    """Return what changes when the code of an architecture does; empty for released code.

    timm and torchvision, whose import takes seconds, are only asked about a name that they do not define.

    Raises:
        U1Error: There is no such architecture.
    """
    scheme, _, name = architecture.partition(":")
    if scheme in _LIBRARIES and name in _functions(_LIBRARIES[scheme]):
        return ""
    scheme, name = check(architecture)
    with _asking(scheme, name) as source:
        return source.version(name)


@functools.cache
def _functions(library: str) -> frozenset[str]:
    """Return the functions that the modules of a library's networks define, by their text alone."""
    package, _, folder = library.partition(".")
    found = util.find_spec(package)
    roots = found.submodule_search_locations if found else None
    files = [file for root in roots or () for file in Path(root, folder).rglob("*.py")]
    return frozenset(name for file in files for name in _FUNCTION.findall(file.read_text(encoding="utf-8")))


def default_preprocessing(architecture: str) -> Preprocessing | None:
    """Return what an architecture is usually shown; None where that is not known."""
    scheme, name = check(architecture)
    with _asking(scheme, name) as source:
        return source.default_preprocessing(name)
