"""Module files that this server watches and could not plug in, as whoever watches them tells the gateway."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unplugged:
    """A file (its whole path), the end of what its process said, and what to do."""

    file: str
    reason: str
    todo: str


Unpluggeds = Callable[[], Sequence[Unplugged]]
"""Those there are now."""
