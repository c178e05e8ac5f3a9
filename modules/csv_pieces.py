"""Cutting CSV into pieces of whole rows, so that each can be parsed by itself.

A line end outside of quotes ends a row. Whether one is outside is told by the number of quotes before it, which is even
there. A quote within a value that does not begin with one counts as well, though it opens nothing: then a piece may become
longer than it need be.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modules.csv_lines import NulFound

_SHOWN_BYTES = 10_000
_QUOTE, _LINE_END, _OLD_LINE_END, _NUL = b'"', b"\n", b"\r", b"\0"


class TooLong(Exception):
    """There is no end of a row in as many bytes as a row may have. `begin`: how it begins."""

    def __init__(self, begin: bytes) -> None:
        super().__init__()
        self.begin = begin


class Pieces:
    """The bytes of `stream` in order, in pieces of about `piece_bytes` that end where a row ends.

    Iterating raises `TooLong` for a row of more than `longest_bytes`, and (with `no_nul`) `NulFound`. The memory of a piece
    is used again once it is given back: fresh pages cost more than reading does.
    """

    def __init__(self, stream: Any, piece_bytes: int, longest_bytes: int, *, no_nul: bool = False) -> None:
        self._stream, self._piece_bytes, self._longest_bytes = stream, piece_bytes, longest_bytes
        self._no_nul = no_nul
        self._free: list[bytearray] = []

    def __iter__(self) -> Iterator[memoryview]:
        buffer, filled = self._buffer(), 0
        while True:
            if filled == len(buffer):
                buffer.extend(bytes(min(len(buffer), self._longest_bytes)))
            added = self._read(buffer, filled)
            if not added:
                break
            if self._no_nul and buffer.find(_NUL, filled, filled + added) >= 0:
                raise NulFound
            filled += added
            if filled < len(buffer):
                continue
            cut = last_row_end(buffer, filled)
            if cut:
                following = self._buffer()
                left = filled - cut
                following.extend(bytes(max(0, left - len(following))))
                following[:left] = buffer[cut:filled]
                yield memoryview(buffer)[:cut]
                buffer, filled = following, left
            elif filled >= self._longest_bytes:
                raise TooLong(bytes(buffer[:_SHOWN_BYTES]))
        if filled:
            yield memoryview(buffer)[:filled]

    def give_back(self, piece: memoryview) -> None:
        """Nobody looks at a piece any more."""
        buffer = piece.obj
        try:
            piece.release()
        except BufferError:  # somebody does
            return
        if isinstance(buffer, bytearray) and len(buffer) == self._piece_bytes:
            self._free.append(buffer)

    def _buffer(self) -> bytearray:
        return self._free.pop() if self._free else bytearray(self._piece_bytes)

    def _read(self, buffer: bytearray, start: int) -> int:
        readinto = getattr(self._stream, "readinto", None)
        if readinto is not None:
            with memoryview(buffer) as whole, whole[start:] as rest:
                return int(readinto(rest) or 0)
        data = self._stream.read(len(buffer) - start)
        buffer[start : start + len(data)] = data
        return len(data)


def last_row_end(text: bytes | bytearray, end: int) -> int:
    """Behind the last line end before `end` that no quote is open at; 0 if there is none."""
    mark = _LINE_END if text.find(_LINE_END, 0, end) >= 0 else _OLD_LINE_END
    end = text.rfind(mark, 0, end) + 1
    if not end or text.find(_QUOTE, 0, end) < 0:
        return end
    before = _quotes(text, end)
    while end and before % 2:
        earlier = text.rfind(mark, 0, end - 1) + 1
        before -= text.count(_QUOTE, earlier, end)
        end = earlier
    return end


def _quotes(text: bytes | bytearray, end: int) -> int:
    """How many there are before `end`. NumPy is twice as fast, and there wherever pyarrow could load it."""
    try:
        import numpy as np
    except ImportError:
        return text.count(_QUOTE, 0, end)
    return int(np.count_nonzero(np.frombuffer(text, np.uint8, end) == ord(_QUOTE)))
