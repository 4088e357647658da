"""Build the catalog's networks: with their weights, at random, or as shapes alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from u1core.catalog.entries import ModelEntry
from u1core.networks.sources import registry
from u1core.networks.trace import on_meta
from u1core.networks.weights import load_network, own_tag

if TYPE_CHECKING:
    pass


def build_shapes(entry: ModelEntry) -> nn.Module:
    """Build the network of an entry on the meta device: its shapes are real, its numbers don't exist."""
    return shapes_of(entry.architecture, own_tag(entry))


def shapes_of(architecture: str, tag: str) -> nn.Module:
    """Build an architecture, fit for the weights of a tag of its source, on the meta device."""
    with seeded(0):  # some networks need numbers while they are built
        return on_meta(lambda: registry.build(architecture, tag))


_generator = threading.RLock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's CPU generator, the only one that initialises weights here, and put it back.

    One thread at a time: two that build at once would draw from each other's numbers.
    """
    with _generator:
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
    with seeded(seed):
        if trained and entry.has_weights:
            return load_network(entry, models_dir).eval()
        return registry.build(entry.architecture, own_tag(entry)).eval()
