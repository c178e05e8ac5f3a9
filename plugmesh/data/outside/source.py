"""The file that is decoded, as a decoder sees it: bytes, a name, and somebody to tell."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any, BinaryIO

from plugmesh.seekable import Seekable

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


class _Positioned(Seekable):
    """A stream with a place of its own in a descriptor that is shared."""

    def __init__(self, fd: int, size: int) -> None:
        super().__init__(size)
        self._fd = fd

    def readinto(self, buffer: Any) -> int:
        read = os.preadv(self._fd, [buffer], self._at)
        self._at += read
        return read
