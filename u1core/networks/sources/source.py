"""What a source of networks is: the class that a package derives to bring networks of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from u1core.catalog.entries import Preprocessing
from u1core.common.errors import U1Error
from u1core.networks.sources.files import WeightsFile

if TYPE_CHECKING:
    from torch import Tensor, nn


class UnsuitableError(U1Error):
    """A network that can't be looked at this way at all: named exactly, a mistake; in a glob, left out."""


@dataclass(frozen=True)
class Weights:
    """Weights as their publisher describes them.

    Attributes:
        file: Where they lie, and how they come here.
        label_space: What their head predicts.
        preprocessing: What they were trained on; None for the architecture's default (and for torchvision's
            weights, whose enum is asked).
        sha256: The leading digits that the publisher promises; empty where none are.
    """

    file: WeightsFile
    label_space: str
    preprocessing: Preprocessing | None = None
    sha256: str = ""


class ModelSource(ABC):
    """A source of networks. Only `names` and `build` have to be given; the rest is for published weights.

    Attributes:
        separator: Stands between the name and the tag of weights: `<scheme>:<name><separator><tag>`.
    """

    separator = "@"

    @abstractmethod
    def names(self) -> Sequence[str]:
        """Return the architectures, for globs and for the nearest to a wrong one."""

    @abstractmethod
    def build(self, name: str, tag: str = "", classes: int | None = None) -> nn.Module:
        """Build an architecture with random weights, on the torch device that is active.

        Args:
            name: One that `knows` says yes to.
            tag: Weights that it shall fit; empty for none of the source's own.
            classes: Of its head; None for the architecture's own.
        """

    def knows(self, name: str) -> bool:
        """Tell whether this is an architecture of the source."""
        return name in self.names()

    def tags(self, name: str) -> Sequence[str]:
        """Return the tags of an architecture's published weights, the default first."""
        return ()

    def weights(self, name: str, tag: str) -> Weights:
        """Describe published weights; asked only for what `tags` gives."""
        raise NotImplementedError

    def load(self, name: str, tag: str, state: dict[str, Tensor]) -> nn.Module:
        """Build an architecture with the tensors of its published weights."""
        network = self.build(name, tag)
        network.load_state_dict(state)
        return network

    def version(self, name: str) -> str:
        """Return what changes when the code of an architecture does; empty for released code."""
        return ""

    def default_preprocessing(self, name: str) -> Preprocessing | None:
        """Return what an architecture is usually shown, for weights that bring none; None if nothing is."""
        return None
