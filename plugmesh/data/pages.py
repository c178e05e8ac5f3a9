"""Giving back the pages of mapped objects behind a stream: whoever goes through a table does not keep all of it in memory.

Only the process's own tables of pages are emptied. The bytes stay readable, for whoever still holds a batch: the kernel
finds them again in its cache, or in the file.
"""

from __future__ import annotations

import mmap
from collections import deque

import pyarrow as pa

from plugmesh.objects.port import Readable, Remote, is_older, remote_of

_AT_ONCE_BYTES = 16 * 1024 * 1024
"""So much is given back at a time: fewer calls, and the pages that are shared at the edges count for little."""

_LOOKED_BACK = 8


class Pages:
    """Reads objects of a store, and knows what is mapped of those that it read since `leave`."""

    def __init__(self, store: Readable) -> None:
        self._store = store
        self._views: list[memoryview] = []
        self._before: deque[list[memoryview]] = deque(maxlen=_LOOKED_BACK)
        self._bytes = 0
        self._given_back = 0.0

    def read(self, key: str, offset: int = 0, length: int | None = None) -> memoryview:
        """As the store does."""
        view = self._store.read(key, offset, length)
        if isinstance(view.obj, mmap.mmap):
            self._views.append(view)
            self._bytes += view.nbytes
        return view

    @property
    def remote(self) -> Remote | None:
        """See `plugmesh.objects.port.remote_of`."""
        return remote_of(self._store)

    def is_older(self, key: str) -> bool:
        """As the store knows."""
        return is_older(self._store, key)

    def passed(self, share: float) -> None:
        """So much of what was read lies behind: from 0 to 1. (Of a column of texts not all of that part does; what is looked
        at again comes back.)"""
        if self._bytes * (share - self._given_back) >= _AT_ONCE_BYTES:
            self._give_back(share)

    def leave(self) -> None:
        """All of what was read lies behind. Who passes batches on in larger pieces has looked at earlier ones again."""
        if self._bytes >= _AT_ONCE_BYTES:
            self._give_back(1.0)
        for views in self._before:
            for view in views:
                _give_back(view, 0, view.nbytes)
        self._before.append(self._views)
        self._views, self._bytes, self._given_back = [], 0, 0.0

    def _give_back(self, share: float) -> None:
        for view in self._views:
            size = view.nbytes
            _give_back(view, int(size * self._given_back), int(size * share))
        self._given_back = 0.0 if share == 1.0 else share


def _give_back(view: memoryview, start: int, end: int) -> None:
    mapped = view.obj
    assert isinstance(mapped, mmap.mmap)
    offset = pa.py_buffer(view).address - pa.py_buffer(mapped).address
    first = -(-(offset + start) // mmap.PAGESIZE) * mmap.PAGESIZE
    last = (offset + end) // mmap.PAGESIZE * mmap.PAGESIZE
    if first < last:
        mapped.madvise(mmap.MADV_DONTNEED, first, last - first)
