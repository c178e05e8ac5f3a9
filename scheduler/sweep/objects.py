"""What a sweeper does to the object store, away from the event loop and a little at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from plugmesh.data.named import NOTHING, Named, named_in
from plugmesh.errors import PlugmeshError
from plugmesh.objects.port import Stored, SweptStore
from plugmesh.runtime import Runtime

_log = logging.getLogger(__name__)

_AT_ONCE = 200


class SweptObjects:
    """The store of one sweeper."""

    def __init__(self, runtime: Runtime, store: SweptStore) -> None:
        self._runtime, self._store = runtime, store

    async def below(self, prefix: str) -> Sequence[Stored]:
        """Every object below a prefix."""
        return await self._runtime.run_sync(_all_below, self._store, prefix)

    async def folders(self, prefix: str) -> Sequence[str]:
        """See `SweptStore.folders`."""
        return await self._runtime.run_sync(self._store.folders, prefix)

    async def remove_abandoned(self) -> int:
        """See `SweptStore.remove_abandoned`."""
        return await self._runtime.run_sync(self._store.remove_abandoned)

    async def delete(self, objects: Sequence[Stored]) -> tuple[int, int]:
        """Delete objects; returns how many were there, and their bytes."""
        count = size = 0
        for at in range(0, len(objects), _AT_ONCE):
            part = objects[at : at + _AT_ONCE]
            there = await self._runtime.run_sync(self._delete, part)
            count += len(there)
            size += sum(one.bytes for one in there)
            self._runtime.point("sweep.deleted")
        return count, size

    async def inside(self, spilled: Iterable[str]) -> Named | None:
        """The objects that spilled references name; None if one cannot be read, so that nobody can tell."""
        return await self._runtime.run_sync(self._inside, sorted(spilled))

    def _delete(self, objects: Sequence[Stored]) -> list[Stored]:
        there = []
        for one in objects:
            try:
                if self._store.delete(one.key):
                    there.append(one)
            except (PlugmeshError, OSError) as error:
                _log.warning("the object %s could not be deleted, it is tried again: %s", one.key, error)
                raise
        return there

    def _inside(self, spilled: Sequence[str]) -> Named | None:
        found = NOTHING
        for key in spilled:
            try:
                found |= named_in(bytes(self._store.read(key)).decode())
            except (PlugmeshError, OSError, UnicodeDecodeError, ValueError):
                return None
        return found


def _all_below(store: SweptStore, prefix: str) -> Sequence[Stored]:
    return list(store.list(prefix))
