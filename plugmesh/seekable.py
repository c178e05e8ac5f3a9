"""Streams over bytes that are read by their place: each has a place of its own, whoever else reads them."""

from __future__ import annotations

import io


class Seekable(io.RawIOBase):
    """A stream of `size` bytes; who extends it reads from `_at` on in `readinto`, and moves it."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size, self._at = size, 0

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
