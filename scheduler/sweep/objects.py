"""What a sweeper does to the object store, away from the event loop and a little at a time."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from itertools import islice

from plugmesh.contracts.run import shard_of
from plugmesh.data.named import NOTHING, Named, named_in
from plugmesh.errors import PlugmeshError
from plugmesh.objects.hold import is_held
from plugmesh.objects.port import Stored, SweptStore
from plugmesh.runtime import Runtime
from scheduler.sweep.places import DATA
from scheduler.sweep.report import Deleted

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

    async def run_folders(
        self, after: tuple[str, str], shards: Collection[int], most: int | None
    ) -> list[tuple[str, str]]:
        """Namespace and id of the first `most` runs of these shards behind `after` that have objects, in order."""
        return await self._runtime.run_sync(_run_folders, self._store, after, shards, most)

    async def remove_abandoned(self) -> int:
        """See `SweptStore.remove_abandoned`."""
        return await self._runtime.run_sync(self._store.remove_abandoned)

    async def are_held(self) -> bool:
        """Somebody wants nothing to be deleted now."""
        return await self._runtime.run_sync(is_held, self._store, self._runtime.wall())

    async def free_bytes(self) -> int:
        """See `SweptStore.free_bytes`."""
        return await self._runtime.run_sync(self._store.free_bytes)

    async def delete(self, objects: Sequence[Stored]) -> Deleted:
        """Delete objects. One that cannot be deleted is left, logged, and keeps no other from going."""
        there: list[Stored] = []
        stuck: dict[str, str] = {}
        for at in range(0, len(objects), _AT_ONCE):
            went, failed = await self._runtime.run_sync(self._delete, objects[at : at + _AT_ONCE])
            there += went
            stuck |= failed
            self._runtime.point("sweep.deleted")
        for key, reason in islice(stuck.items(), 1):
            _log.warning("%d objects could not be deleted, they are tried again: %s: %s", len(stuck), key, reason)
        return Deleted(len(there), sum(one.bytes for one in there), frozenset(stuck))

    async def inside(self, spilled: Iterable[str]) -> Named | None:
        """The objects that spilled references name; None if one cannot be read, so that nobody can tell."""
        return await self._runtime.run_sync(self._inside, sorted(spilled))

    def _delete(self, objects: Sequence[Stored]) -> tuple[list[Stored], dict[str, str]]:
        """Those that were there and went, and why others did not. It is asked here, at the last moment, whether they are held:
        what was marked after a hold began cannot have been deleted before."""
        if is_held(self._store, self._runtime.wall()):
            return [], {one.key: "a backup is being taken" for one in objects}
        there: list[Stored] = []
        failed: dict[str, str] = {}
        for one in objects:
            try:
                if self._store.delete(one.key):
                    there.append(one)
            except (PlugmeshError, OSError) as error:
                failed[one.key] = str(getattr(error, "strerror", None) or error)
        return there, failed

    def _inside(self, spilled: Sequence[str]) -> Named | None:
        found = NOTHING
        for key in spilled:
            try:
                found |= named_in(bytes(self._store.read(key)).decode())
            except (PlugmeshError, OSError, UnicodeDecodeError, ValueError):
                return None
        return found


def _run_folders(
    store: SweptStore, after: tuple[str, str], shards: Collection[int], most: int | None
) -> list[tuple[str, str]]:
    every = ((namespace, run) for namespace in store.folders(DATA) for run in store.folders(f"{DATA}{namespace}/"))
    return list(islice((one for one in every if one > after and shard_of(one[1]) in shards), most))


def _all_below(store: SweptStore, prefix: str) -> Sequence[Stored]:
    return list(store.list(prefix))
