"""The file that is decoded, as a decoder sees it: bytes, a name, and somebody to tell."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any, BinaryIO

BUFFER_BYTES = 1024 * 1024


class Source:
    """A file that is open as the descriptor `fd`. `name` is what people call it, `bytes` its length.

    `tell(value)` says something (a JSON value of at most 64 KiB) to whoever asked for the decoding, in the order of the
    calls and before the next batch.
    """

    def __init__(self, fd: int, name: str, tell: Callable[[Any], None]) -> None:
        self._fd, self.name, self.tell = fd, name, tell
        self.bytes = os.fstat(fd).st_size

    @property
    def path(self) -> str:
        """A path to the file, for libraries that want one; only this process can use it, while the descriptor is open."""
        return f"/proc/self/fd/{self._fd}"

    def open(self) -> BinaryIO:
        """A new stream from the first byte; there may be several at a time."""
        return io.BufferedReader(_Positioned(self._fd, self.bytes), BUFFER_BYTES)


class _Positioned(io.RawIOBase):
    """A stream with a place of its own in a descriptor that is shared."""

    def __init__(self, fd: int, size: int) -> None:
        super().__init__()
        self._fd, self._size, self._at = fd, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        read = os.preadv(self._fd, [buffer], self._at)
        self._at += read
        return read
