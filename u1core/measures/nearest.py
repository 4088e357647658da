"""The memory-based classifier: exact nearest neighbours over stored activations, nothing trained.

Shape legend: Q queries, M memory images, D dimensions, k neighbours. The search is separate from the
vote: this module finds neighbours, SQL counts them (sql/views/cells/memory_report.sql).

The products cost 2 Q M D operations and are the floor. Choosing among them costs little beside it: after
the first tile of the memory few products exceed the k-th best so far, one pass of maxima over groups of them
finds those, and they are sorted in when many wait. benchmarks/knn.py compares the search with faiss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize, pad

from u1core.common.heap import kept_heap

NEIGHBOURS = 20
"""Neighbours kept per query: enough for every vote that is reported."""

GROUP = 32
"""Neighbouring products whose maximum is looked at before they are."""

ROOM = 3
"""Hits per neighbour asked for that wait before they are sorted in."""


SPARE = 4
"""Candidates per query, beside those asked for, whose order is settled in float64."""

PAIR_NUMBERS = 2**17
"""Numbers of candidates in float64 at a time: 1 MB stays in a processor's cache."""

SAFE_NORMS = (2.0**-30, 2.0**60)
"""Lengths whose squares a float32 holds, and those of all that adds to them."""


class Tile(NamedTuple):
    """How many queries and memory images are multiplied at once; their products are `queries * memory`."""

    queries: int
    memory: int


TILES = {"cpu": Tile(4096, 1024)}
"""By type of device: on a CPU the products stay in the last cache."""

LARGE_TILE = Tile(8192, 16384)
"""On other devices: 512 MiB of products in float32, few launches."""


# What torch.compile makes of a frozen linear layer; torch has no public name for it.
_ONEDNN = torch.backends.mkldnn.is_available() and all(  # type: ignore[no-untyped-call]
    hasattr(torch.ops.mkldnn, name) for name in ("_reorder_linear_weight", "_linear_pointwise")
)


class Neighbours(NamedTuple):
    """The k most similar memory images of each query, best first, ties to the earlier image."""

    similarity: np.ndarray  # (Q, k) cosine
    position: np.ndarray  # (Q, k) position in the memory


def unit_circle(angle_rad: np.ndarray) -> np.ndarray:
    """Return angles as unit vectors: their cosine similarity is cos of the angular distance.

    Args:
        angle_rad: (Q,); NaN where there is none.

    Returns:
        (Q, 2). An angle that is none becomes the zero vector, which is equally unlike everything.

    Example:
        >>> unit_circle(np.radians([0.0, 90.0, np.nan])).round(6).tolist()
        [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    """
    vectors = np.stack([np.cos(angle_rad), np.sin(angle_rad)], axis=1)
    vectors[np.isnan(angle_rad)] = 0.0
    return vectors


@kept_heap()
def nearest(
    queries: np.ndarray,
    memory: Iterable[np.ndarray],
    k: int = NEIGHBOURS,
    device: torch.device | str = "cpu",
) -> Neighbours:
    """Find the k nearest memory vectors of every query by cosine similarity, exactly.

    Args:
        queries: (Q, D), float32 or float64; the arithmetic follows this type.
        memory: Blocks (m, D) in memory order. Only one block at a time is held, and the answer does not
            depend on where they end.
        k: Neighbours per query; fewer are returned when the memory is smaller.
        device: Where the products run.

    Returns:
        Similarities and memory positions, (Q, min(k, M)). A vector that is not finite is, like the zero
        vector, equally unlike everything.

    Example:
        >>> memory = np.array([[5.0, 0.0], [4.0, 3.0], [0.0, 2.0], [3.0, 4.0]])
        >>> found = nearest(np.array([[0.0, 7.0]]), [memory[:3], memory[3:]], k=3)
        >>> found.position.tolist(), found.similarity.round(6).tolist()
        ([[2, 3, 1]], [[1.0, 0.8, 0.6]])
    """
    asked = _directions(torch.tensor(queries, device=device))
    tile = TILES.get(asked.device.type, LARGE_TILE)
    searches = [_Search(part, k) for part in torch.split(asked, tile.queries)]
    total = 0
    for block in _recut(memory, tile.memory):
        # Whole groups of products: the zero vectors at the end are taken out again.
        directions = pad(_directions(torch.tensor(block).to(asked)), (0, 0, 0, -len(block) % GROUP))
        packed = _pack(directions, tile.queries)
        for search in searches:
            search.offer(packed, len(block), total)
        total += len(block)
    found = [search.result(min(k, total)) for search in searches]
    similarity, position = (torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True))
    return Neighbours(similarity, position)


