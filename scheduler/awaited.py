"""Quarantined versions whose instances may come back. Pure: the clock is the caller's monotonic time, in seconds."""

from __future__ import annotations

from collections.abc import Collection

Version = tuple[str, str]
"""A module's name and a version of it."""

AWAITED_S = 15.0
"""An instance that only restarts, or that a new server has not heard of yet, is back by then."""


class Awaited:
    """When each quarantined version was served last. As long as it may come back it still counts when a version is chosen: a
    flow that waits for it must not silently get an older one because an instance connects a second later."""

    def __init__(self) -> None:
        self._served_at: dict[Version, float] = {}

    def look(self, quarantined: Collection[Version], served: Collection[Version], now: float) -> frozenset[Version]:
        """The versions that are waited for. One that is new here counts as served just now."""
        self._served_at = {one: now if one in served else self._served_at.get(one, now) for one in quarantined}
        return frozenset(one for one, at in self._served_at.items() if now - at < AWAITED_S)
