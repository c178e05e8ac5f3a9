"""An object store that counts what it does: wrapped around a driver once, so that no driver has to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from plugmesh.errors import PlugmeshError
from plugmesh.figures import Figure, Latency, counts, figures_of
from plugmesh.objects.port import (
    Remote,
    Stored,
    SweptStore,
    Writer,
    close_store,
    is_older,
    remote_of,
    size_of,
    threads_of,
)
from plugmesh.runtime import Runtime, Threads

_OPERATIONS = ("create", "write", "commit", "read", "delete", "list")


class MeasuredStore:
    """The store of a server process. What instances do with the store is in their steps' stats."""

    def __init__(self, store: SweptStore, runtime: Runtime) -> None:
        self._store = store
        self._runtime = runtime
        self._errors: Counter[str] = Counter()
        self._operations: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter({"read": 0, "written": 0})
        self._latency = {
            operation: Latency(f"plugmesh_objects_{operation}_seconds", f"Time of one {operation} in the object store")
            for operation in ("commit", "read", "delete")
        }

    def check(self) -> None:
        check: Callable[[], None] | None = getattr(self._store, "check", None)
        if check is not None:
            check()

    def create(self, key: str, bytes: int | None = None) -> Writer:
        with self._counted("create"):
            return _MeasuredWriter(self._store.create(key, bytes), self)

    def read(self, key: str, offset: int = 0, length: int | None = None) -> memoryview:
        with self._counted("read"):
            data = self._store.read(key, offset, length)
        self._bytes["read"] += len(data)
        return data

    @property
    def remote(self) -> Remote | None:
        return remote_of(self._store)

    @property
    def threads(self) -> Threads | None:
        return threads_of(self._store)

    def is_older(self, key: str) -> bool:
        return is_older(self._store, key)

    def size(self, key: str) -> int:
        return size_of(self._store, key)

    def delete(self, key: str) -> bool:
        with self._counted("delete"):
            return self._store.delete(key)

    def list(self, prefix: str) -> Iterator[Stored]:
        with self._counted("list"):
            return self._store.list(prefix)

    def folders(self, prefix: str) -> Sequence[str]:
        return self._store.folders(prefix)

    def remove_abandoned(self) -> int:
        return self._store.remove_abandoned()

    def free_bytes(self) -> int:
        return self._store.free_bytes()

    def close(self) -> None:
        close_store(self._store)

    def figures(self) -> Iterator[Figure | Latency]:
        """Operations, errors, bytes and latencies."""
        known = dict.fromkeys(_OPERATIONS, 0)
        yield counts("plugmesh_objects_operations", "Calls of the object store", "operation", known | self._operations)
        yield counts(
            "plugmesh_objects_errors", "Calls of the object store that failed", "operation", known | self._errors
        )
        yield counts(
            "plugmesh_objects_bytes", "Bytes read from and written to the object store", "direction", self._bytes
        )
        yield from self._latency.values()
        yield from figures_of(self._store)

    def wrote(self, size: int) -> None:
        """A writer has taken so many bytes."""
        self._bytes["written"] += size

    @contextmanager
    def _counted(self, operation: str) -> Iterator[None]:
        latency = self._latency.get(operation)
        begun = 0.0 if latency is None else self._runtime.now()
        try:
            yield
        except (PlugmeshError, OSError):
            self._errors[operation] += 1
            raise
        finally:
            self._operations[operation] += 1
            if latency is not None:
                latency.observe(self._runtime.now() - begun)


class _MeasuredWriter:
    def __init__(self, writer: Writer, store: MeasuredStore) -> None:
        self._writer = writer
        self._store = store

    def write(self, data: bytes | memoryview) -> int:
        with self._store._counted("write"):  # noqa: SLF001  its own store
            size = self._writer.write(data)
        self._store.wrote(size)
        return size

    def commit(self) -> Stored:
        with self._store._counted("commit"):  # noqa: SLF001  its own store
            return self._writer.commit()

    def abort(self) -> None:
        self._writer.abort()
