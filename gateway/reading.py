"""Whose bytes are being read now, so that nobody sweeps them away meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Reading:
    """Runs whose data or logs somebody reads, and versions of files (their objects' keys), in this gateway."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    @property
    def lenders(self) -> frozenset[str]:
        """What is held at this moment."""
        return frozenset(self._held)

    @asynccontextmanager
    async def holding(self, lender: str) -> AsyncGenerator[None, None]:
        """Inside, `lender` is among `lenders`; as often as it is entered it must be left."""
        self._held[lender] += 1
        try:
            yield
        finally:
            self._held[lender] -= 1
            if not self._held[lender]:
                del self._held[lender]