def nearest_exactly(
    queries: np.ndarray,
    memory: Callable[[], Iterable[np.ndarray]],
    k: int = NEIGHBOURS,
    device: torch.device | str = "cpu",
) -> Neighbours:
    """Find the k nearest memory vectors of every query, searched in float32 and ranked in float64.

    Cosines of activations lie so close to 1 that float32 exchanges neighbours; in float64 all of them would
    take twice the time of the search, those of the candidates a hundredth. A neighbour is missed only where
    more than SPARE others are as near in float32, which tells cosines apart by 1e-7.

    Args:
        queries: (Q, D), float32 or float64.
        memory: Gives the blocks (m, D) in memory order; asked twice.
        k: Neighbours per query.
        device: Where the products run.

    Returns:
        As `nearest`, with float64 similarities.

    Example:
        >>> memory = np.array([[1.0, 0.0], [1.0, 2e-5], [1.0, 1e-5]])
        >>> nearest_exactly(np.array([[1.0, 1e-5]]), lambda: [memory], k=3).position.tolist()
        [[2, 0, 1]]
    """
    blocks = (block.astype(np.float32, copy=False) for block in memory())
    position = nearest(queries.astype(np.float32, copy=False), blocks, k + SPARE, device).position
    similarity = _cosines(queries, memory(), position)
    order = np.lexsort((position, -similarity), axis=1)[:, :k]
    return Neighbours(*(np.take_along_axis(values, order, axis=1) for values in (similarity, position)))


