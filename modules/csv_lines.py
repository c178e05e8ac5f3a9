"""Lines of a text file that cannot be rows: bytes that are no text, NULs, lines without an end."""

from __future__ import annotations

import codecs
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from module_sdk import DataError

LONGEST_LINE_BYTES = 64 * 1024 * 1024
"""A longer line is no row: its end is missing, or the file is none of text."""
PIECE_BYTES = 4 * 1024 * 1024
_SHOWN_BYTES = 60


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line, counted from 1, why it cannot be read, and how it begins."""

    number: int
    reason: str
    sample: str


class NulFound(Exception):
    """There is a NUL in the text; where, only a closer look can tell."""


class NulWatch:
    """A stream that raises `NulFound` rather than hand out a NUL: it costs a search, but no look at lines."""

    closed = False

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """As of any stream."""
        data: bytes = self._stream.read(size)
        if b"\0" in data:
            raise NulFound
        return data


class GoodLines:
    """A stream of the lines that can be text of this encoding; `on_bad` is told of the others. A first line (the header)
    that is bad is an error. `dropped` has the numbers of the others."""

    closed = False

    def __init__(self, stream: Any, encoding: str, on_bad: Callable[[BadLine], None], *, header: bool) -> None:
        self._pieces = _good(stream, encoding, self._bad)
        self._on_bad, self._header = on_bad, header
        self._left = b""
        self.dropped: list[int] = []

    def read(self, size: int = -1) -> bytes:
        """As of any stream."""
        wanted = PIECE_BYTES if size < 0 else size
        while len(self._left) < wanted:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._left += piece
        data, self._left = self._left[:wanted], self._left[wanted:]
        return data

    def line_of(self, row: int) -> int:
        """The line in the file that came as the `row`-th one of this stream."""
        line = row
        while (shifted := row + bisect_left(self.dropped, line + 1)) != line:
            line = shifted
        return line

    def _bad(self, line: BadLine) -> None:
        if self._header and line.number == 1:
            raise DataError(f"file: the header line cannot be read: {line.reason}: it begins with {line.sample}")
        self.dropped.append(line.number)
        self._on_bad(line)


def first_bad_line(stream: Any, encoding: str) -> BadLine | None:
    """The first line that cannot be read, if there is one."""
    found: list[BadLine] = []
    for _ in _good(stream, encoding, found.append):
        if found:
            break
    return found[0] if found else None


def has_lines(encoding: str) -> bool:
    """Whether the ends of lines can be seen in the bytes of this encoding."""
    return codecs.lookup(encoding).name.partition("-")[0] != "utf" or codecs.lookup(encoding).name.startswith("utf-8")


def _good(stream: Any, encoding: str, on_bad: Callable[[BadLine], None]) -> Iterator[bytes]:
    """Pieces of whole lines, without the bad ones."""
    number = 1
    for piece in _pieces(stream):
        if isinstance(piece, _TooLong):
            on_bad(BadLine(number, f"it is longer than {LONGEST_LINE_BYTES >> 20} MiB", _shown(piece.begin)))
            number += 1
            continue
        if _reason(piece, encoding) is None:
            yield piece
        else:
            yield b"".join(_good_lines(piece, number, encoding, on_bad))
        number += piece.count(b"\n")


def _good_lines(piece: bytes, number: int, encoding: str, on_bad: Callable[[BadLine], None]) -> Iterator[bytes]:
    for offset, line in enumerate(_lines(piece)):
        reason = _reason(line, encoding)
        if reason is None:
            yield line
        else:
            on_bad(BadLine(number + offset, reason, _shown(line)))


def _lines(piece: bytes) -> list[bytes]:
    """With their ends, which are only `\\n`."""
    lines = piece.split(b"\n")
    last = lines.pop()
    return [line + b"\n" for line in lines] + ([last] if last else [])


@dataclass(frozen=True, slots=True)
class _TooLong:
    begin: bytes


def _pieces(stream: Any) -> Iterator[bytes | _TooLong]:
    """Whole lines, many at a time; of one that is too long only its beginning is kept."""
    parts: list[bytes] = []
    size = 0
    begin: bytes | None = None
    while data := stream.read(PIECE_BYTES):
        cut = data.rfind(b"\n") + 1
        if begin is not None:  # within a line that is too long: go on after its end
            end = data.find(b"\n") + 1
            if not end:
                continue
            yield _TooLong(begin)
            begin, data, cut = None, data[end:], max(0, cut - end)
        if cut:
            yield b"".join([*parts, data[:cut]])
            parts, size = [], 0
        parts.append(data[cut:])
        size += len(data) - cut
        if size > LONGEST_LINE_BYTES:
            begin, parts, size = b"".join(parts)[:_SHOWN_BYTES], [], 0
    if begin is not None:
        yield _TooLong(begin)
    elif size:
        yield b"".join(parts)


def _reason(text: bytes, encoding: str) -> str | None:
    """Why these bytes are no text, `None` if they are."""
    if (at := text.find(b"\0")) >= 0:
        return f"its byte {at + 1} is NUL"
    try:
        text.decode(encoding)
    except UnicodeDecodeError as error:
        return f"its byte {error.start + 1} (0x{text[error.start]:02x}) is no {encoding} text"
    return None


def _shown(line: bytes) -> str:
    return repr(line.rstrip(b"\r\n")[:_SHOWN_BYTES].decode(errors="backslashreplace"))
