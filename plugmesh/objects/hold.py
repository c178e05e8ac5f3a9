"""Asking whoever sweeps a store to delete nothing for a while: an object says so, for ten minutes, and is written anew.

It lies in the store because everybody who deletes has that: a database of SQLite is for one process alone. A process that is
killed leaves one behind, which means nothing soon.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from plugmesh.objects.port import SweptStore
from plugmesh.runtime import Runtime

HOLDS = "mesh/hold/"
HOLD_S = 600.0
"""How long one is good for, by its time in the store; the clocks of store and sweeper may differ by nearly as much."""
_AGAIN_S = 60.0


def is_held(store: SweptStore, now: float) -> bool:
    """Whether somebody asks for that; `now` is Unix time."""
    return any(one.modified > now - HOLD_S for one in store.list(HOLDS))


class Hold:
    """Made by `holding`. `renew` must be called again and again."""

    def __init__(self, store: SweptStore, runtime: Runtime) -> None:
        self._store, self._runtime = store, runtime
        self._keys: list[str] = []
        self._put_at = 0.0
        self._put()

    def renew(self) -> None:
        """Ask for more time, if it is time to. Raises what the store raises."""
        if self._runtime.now() - self._put_at > _AGAIN_S:
            self._put()
            self._store.delete(self._keys.pop(0))

    def end(self) -> None:
        """Let them sweep."""
        for key in self._keys:
            self._store.delete(key)

    def _put(self) -> None:
        key = HOLDS + self._runtime.new_id("hold")
        writer = self._store.create(key)
        writer.write(b"hold")
        writer.commit()
        self._keys.append(key)
        self._put_at = self._runtime.now()


@contextmanager
def holding(store: SweptStore, runtime: Runtime) -> Iterator[Hold]:
    """While this goes on, and `renew` is called, nothing is swept."""
    hold = Hold(store, runtime)
    try:
        yield hold
    finally:
        hold.end()
