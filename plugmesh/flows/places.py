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
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    children: dict[str | int, Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Places:
    """The positions of one document. Without `root` (an already decoded document) nothing has a position."""

    file: str = "flow"
    root: Place | None = None

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
