"""The bytes of a request, as they came: what is read-only is not copied, and all of it can be sent again."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator

_GATHERED_BYTES = 64 * 1024  # pieces below this are put together


class Body:
    """Pieces in their order. A request sends them one after another; their number has no limit."""

    def __init__(self) -> None:
        self._pieces: list[memoryview | bytearray] = []
        self._size = 0
        self._crc32 = ""

    def append(self, view: memoryview) -> None:
        """One more piece of bytes. A read-only one must not change while this is used."""
        self._size += len(view)
        if len(view) >= _GATHERED_BYTES:
            self._pieces.append(view if view.readonly else memoryview(bytes(view)))
            return
        last = self._pieces[-1] if self._pieces else None
        if isinstance(last, bytearray) and len(last) < _GATHERED_BYTES:
            last += view
        else:
            self._pieces.append(bytearray(view))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[memoryview]:
        return (memoryview(piece) for piece in self._pieces)

    def whole(self) -> bytes:
        """All bytes, copied."""
        return b"".join(self._pieces)

    def crc32(self) -> str:
        """Its checksum as S3 writes it, made once there is no more to come: with it the server sees that all bytes came as
        they are."""
        if self._crc32:
            return self._crc32
        found = 0
        for piece in self._pieces:
            found = zlib.crc32(piece, found)
        self._crc32 = base64.b64encode(found.to_bytes(4)).decode()
        return self._crc32