def _cosines(queries: np.ndarray, memory: Iterable[np.ndarray], position: np.ndarray) -> np.ndarray:
    """Return the cosines (Q, k), in float64, of queries (Q, D) and memory vectors at positions (Q, k)."""
    cosines, asked, start = np.zeros(position.shape), queries.astype(np.float64), 0
    step = max(1, PAIR_NUMBERS // queries.shape[1])
    for block in memory:
        pairs = np.argwhere((position >= start) & (position < start + len(block)))
        for some in range(0, len(pairs), step):
            row, rank = pairs[some : some + step].T
            stored = block[position[row, rank] - start].astype(np.float64)
            lengths = np.sqrt(_inner(asked[row], asked[row]) * _inner(stored, stored))
            has_direction = (lengths > 0) & np.isfinite(lengths)
            inner = _inner(asked[row], stored)
            cosines[row, rank] = np.divide(inner, lengths, out=np.zeros(len(row)), where=has_direction)
        start += len(block)
    return cosines.clip(-1.0, 1.0)


def _inner(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the inner products (P,) of vectors (P, D), row by row."""
    with np.errstate(invalid="ignore"):
        inner: np.ndarray = np.einsum("pd,pd->p", a, b)
    return inner


def _directions(vectors: Tensor) -> Tensor:
    """Return vectors (B, D) at length 1; the zero vector, and what is not finite, as 0.

    Those whose squares the type may not hold are brought to a size of 1 by a power of two, which is exact.
    """
    norm = torch.linalg.vector_norm(vectors, dim=1)
    directions = normalize(vectors, dim=1)
    outside = ~((norm > SAFE_NORMS[0]) & (norm < SAFE_NORMS[1]))
    if outside.any():
        directions[outside] = normalize(_at_size_1(vectors[outside]), dim=1)
    return directions.nan_to_num_(nan=0.0)


def _at_size_1(vectors: Tensor) -> Tensor:
    """Return vectors (B, D) times powers of two, so that their largest entries lie in [1/2, 1)."""
    exponent = torch.frexp(vectors.abs().amax(dim=1, keepdim=True)).exponent
    half = exponent // 2  # the type may not hold the whole power
    for part in (half, exponent - half):
        vectors = vectors * torch.exp2(-part.to(vectors))
    return vectors


def _recut(blocks: Iterable[np.ndarray], rows: int) -> Iterator[np.ndarray]:
    """Yield the rows of blocks (m, D) in order, `rows` at a time, the last time what is left."""
    rest = None
    for block in blocks:
        rest = block if rest is None or not len(rest) else np.concatenate([rest, block])
        whole = len(rest) - len(rest) % rows
        yield from (rest[start : start + rows] for start in range(0, whole, rows))
        rest = rest[whole:]
    if rest is not None and len(rest):
        yield rest


class _Hits(NamedTuple):
    """Products that may be among the best k of their query, by query and then by position."""

    row: Tensor  # (h,) query
    position: Tensor  # (h,) in the memory
    similarity: Tensor  # (h,)


class _Search:
    """The best k of a few queries (n, D) over the memory offered so far.

    Attributes:
        similarity: (n, k + room). The best so far, then hits in the order of the memory, then -inf.
        position: (n, k + room). Theirs in the memory.
        waiting: (n,). How many hits wait to be sorted in.
        floor: (n, 1). At least k of the memory are as similar or more, so an equal one that comes later is
            none of the best k.
    """

    def __init__(self, queries: Tensor, k: int) -> None:
        n, device = len(queries), queries.device
        self.queries, self.k, self.room = queries, k, ROOM * k
        self.similarity = queries.new_full((n, k + self.room), -torch.inf)
        self.position = torch.zeros(self.similarity.shape, dtype=torch.long, device=device)
        self.waiting = torch.zeros(n, dtype=torch.long, device=device)
        self.floor = queries.new_full((n, 1), -torch.inf)

    def offer(self, packed: Tensor, count: int, offset: int) -> None:
        """Look at a packed tile (m, D) of the memory: `count` images from `offset` on, then zeros."""
        products = _products(self.queries, packed)  # (n, m)
        products[:, count:] = -torch.inf
        groups = products.view(len(products), products.shape[1] // GROUP, GROUP)  # (n, G, GROUP)
        row, group = self._above(groups.amax(dim=2))
        values = groups.flatten(0, 1)[row * groups.shape[1] + group]  # (g, GROUP)
        which, member = (values >= self.floor[row]).nonzero(as_tuple=True)
        position = offset + group[which] * GROUP + member
        self._keep(_Hits(row[which], position, values[which, member]))

    def _above(self, maxima: Tensor) -> tuple[Tensor, Tensor]:
        """Return queries and groups of the maxima (n, G) above the floor; raise the floor where they crowd.

        The k-th largest maximum is at most the k-th largest product. Maxima crowd in the first tile, and in a
        memory that becomes ever more like the query: one sorted by class.
        """
        above = maxima > self.floor
        row, group = above.nonzero(as_tuple=True)
        if len(row) <= self.k * len(maxima):
            return row, group
        crowded = above.sum(dim=1) > self.k
        least = maxima[crowded].topk(self.k, dim=1).values[:, -1:]
        self.floor[crowded] = least
        above[crowded] = maxima[crowded] >= least
        row, group = above.nonzero(as_tuple=True)
        return row, group

    def _keep(self, hits: _Hits) -> None:
        """Let hits wait, `room` per query at a time; sort in those that wait where more would not fit."""
        if not len(hits.row):
            return
        count = hits.row.bincount(minlength=len(self.waiting))
        rank = torch.arange(len(hits.row), device=count.device) - (count.cumsum(0) - count)[hits.row]
        if (widest := int(count.max())) > self.room:
            for turn in range(math.ceil(widest / self.room)):
                self._keep(_Hits(*(values[rank // self.room == turn] for values in hits)))
            return
        if int((self.waiting + count).max()) > self.room:
            self._sort_in()
        slot = self.k + self.waiting[hits.row] + rank
        self.similarity[hits.row, slot] = hits.similarity
        self.position[hits.row, slot] = hits.position
        self.waiting += count

    def _sort_in(self) -> None:
        """Sort the hits that wait in among the best; earlier memory stands first and wins ties."""
        best = self.similarity.argsort(dim=1, descending=True, stable=True)[:, : self.k]
        self.position[:, : self.k] = self.position.gather(1, best)
        self.similarity[:, : self.k] = self.similarity.gather(1, best)
        self.similarity[:, self.k :] = -torch.inf
        self.waiting.zero_()
        self.floor = torch.maximum(self.floor, self.similarity[:, self.k - 1 : self.k])

    def result(self, k: int) -> tuple[Tensor, Tensor]:
        """Return the similarities and positions (n, k) of the best."""
        self._sort_in()
        return self.similarity[:, :k], self.position[:, :k]


def _pack(memory: Tensor, queries: int) -> Tensor:
    """Return a tile (m, D) of the memory in the layout that is fastest to multiply with that many queries.

    On a CPU that is oneDNN's, which knows no float64. On AMD, `@` goes to MKL and a fifth is lost.
    """
    if _ONEDNN and memory.device.type == "cpu" and memory.dtype == torch.float32:
        packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(memory, queries)
        return packed
    return memory


def _products(queries: Tensor, packed: Tensor) -> Tensor:
    """Return the inner products (n, m) of queries (n, D) and a packed tile (m, D).

    Those of angles are multiplied out: kernels round by where in the tile a vector lies, so that equal angles
    would not tie.
    """
    if packed.is_mkldnn:
        products: Tensor = torch.ops.mkldnn._linear_pointwise(queries, packed, None, "none", [], "")
        return products
    if queries.shape[1] == 2:
        return queries[:, :1] * packed[:, 0] + queries[:, 1:] * packed[:, 1]
    return queries @ packed.T
