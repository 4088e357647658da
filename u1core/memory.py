"""The memory-based classifier: exact nearest neighbours over stored activations, nothing trained.

Shape legend: Q queries, M memory images, D dimensions, k neighbours. The search is separate from the
vote: this module finds neighbours, SQL counts them (sql/views/memory_report.sql).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

NEIGHBOURS = 20
"""Neighbours kept per query: enough for every vote that is reported."""

QUERY_BLOCK = 4096


class Neighbours(NamedTuple):
    """The k most similar memory images of each query, best first, ties to the earlier image."""

    similarity: np.ndarray  # (Q, k) cosine
    position: np.ndarray  # (Q, k) position in the memory


def unit_circle(angle_rad: np.ndarray) -> np.ndarray:
    """Return angles (Q,) as unit vectors (Q, 2): their cosine similarity is cos of the angular distance.

    A null (NaN) angle becomes the zero vector, which is equally unlike everything.
    """
    vectors = np.stack([np.cos(angle_rad), np.sin(angle_rad)], axis=1)
    vectors[np.isnan(angle_rad)] = 0.0
    return vectors


def nearest(
    queries: np.ndarray,
    memory: Iterable[np.ndarray],
    k: int = NEIGHBOURS,
    device: torch.device | str = "cpu",
) -> Neighbours:
    """Find the k nearest memory vectors of every query by cosine similarity, exactly.

    Args:
        queries: (Q, D), float32 or float64; the arithmetic follows this type.
        memory: Blocks (m, D) in memory order. Only one block at a time is held.
        k: Neighbours per query; fewer are returned when the memory is smaller.
        device: Where the products run.

    Returns:
        Similarities and memory positions, (Q, min(k, M)).
    """
    q = normalize(torch.tensor(queries, device=device), dim=1)
    best = q.new_empty((len(q), 0))
    where = torch.empty((len(q), 0), dtype=torch.long, device=device)
    offset = 0
    for block in memory:
        m = normalize(torch.tensor(block).to(q), dim=1)
        chunks = [_merge(q[s], best[s], where[s], m, offset, k) for s in _slices(len(q))]
        best, where = (torch.cat(parts) for parts in zip(*chunks, strict=True)) if chunks else (best, where)
        offset += len(m)
    return Neighbours(best.cpu().numpy(), where.cpu().numpy())


def _slices(n: int) -> list[slice]:
    return [slice(start, start + QUERY_BLOCK) for start in range(0, n, QUERY_BLOCK)]


def _merge(q: Tensor, best: Tensor, where: Tensor, m: Tensor, offset: int, k: int) -> tuple[Tensor, Tensor]:
    """Merge a memory block into the running top k; earlier memory stands first and wins ties."""
    similarity, position = (q @ m.T).topk(min(k, len(m)), dim=1)
    # topk leaves ties in any order; by position they are the same on every machine.
    order = position.argsort(dim=1)
    similarity, position = similarity.gather(1, order), position.gather(1, order) + offset
    similarity, position = torch.cat([best, similarity], 1), torch.cat([where, position], 1)
    order = similarity.argsort(dim=1, descending=True, stable=True)[:, :k]
    return similarity.gather(1, order), position.gather(1, order)
