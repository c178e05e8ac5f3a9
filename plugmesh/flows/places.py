"""Where in the text each part of a document stands, so that a problem can name line and column."""

from __future__ import annotations

from dataclasses import dataclass, field

KeyPath = tuple[str | int, ...]
"""Keys and list indexes from the top of the document to a value."""


@dataclass(slots=True)
class Place:
    """One value: its position (1-based), and those of its keys and children."""

    line: int
    column: int
    inside: int | None = None
    """Columns to the first character of a text that is written as it is, on one line."""
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    children: dict[str | int, Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Places:
    """The positions of one document. Without `root` (an already decoded document) nothing has a position."""

    file: str = "flow"
    root: Place | None = None

    def within(self, path: KeyPath, at: int) -> tuple[int, int] | None:
        """Line and column of a character (from 1) of the text at `path`; `None` where it is written in another way."""
        place = self.root
        for part in path:
            place = None if place is None else place.children.get(part)
        if place is None or place.inside is None:
            return None
        return place.line, place.column + place.inside + at - 1

    def find(self, path: KeyPath, *, key: bool = False) -> tuple[int, int] | None:
        """Line and column of the value at `path`, or of its key; of the nearest value above it that exists."""
        place = self.root
        if place is None:
            return None
        for index, part in enumerate(path):
            if key and index == len(path) - 1 and isinstance(part, str) and part in place.keys:
                return place.keys[part]
            below = place.children.get(part)
            if below is None:
                break
            place = below
        return place.line, place.column
