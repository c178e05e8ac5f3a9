"""Memory that was freed is kept for the next column, up to a limit (glibc; elsewhere nothing is changed).

By itself glibc maps each block of 32 MiB or more anew, and unmaps it when it is freed. The kernel clears every page of the
next one, which takes a step of NumPy or pandas on 10 million rows almost as long as its arithmetic. Arrow and polars
have allocators of their own, which keep what is freed for a while.
"""

from __future__ import annotations

import ctypes
import os

KEPT_BYTES = 256 * 1024 * 1024
"""What may lie free at the end of the heap."""
_MMAP_MAX, _TRIM_THRESHOLD = -4, -1  # M_MMAP_MAX and M_TRIM_THRESHOLD of malloc.h
_OWN = ("MALLOC_", "GLIBC_TUNABLES")


def keep_freed() -> bool:
    """From now on large blocks come from the heap. False where that cannot be said, or whoever started the process has said
    how its allocator is to work."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or any(name.startswith(_OWN) for name in os.environ):
        return False
    return bool(mallopt(_TRIM_THRESHOLD, KEPT_BYTES)) and bool(mallopt(_MMAP_MAX, 0))


def give_back(kept_bytes: int = KEPT_BYTES) -> None:
    """Give the system what lies free between blocks, and all but so many bytes of what lies free at the end: some 30 µs."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(kept_bytes))
