"""References to models that need no catalog entry: `timm:*resnet*`, `torchvision:resnet50@IMAGENET1K_V1`."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from pathlib import PurePath

from u1core.catalog.catalog import Catalog, select
from u1core.catalog.entries import MAX_ID, ModelEntry
from u1core.catalog.models import FIELDS
from u1core.catalog.schemes import schemes
from u1core.common.errors import U1Error
from u1core.networks.sources import registry


def select_models(catalog: Catalog, patterns: str) -> list[ModelEntry]:
    """Choose models by comma-separated patterns, each once, in the order asked for.

    Args:
        catalog: Whose ids are meant.
        patterns: Ids or globs over them; references such as `timm:*resnet*` or
            `torchvision:resnet50@IMAGENET1K_V1`, which need no entry.

    Raises:
        U1Error: A pattern matches nothing.
    """
    return select(catalog.models, patterns, "model", model_reference)


def is_glob(pattern: str) -> bool:
    """Tell whether a pattern may match more than itself."""
    return any(character in pattern for character in "*?[")


def is_model_reference(text: str) -> bool:
    """Tell whether this is `<scheme>:<name>` of a source of networks."""
    scheme, _, name = text.partition(":")
    return bool(name) and scheme in schemes()


def model_reference(text: str, weights: str | None = None) -> list[ModelEntry]:
    """Make the entries that a reference stands for; `u1core.networks.resolve.resolve` fills the rest in.

    Args:
        text: `<scheme>:<name>` with the default weights, or with those of a tag: `timm:<name>.<tag>`,
            `torchvision:<name>@<WEIGHTS>`, a plugin's likewise. Name and tag may be globs; a glob over names
            leaves architectures without published weights out.
        weights: Other weights: 'none', 'file:<path>' or 'package:<distribution>'.

    Returns:
        Entries with ids such as `timm.resnet18.a1_in1k`, in the order of the source.

    Raises:
        U1Error: It matches nothing, or an architecture named exactly has no such weights.
    """
    if not is_model_reference(text):
        valid = ", ".join(f"{scheme}:<name>" for scheme in schemes())
        raise U1Error("a reference to a model", f"'{text}'", f"take one of {valid}")
    scheme, _, rest = text.partition(":")
    if weights is not None:
        _check_weights(weights)
        tag = PurePath(weights.partition(":")[2]).stem or "random"
        return [_entry(scheme, name, tag, weights, "none") for name in _matching_names(scheme, rest)]
    separator = registry.separator(scheme)
    name, _, tag = rest.partition(separator)
    pairs = [(n, t) for n in _matching_names(scheme, name) for t in _matching_tags(f"{scheme}:{n}", tag)]
    if not pairs and is_glob(rest):
        raise U1Error(f"a glob that matches published weights of {scheme}", f"'{rest}'", "make it wider")
    if not pairs:
        registry.published(f"{scheme}:{name}{separator}{tag}")  # says what there is instead
    return [_entry(scheme, n, t, f"{scheme}:{n}{separator}{t}", "") for n, t in pairs]


def _check_weights(weights: str) -> None:
    if not FIELDS["weights"].holds(weights):
        raise U1Error(f"weights as {FIELDS['weights'].valid}", f"'{weights}'", "name them so")


def _matching_names(scheme: str, pattern: str) -> Iterable[str]:
    if not is_glob(pattern):
        return [registry.check(f"{scheme}:{pattern}")[1]]
    found = fnmatch.filter(registry.names(scheme), pattern)
    if not found:
        raise U1Error(f"a glob that matches names of {scheme}", f"'{pattern}'", "make it wider")
    return found


def _matching_tags(architecture: str, pattern: str) -> Iterable[str]:
    tags = registry.tags(architecture)
    return fnmatch.filter(tags, pattern) if pattern else tags[:1]


def _entry(scheme: str, name: str, tag: str, weights: str, label_space: str) -> ModelEntry:
    return ModelEntry(
        id=re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{scheme}.{name}.{tag}")[: MAX_ID // 2],
        architecture=f"{scheme}:{name}",
        weights=weights,
        label_space=label_space,
        description=f"{name} of {scheme}, weights {tag}",
    )
