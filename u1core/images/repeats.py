"""The same picture twice: in both splits, where the memory knows the answer already, or within one.

Same means to the byte: of the file where a picture stays in its file, of the pixels where it is kept decoded.
The pixels of files would find pictures that were only encoded anew as well, at the price of decoding a whole
data set before any of it is asked for. Shapes: n pictures.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from u1core.images.sources.listing import Flags, Pixels

Digests = npt.NDArray[np.uint64]
"""The first 64 bits of each picture's sha256, (n,): two others share them once in 10^7 sets of 10^6."""


@dataclass(frozen=True)
class Repeats:
    """How often a picture comes again.

    Attributes:
        across: Query pictures that are in memory too.
        within: Pictures that an earlier one of their own split is the same as.
    """

    across: int
    within: int


def digest_rows(rows: Pixels) -> Digests:
    """Return the digests of pictures of one shape, or of longer digests, (n, ...)."""
    found = b"".join(hashlib.sha256(np.ascontiguousarray(row).data).digest()[:8] for row in rows)
    return np.frombuffer(found, dtype="<u8")


def count_repeats(digests: Digests, is_query: Flags) -> Repeats:
    """Count the pictures that come again.

    Args:
        digests: (n,).
        is_query: (n,).
    """
    memory, query = digests[~is_query], digests[is_query]
    distinct = len(np.unique(memory)) + len(np.unique(query))
    return Repeats(int(np.isin(query, memory).sum()), len(digests) - distinct)
