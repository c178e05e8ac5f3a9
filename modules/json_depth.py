"""Refusing JSON that is nested too deep: Arrow's parser recurses, and a line of 20,000 brackets would end the process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from module_sdk import DataError

DEEPEST = 1000
"""Levels of arrays and objects in a line; Arrow's parser overflows its stack at more than ten times as many."""
_PIECE_BYTES = 1024 * 1024
_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_OTHERS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class ManyBrackets(Exception):
    """A line has so many brackets that it may be nested too deep: only a closer look can tell."""


class BracketLimit:
    """A stream that raises `ManyBrackets` rather than hand out a line with more than about `DEEPEST` opening brackets.

    Lines shorter than that, as most are, cost one search for the end of a line in each thousand bytes.
    """

    closed = False

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._opened = 0

    def read(self, size: int = -1) -> bytes:
        """As of any stream."""
        data: bytes = self._stream.read(size)
        start = 0
        while start < len(data):
            end = data.rfind(b"\n", start, start + DEEPEST)
            if end >= 0:
                self._opened, start = 0, end + 1
                continue
            self._opened += data.count(b"[", start, start + DEEPEST) + data.count(b"{", start, start + DEEPEST)
            if self._opened > DEEPEST:
                raise ManyBrackets
            start += DEEPEST
        return data


def check_depth(stream: Any) -> None:
    """Raises `DataError` naming the first line that is nested more than `DEEPEST` levels deep."""
    for number, line in enumerate(_lines(stream), 1):
        if line.count(b"[") + line.count(b"{") <= DEEPEST:
            continue
        brackets = _TEXT.sub(b"", line).translate(None, _OTHERS)
        if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > DEEPEST:
            raise DataError(f"file: line {number} is nested more than {DEEPEST:,} levels deep: flatten it first")


def _lines(stream: Any) -> Iterator[bytes]:
    """Lines of a stream that can only be read: those around compressed files do not know lines."""
    begun: list[bytes] = []
    while piece := bytes(stream.read(_PIECE_BYTES)):
        first, *others = piece.split(b"\n")
        begun.append(first)
        for line in others:
            yield b"".join(begun)
            begun = [line]
    yield b"".join(begun)
