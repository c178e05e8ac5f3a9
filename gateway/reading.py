"""Whose data is being looked at now, so that nobody sweeps it away meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Reading:
    """The runs whose data somebody reads, in this gateway."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    @property
    def runs(self) -> frozenset[str]:
        """The runs that are held at this moment."""
        return frozenset(self._held)

    @asynccontextmanager
    async def holding(self, run: str) -> AsyncGenerator[None, None]:
        """Inside, `run` is among `runs`; as often as it is entered it must be left."""
        self._held[run] += 1
        try:
            yield
        finally:
            self._held[run] -= 1
            if not self._held[run]:
                del self._held[run]
