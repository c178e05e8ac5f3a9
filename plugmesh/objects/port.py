"""The ObjectStore port: immutable objects under keys that are never written twice. Blocking calls, any thread.

Keys are `/`-separated words of `[A-Za-z0-9._=-]`, no `.` or `..` as a word, at most 512 characters; every driver
refuses others with `ConfigurationError`, so that no input becomes a path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Stored:
    """An object that is there. `modified` is Unix time in seconds."""

    key: str
    bytes: int
    modified: float


class Writer(Protocol):
    """An object being written: invisible until `commit`, gone after `abort` or a crash."""

    def write(self, data: bytes | memoryview) -> int:
        """Append; returns the number of bytes. Raises `StoreFull`."""
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


def is_older(store: object, key: str) -> bool:
    """Whether an object was written before the machine was started, as far as the store can tell (`is_older(key)`): such a
    one may be damaged though it is there, for nothing is flushed to the disk, and its hash is compared before it is used."""
    older: Callable[[str], bool] | None = getattr(store, "is_older", None)
    return older is not None and older(key)


def descriptor_of(store: ObjectStore, key: str) -> int | None:
    """The same of any store."""
    return store.descriptor(key) if isinstance(store, FileStore) else None
