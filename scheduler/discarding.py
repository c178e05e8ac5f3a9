"""Deleting the objects of results that do not count, beside the engine: the store may be slow, or away."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable

from plugmesh.contracts.data import referenced_keys
from plugmesh.errors import NotReachable, PlugmeshError
from plugmesh.objects.keys import attempt_prefix
from plugmesh.objects.port import ObjectStore, store_call
from plugmesh.runtime import Runtime
from scheduler.effects import Discard
from scheduler.runstate import RunState

MOST = 10_000
"""More keys than this do not wait here. What is forgotten is found by the sweeper when its run has ended."""
_BATCH = 64
_CLOSE_S = 2.0
_log = logging.getLogger(__name__)


class Discarding:
    """One task at most, which ends when there is nothing to delete."""

    def __init__(self, runtime: Runtime, objects: ObjectStore) -> None:
        self._runtime, self._objects = runtime, objects
        self._keys: deque[str] = deque(maxlen=MOST)
        self._task: asyncio.Task[None] | None = None

    def add(self, discards: Iterable[tuple[RunState, Discard]]) -> None:
        """Delete, soon, what these attempts wrote under their own prefix."""
        for run, discard in discards:
            own = attempt_prefix(run.namespace, run.id, discard.step, discard.epoch) + "/"
            for reference in discard.outputs.values():
                self._keys.extend(key for key in referenced_keys(reference) if key.startswith(own))
        if self._keys and self._task is None:
            self._task = self._runtime.spawn(self._run(), "discard")

    async def close(self) -> None:
        """Finish what the store lets us finish soon."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_CLOSE_S)
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            while self._keys:
                batch = [self._keys.popleft() for _ in range(min(_BATCH, len(self._keys)))]
                await store_call(self._objects, self._runtime, self._delete, batch)
        except NotReachable as error:
            _log.warning("%d objects of stale attempts are left to the sweeper: %s", len(self._keys) + 1, error)
            self._keys.clear()
        finally:
            self._task = None

    def _delete(self, keys: list[str]) -> None:
        for key in keys:
            try:
                self._objects.delete(key)
            except NotReachable:
                raise
            except (PlugmeshError, OSError) as error:
                _log.warning("the object %s of a stale attempt could not be deleted: %s", key, error)
