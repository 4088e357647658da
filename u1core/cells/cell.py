"""Cells: one (model, dataset, variant, layer set), its key, and its state in a lake."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from u1core.catalog.entries import DatasetEntry, ModelEntry
from u1core.cells.variants import VARIANTS
from u1core.networks.identity import identity_of

if TYPE_CHECKING:
    from u1core.lake.store import CellId, Lake

_MEASURES = 3
"""Part of every cell key: raise it when the same inputs give other numbers, or more of them."""

MEMORIES = ("official", "held-out")
"""Whose images the memory is: of the memory split, or a half of the query split, which no network learned."""

PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Cell:
    """One cell of the grid.

    Attributes:
        model: Catalog entry of the model.
        dataset: Catalog entry of the dataset.
        fingerprint: sha256 over the dataset's pixels and labels.
        variant: 'original', or what is changed: a name of `variants.VARIANTS`.
        precision: Arithmetic of the forward pass.
        limit: Class-balanced images per split; None for all.
        location_limit: Class-balanced images per split for the location memory; 0 for none.
        memory: One of `MEMORIES`.
    """

    model: ModelEntry
    dataset: DatasetEntry
    fingerprint: str
    variant: str = "original"
    precision: str = "float32"
    limit: int | None = None
    location_limit: int = 0
    memory: str = MEMORIES[0]

    @cached_property
    def key(self) -> str:
        """Hash of everything that determines the cell's numbers: same key, same answers."""
        identity: dict[str, Any] = {
            # The ids too: two entries of one content are two cells, with rows of their own.
            "model": {"id": self.model.id, **identity_of(self.model)},
            "dataset": {"id": self.dataset.id, "fingerprint": self.fingerprint},
            "variant": self.variant,
            "precision": self.precision,
            "limit": self.limit,
            "location_limit": self.location_limit,
            "schema": _MEASURES,
            # Said where it is not what it always was: keys of before stay.
            **({} if self.memory == MEMORIES[0] else {"memory": self.memory}),
            **({"norms": "moved"} if VARIANTS[self.variant].norms == "moved" else {}),
        }
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def id(self) -> CellId:
        """What the lake knows the cell by."""
        from u1core.lake.store import CellId

        return CellId(self.key, self.dataset.id, self.model.id, self.variant)

    @property
    def is_trained(self) -> bool:
        """Whether the network has trained weights in it: the model has some, and the variant keeps them."""
        return self.model.has_weights and VARIANTS[self.variant].trained

    @property
    def head_matches(self) -> bool:
        """Whether the head and the data set say that they are of one label space: then names are compared."""
        is_asked = VARIANTS[self.variant].asks_head and self.is_trained
        return is_asked and self.model.label_space == self.dataset.label_space

    def __str__(self) -> str:
        return str(self.id)


def cell_states(cells: Sequence[Cell], lake: Lake | None) -> list[str]:
    """Return the state of every cell in a lake (None: a lake that does not exist yet).

    Returns:
        'done', 'failed', 'stale' (done before, from other inputs) or 'to do', in the order of the cells.
    """
    rows = lake.cells() if lake else {}
    done = {(r["dataset"], r["model"], r["variant"]) for r in rows.values() if r["status"] == "done"}
    return [_state(cell.id, rows, done) for cell in cells]


def _state(cell: CellId, rows: Mapping[str, Mapping[str, Any]], done: Set[tuple[str, str, str]]) -> str:
    if cell.key in rows:
        return str(rows[cell.key]["status"])
    return "stale" if (cell.dataset, cell.model, cell.variant) in done else "to do"
