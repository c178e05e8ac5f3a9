"""Which bytes of an object are there, and which are not. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Span(NamedTuple):
    """Bytes `start` to `end` of an object that has `total`."""

    start: int
    end: int
    total: int

    @property
    def name(self) -> str:
        """As the name of a file."""
        return f"{self.start}-{self.end}-{self.total}"

    def holds(self, start: int, end: int) -> bool:
        """Whether those bytes are among its own."""
        return self.start <= start and end <= self.end


def parsed(name: str) -> Span | None:
    """The span of a file of that name."""
    words = name.split("-")
    if len(words) != 3 or not all(word.isdecimal() for word in words):
        return None
    span = Span(*map(int, words))
    return span if span.start <= span.end <= span.total else None


def gaps(start: int, end: int, have: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The parts of `start` to `end` that none of `have` covers, in order."""
    found: list[tuple[int, int]] = []
    at = start
    for first, last in sorted(have):
        if first >= end:
            break
        if first > at:
            found.append((at, first))
        at = max(at, last)
    if at < end:
        found.append((at, end))
    return found


def reach(start: int, end: int, most: int, have: Iterable[tuple[int, int]]) -> int:
    """How far to read on behind `end`: to `most`, but not into what is there."""
    return min([max(end, most), *(first for first, last in have if first >= end and last > first)])
