"""A part of a file as an Arrow buffer, mapped read-only. Unlike `mmap.mmap` it keeps no descriptor: there may be many."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_FAILED = ctypes.c_void_p(-1).value


class _Map:
    """Unmapped when nobody has it any more."""

    def __init__(self, fd: int, offset: int, size: int, gone: Callable[[], None]) -> None:
        self._size, self._gone = size, gone
        self.address = _libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, fd, offset)
        if self.address == _FAILED:
            self.address = None
            number = ctypes.get_errno()
            raise OSError(number, f"a part of a file cannot be mapped: {os.strerror(number)}")

    def __del__(self) -> None:
        if self.address is not None:
            _libc.munmap(self.address, self._size)
            self._gone()


def mapped(fd: int, offset: int, size: int, gone: Callable[[], None]) -> pa.Buffer:
    """`size` bytes from `offset`, a whole number of pages. `gone` is called when nobody reads them any more; by whichever
    thread that was. Raises `OSError`."""
    import pyarrow as pa

    kept = _Map(fd, offset, size, gone)
    return pa.foreign_buffer(kept.address, size, kept)
