"""Reading columns at once that lie close to each other in one object: a small table, or one of very many columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from plugmesh.contracts.data import ColumnGroup, ColumnSpan
from plugmesh.objects.port import Readable, Remote, is_older, remote_of

_SMALL_BYTES = 64 * 1024
_MANY_COLUMNS = 64
"""So many are read at once also if they are large: there is one mapping for all of them, which lasts as long as one does."""


class _Extent(NamedTuple):
    start: int
    end: int


def together(store: Readable, columns: Iterable[tuple[ColumnGroup, ColumnSpan]]) -> Readable:
    """What these columns can be read from, one by one, with as few calls of the store as pays."""
    found: dict[str, tuple[int, int, int, int]] = {}
    for group, span in columns:
        if group.data is not None:
            continue
        start, end, length, count = found.get(group.key, (span.offset, 0, 0, 0))
        past = span.offset + span.length
        found[group.key] = min(start, span.offset), max(end, past), length + span.length, count + 1
    extents = {
        key: _Extent(start, end)
        for key, (start, end, length, count) in found.items()
        if count > 1 and end - start <= 2 * length and (count >= _MANY_COLUMNS or end - start <= _SMALL_BYTES)
    }
    return Together(store, extents) if extents else store


class Together:
    """Reads the extent of an object when the first part of it is asked for."""

    def __init__(self, store: Readable, extents: Mapping[str, _Extent]) -> None:
        self._store, self._extents = store, extents
        self._read: dict[str, memoryview] = {}
        self._older: dict[str, bool] = {}

    def read(self, key: str, offset: int = 0, length: int | None = None) -> memoryview:
        """See `ObjectStore.read`."""
        extent = self._extents.get(key)
        if extent is None or length is None:
            return self._store.read(key, offset, length)
        data = self._read.get(key)
        if data is None:
            data = self._read[key] = self._store.read(key, extent.start, extent.end - extent.start)
        return data[offset - extent.start : offset - extent.start + length]

    @property
    def remote(self) -> Remote | None:
        """See `plugmesh.objects.port.remote_of`."""
        return remote_of(self._store)

    def is_older(self, key: str) -> bool:
        """See `plugmesh.objects.port.is_older`."""
        older = self._older.get(key)
        if older is None:
            older = self._older[key] = is_older(self._store, key)
        return older
