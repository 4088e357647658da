"""The location memory: which class does the memory name, place by place of the image plane?

Shape legend: P = H * W places, Q queries, M memory images, N channels. Activations are compared with the
memory at the same place only, by cosine, exactly; nothing is trained (docs/method.md, 'Memory-based
classification').
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

QUERY_BLOCK = 1024


class Nearest(NamedTuple):
    """The most similar memory image of each query; ties go to the earlier one."""

    position: np.ndarray  # (Q,) in the memory
    similarity: np.ndarray  # (Q,) cosine


class LocationMemory(NamedTuple):
    """Nearest memory images by three views of the same maps."""

    location: list[Nearest]  # P entries: A(:, x, y) alone
    full: Nearest  # the flattened map, N * P numbers
    pooled: Nearest  # the mean over places, N numbers


def search(
    queries: Iterable[np.ndarray],
    memory: Iterable[np.ndarray],
    query_rows: np.ndarray,
    memory_rows: np.ndarray,
    device: torch.device | str = "cpu",
) -> LocationMemory:
    """Find the nearest memory image of every query at every place, and by the whole map.

    Args:
        queries: Maps (P, q, N), float16 or wider, gone through place by place once per block of queries.
        memory: Maps (P, m, N).
        query_rows: Which of the q maps ask, (Q,).
        memory_rows: Which of the m maps are the memory, (M,); positions are counted in them.
        device: Where the products run, in float32.

    Returns:
        One neighbour per query and view. A query that is zero at a place is equally unlike everything.

    Example:
        Two places, two channels, a query and two memory images. One is like the query at the first place and
        has cos = 4/5 at the second; the other has 3/5 at the first place and is like it at the second.

        >>> query = np.array([[[1.0, 0.0]], [[1.0, 0.0]]])
        >>> memory = np.array([[[1.0, 0.0], [3.0, 4.0]], [[4.0, 3.0], [1.0, 0.0]]])
        >>> found = search(query, memory, np.array([0]), np.array([0, 1]))
        >>> [(place.position.tolist(), place.similarity.round(2).tolist()) for place in found.location]
        [([0], [1.0]), ([1], [1.0])]
        >>> found.full.position.tolist(), found.pooled.position.tolist()
        ([0], [0])
    """
    blocks = [
        _search_block(queries, memory, query_rows[i : i + QUERY_BLOCK], memory_rows, device)
        for i in range(0, len(query_rows), QUERY_BLOCK)
    ]
    places = zip(*(block.location for block in blocks), strict=True)
    return LocationMemory(
        [_join(place) for place in places],
        _join([block.full for block in blocks]),
        _join([block.pooled for block in blocks]),
    )


def _search_block(
    queries: Iterable[np.ndarray],
    memory: Iterable[np.ndarray],
    query_rows: np.ndarray,
    memory_rows: np.ndarray,
    device: torch.device | str,
) -> LocationMemory:
    """Search one block of queries; the flattened product is the sum of the places' products."""
    location, whole, pooled = [], _Products(), (torch.zeros(()), torch.zeros(()))
    for q_map, m_map in zip(queries, memory, strict=True):
        q, m = _at_place(q_map, query_rows, device), _at_place(m_map, memory_rows, device)
        here = _Products.of(q, m)
        location.append(here.nearest())
        whole = whole.plus(here)
        pooled = pooled[0].to(q) + q, pooled[1].to(m) + m
    return LocationMemory(location, whole.nearest(), _Products.of(*pooled).nearest())


def _at_place(maps: np.ndarray, rows: np.ndarray, device: torch.device | str) -> Tensor:
    """Return the chosen rows of maps (n, N) at one place, in float32."""
    return torch.from_numpy(maps[rows].astype(np.float32)).to(device)


class _Products(NamedTuple):
    """Inner products (Q, M) and the squared norms (Q,) and (M,) that make cosines of them."""

    inner: Tensor = torch.zeros(())
    query: Tensor = torch.zeros(())
    memory: Tensor = torch.zeros(())

    @classmethod
    def of(cls, q: Tensor, m: Tensor) -> _Products:
        return cls(q @ m.T, q.square().sum(1), m.square().sum(1))

    def plus(self, other: _Products) -> _Products:
        return _Products(*(a.to(b.device) + b for a, b in zip(self, other, strict=True)))

    def nearest(self) -> Nearest:
        norms = self.query.sqrt()[:, None] * self.memory.sqrt()
        similarity, position = (self.inner / norms.clamp_min(torch.finfo(norms.dtype).tiny)).max(dim=1)
        return Nearest(position.cpu().numpy(), similarity.cpu().numpy())


def _join(parts: list[Nearest] | tuple[Nearest, ...]) -> Nearest:
    return Nearest(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
