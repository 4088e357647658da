"""The C heap, told to keep what it is given back.

By default the GNU C library asks the kernel for every large tensor anew and hands it back when it is freed,
so each forward pass meets fresh pages, one fault per 4 KiB: that can cost as much as a light network's
arithmetic (docs/benchmarks.md, row `heap`). A GPU's allocator keeps its memory for the same reason.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT_BYTES = 2**31 - 1
_MAPPED_BYTES = 2**30
"""Blocks from here on are still mapped, and go back to the kernel when they are freed."""


@contextmanager
def kept_heap() -> Iterator[None]:
    """Keep freed memory for the next tensor while inside, and hand all of it back at the end.

    The C library's thresholds stay set for the process: what is freed outside waits for the next end. Without
    the GNU C library nothing happens.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)
    libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
    try:
        yield
    finally:
        libc.malloc_trim(0)
