"""The ObjectStore port: immutable objects under keys that are never written twice. Blocking calls, any thread.

Keys are `/`-separated words of `[A-Za-z0-9._=-]`, no `.` or `..` as a word, at most 512 characters; every driver
refuses others with `ConfigurationError`, so that no input becomes a path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

from plugmesh.contracts.messages import StoreUse
from plugmesh.runtime import Runtime, Threads

T = TypeVar("T")
Compression: TypeAlias = Literal["lz4", "zstd"]
"""How the buffers of a column may be compressed."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object that is there. `modified` is Unix time in seconds."""

    key: str
    bytes: int
    modified: float


class Writer(Protocol):
    """An object being written: invisible until `commit`, gone after `abort` or a crash."""

    def write(self, data: bytes | memoryview) -> int:
        """Append; returns the number of bytes. What is read-only may be kept until `commit`, and must not change before.
        Raises `StoreFull`."""
        ...

    def commit(self) -> Stored:
        """Make it visible under its key, whole. Raises `StoreFull`, `Conflict` if the key exists."""
        ...

    def abort(self) -> None:
        """Drop what was written. Harmless after `commit` and when called twice."""
        ...


class Readable(Protocol):
    """What objects can be read from."""

    def read(self, key: str, offset: int = 0, length: int | None = None) -> memoryview:
        """See `ObjectStore.read`."""
        ...


class ObjectStore(Protocol):
    """One process's access to the store."""

    def create(self, key: str, bytes: int | None = None) -> Writer:
        """Start an object; `bytes` is about how many will come, where that is known. It may be more or less in the end."""
        ...

    def read(self, key: str, offset: int = 0, length: int | None = None) -> memoryview:
        """Bytes of an object, read-only and mapped where the driver can. Raises `ObjectMissing`, `ObjectCorrupt`
        (the object is shorter than asked)."""
        ...

    def delete(self, key: str) -> bool:
        """Remove an object; False if it was not there. Who has it mapped keeps its bytes."""
        ...

    def list(self, prefix: str) -> Iterator[Stored]:
        """Objects whose key starts with `prefix` (a whole number of words, ending in `/`, or empty)."""
        ...


class SweptStore(ObjectStore, Protocol):
    """What every driver offers besides: what whoever keeps a store in order needs."""

    def folders(self, prefix: str) -> Sequence[str]:
        """The words that come next after `prefix` in keys with more words behind them, sorted: of `a/b/c` and `a/d`
        below `a/` that is `b`. Without looking at every object."""
        ...

    def remove_abandoned(self) -> int:
        """Drop what writers that died have left unfinished; returns how many. Living writers are not disturbed."""
        ...

    def free_bytes(self) -> int:
        """What deleted objects still take up, because the store uses their room again for others; it gives it up when it is
        needed."""
        ...


@runtime_checkable
class FileStore(Protocol):
    """A store whose objects may be files of this machine."""

    def descriptor(self, key: str) -> int | None:
        """A new descriptor, to be read only, of a file whose bytes are those of the object while the descriptor is open,
        in whichever process; `None` if there is no such file. Raises `ObjectMissing`."""
        ...


@runtime_checkable
class Remote(Protocol):
    """A store whose bytes come from another machine: what is read is compared with its hash before it is used."""

    @property
    def name(self) -> str:
        """What to call the store: no secrets in it."""
        ...

    @property
    def compression(self) -> Compression | None:
        """What columns are written with, where it makes them smaller."""
        ...

    @property
    def is_mapped(self) -> bool:
        """Whether bytes that are read twice lie in the same place in memory: they are in a file here, not compressed."""
        ...

    def read_again(self, key: str, offset: int, length: int) -> memoryview:
        """As `read`, from the machine that has the bytes: those that were read were wrong. Nothing that a cache has of the
        object is used any more. Raises as `read`."""
        ...


def remote_of(store: object) -> Remote | None:
    """The store behind `store`, if its bytes come from another machine (`remote`)."""
    found: Remote | None = getattr(store, "remote", None)
    return found


def is_older(store: object, key: str) -> bool:
    """Whether an object was written before the machine was started, as far as the store can tell (`is_older(key)`): such a
    one may be damaged though it is there, for nothing is flushed to the disk, and its hash is compared before it is used."""
    older: Callable[[str], bool] | None = getattr(store, "is_older", None)
    return older is not None and older(key)


def size_of(store: ObjectStore, key: str) -> int:
    """Bytes of an object, without fetching them where the store can tell (`size(key)`). Raises `ObjectMissing`."""
    size: Callable[[str], int] | None = getattr(store, "size", None)
    return len(store.read(key)) if size is None else size(key)


def use_of(store: object) -> StoreUse | None:
    """What this process has asked of a store on another machine since its start (`use()`); `None` of one that does not count."""
    use: Callable[[], StoreUse] | None = getattr(store, "use", None)
    return None if use is None else use()


def descriptor_of(store: ObjectStore, key: str) -> int | None:
    """The same of any store."""
    return store.descriptor(key) if isinstance(store, FileStore) else None


def threads_of(store: object) -> Threads | None:
    """The threads on which calls of a store wait for its server (`threads`); `None` of one whose calls do not wait long."""
    found: Threads | None = getattr(store, "threads", None)
    return found


async def store_call(store: object, runtime: Runtime, function: Callable[..., T], *args: Any) -> T:
    """What `function(*args)` returns, which asks something of `store` and blocks: run where it keeps nobody else waiting."""
    threads = threads_of(store)
    return await (runtime.run_sync(function, *args) if threads is None else threads.call(function, *args))


def close_store(store: object) -> None:
    """End what a store has for this process (`close()`), where it has something: it is used no more."""
    close: Callable[[], None] | None = getattr(store, "close", None)
    if close is not None:
        close()


async def check_store(store: object, runtime: Runtime) -> None:
    """Let the store find out whether its settings are right, where it can (`check()`, which blocks for some seconds at most).
    Raises `ConfigurationError`, `NotReachable`."""
    check: Callable[[], None] | None = getattr(store, "check", None)
    if check is None:
        return
    worker = runtime.worker("objects check")
    asked = worker.begin(check)
    asked.add_done_callback(lambda _: worker.close())  # also if nobody waits for it any more
    await asyncio.shield(asked)
