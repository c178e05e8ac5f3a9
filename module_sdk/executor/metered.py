"""An object store that lets one attempt write so many bytes and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from module_sdk.limits import OutputLimit
from plugmesh.objects.port import ObjectStore, Remote, Stored, Writer, descriptor_of, is_older, remote_of


class MeteredStore:
    """`ObjectStore` over another one. Counts what all writers of an attempt write; `OutputLimit` says what `problem` gives."""

    def __init__(self, store: ObjectStore, most_bytes: int, problem: Callable[[], str]) -> None:
        self._store, self._left, self._problem = store, most_bytes, problem

    def create(self, key: str, bytes: int | None = None) -> Writer:
        return _MeteredWriter(self._store.create(key, bytes), self)

    def read(self, key: str, offset: int = 0, length: int | None = None) -> memoryview:
        return self._store.read(key, offset, length)

    @property
    def remote(self) -> Remote | None:
        return remote_of(self._store)

    def is_older(self, key: str) -> bool:
        return is_older(self._store, key)

    def descriptor(self, key: str) -> int | None:
        return descriptor_of(self._store, key)

    def delete(self, key: str) -> bool:
        return self._store.delete(key)

    def list(self, prefix: str) -> Iterator[Stored]:
        return self._store.list(prefix)

    def take(self, size: int) -> None:
        """Raises `OutputLimit`."""
        self._left -= size
        if self._left < 0:
            raise OutputLimit(self._problem())


class _MeteredWriter:
    """Gives up what it was writing when the limit is reached."""

    def __init__(self, writer: Writer, meter: MeteredStore) -> None:
        self._writer, self._meter = writer, meter

    def write(self, data: bytes | memoryview) -> int:
        try:
            self._meter.take(data.nbytes if isinstance(data, memoryview) else len(data))
        except OutputLimit:
            self._writer.abort()
            raise
        return self._writer.write(data)

    def commit(self) -> Stored:
        return self._writer.commit()

    def abort(self) -> None:
        self._writer.abort()
