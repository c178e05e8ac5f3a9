"""Cutting text into pieces of whole lines or whole rows, so that each can be parsed by itself.

In CSV a line end within quotes ends no row. Few files have one, and to look for them takes time: so pieces are first cut at
any line end, and `ends_row` says of each, with what its parser has found, whether that was right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from modules.csv_lines import NulFound

_SHOWN_BYTES = 10_000
_QUOTE, _LINE_END, _OLD_LINE_END, _NUL = b'"', b"\n", b"\r", b"\0"


LastEnd = Callable[[bytes | bytearray, int], int]


class TooLong(Exception):
    """There is no end of a row in as many bytes as a row may have. `begin`: how it begins."""

    def __init__(self, begin: bytes) -> None:
        super().__init__()
        self.begin = begin


class Pieces:
    """The bytes of `stream` in order, in pieces of about `piece_bytes` that end where a row ends.

    Iterating raises `TooLong` for a row of more than `longest_bytes`, and (with `no_nul`) `NulFound`. `last_end` finds the
    last end of a row in the beginning of a text; by itself it is that of a line. `ended`: the last piece was given. The
    memory of a piece is used again once it is given back: fresh pages cost more than reading does.
    """

    def __init__(
        self,
        stream: Any,
        piece_bytes: int,
        longest_bytes: int,
        *,
        no_nul: bool = False,
        last_end: LastEnd | None = None,
    ) -> None:
        self._stream, self._piece_bytes, self._longest_bytes = stream, piece_bytes, longest_bytes
        self._no_nul, self._last_end = no_nul, last_end or last_line_end
        self._free: list[bytearray] = []
        self.ended = False

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
            cut = self._last_end(buffer, filled)
            if cut:
                following = self._buffer()
                left = filled - cut
                following.extend(bytes(max(0, left - len(following))))
                following[:left] = buffer[cut:filled]
                yield memoryview(buffer)[:cut]
                buffer, filled = following, left
            elif filled >= self._longest_bytes:
                raise TooLong(bytes(buffer[:_SHOWN_BYTES]))
        self.ended = True
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


def last_line_end(text: bytes | bytearray, end: int) -> int:
    """Behind the last line end before `end`; 0 if there is none. Only where there is no other is `\\r` one."""
    return (text.rfind(_LINE_END, 0, end) + 1) or (text.rfind(_OLD_LINE_END, 0, end) + 1)


class Rows:
    """Where rows of CSV end."""

    def __init__(self, delimiter: str) -> None:
        before = re.escape(delimiter.encode())
        self._quoted = re.compile(rb"(?:\A|(?<=[\r\n])|(?<=" + before + rb'))"[^"]*+(?:""[^"]*+)*+("|\Z)')

    def last_end(self, text: bytes | bytearray | memoryview, end: int) -> int:
        """Behind the last line end before `end` that is not in quotes; 0 if there is none. A quote opens a value only where
        one begins."""
        piece = bytes(memoryview(text)[:end])
        mark = _LINE_END if _LINE_END in piece else _OLD_LINE_END
        found = outside = 0
        for quoted in self._quoted.finditer(piece):
            found = (piece.rfind(mark, outside, quoted.start()) + 1) or found
            if not quoted[1]:
                return found
            outside = quoted.end()
        return (piece.rfind(mark, outside) + 1) or found

    def ends_row(self, text: memoryview, rows: int) -> bool:
        """Whether a text that begins with a row, and ends with a line end, ends with a row. `rows`: as many as a parser has
        found in it. If they are as many as there are lines, only the last of these needs a look."""
        piece = text.obj
        assert isinstance(piece, bytes | bytearray)
        end = len(text)
        if piece.find(_QUOTE, 0, end) < 0:
            return True
        begin = piece.rfind(_LINE_END, 0, end - 1) + 1
        if (
            piece[end - 1 : end] == _LINE_END
            and _lines(piece, end, _LINE_END) == rows
            and self._has_one_end(piece, end, rows)
        ):
            return self.last_end(text[begin:], end - begin) == end - begin
        return self.last_end(text, end) == end

    @staticmethod
    def _has_one_end(piece: bytes | bytearray, end: int, lines: int) -> bool:
        """Whether no line, or every line, has a `\\r`: one alone would end a line as well."""
        return piece.find(_OLD_LINE_END, 0, end) < 0 or _lines(piece, end, _OLD_LINE_END) == lines


def _lines(text: bytes | bytearray, end: int, mark: bytes) -> int:
    """Line ends before `end`. NumPy is thrice as fast, and there wherever pyarrow could load it."""
    try:
        import numpy as np
    except ImportError:
        return text.count(mark, 0, end)
    return int(np.count_nonzero(np.frombuffer(text, np.uint8, end) == ord(mark)))
