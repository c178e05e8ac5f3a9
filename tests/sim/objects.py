"""An object store in memory that several simulated processes share and that outlives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from plugmesh.errors import Conflict, ObjectCorrupt, ObjectMissing, StoreFull
from plugmesh.objects.keys import check_key, check_prefix
from plugmesh.objects.port import Stored
from plugmesh.runtime import Runtime


@dataclass(slots=True)
class Disk:
    """Committed objects by key, with the time of their commit."""

    objects: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    full: bool = False


class MemoryStore:
    """One process's access. `check` is called before everything: it raises when the process is dead."""

    def __init__(self, disk: Disk, runtime: Runtime, check: Callable[[], None] = lambda: None) -> None:
        self._disk, self._runtime, self._check = disk, runtime, check

    def create(self, key: str, bytes: int | None = None) -> MemoryWriter:
        self._check()
        return MemoryWriter(self._disk, self._runtime, check_key(key))

    def read(self, key: str, offset: int = 0, length: int | None = None) -> memoryview:
        self._check()
        found = self._disk.objects.get(check_key(key))
        if found is None:
            raise ObjectMissing(f"object {key} is not in the store: it was removed or never there")
        end = len(found[0]) if length is None else offset + length
        if not 0 <= offset <= end <= len(found[0]):
            raise ObjectCorrupt(f"object {key}: bytes {offset} to {end} were asked for, but it has {len(found[0])}")
        return memoryview(found[0])[offset:end]

    def delete(self, key: str) -> bool:
        self._check()
        return self._disk.objects.pop(check_key(key), None) is not None

    def list(self, prefix: str) -> Iterator[Stored]:
        self._check()
        check_prefix(prefix)
        for key, (data, modified) in sorted(self._disk.objects.items()):
            if key.startswith(prefix):
                yield Stored(key, len(data), modified)

    def folders(self, prefix: str) -> Sequence[str]:
        self._check()
        check_prefix(prefix)
        longer = (key[len(prefix) :] for key in self._disk.objects if key.startswith(prefix))
        return sorted({word for word, slash, _ in (rest.partition("/") for rest in longer) if slash})

    def remove_abandoned(self) -> int:
        self._check()
        return 0  # what a writer has not committed is nowhere but in its own memory

    def free_bytes(self) -> int:
        self._check()
        return 0


class MemoryWriter:
    """One object being written."""

    def __init__(self, disk: Disk, runtime: Runtime, key: str) -> None:
        self._disk, self._runtime, self._key = disk, runtime, key
        self._data: bytearray | None = bytearray()

    def write(self, data: bytes | memoryview) -> int:
        piece = bytes(data)
        self._open().extend(piece)
        return len(piece)

    def commit(self) -> Stored:
        data = self._open()
        if self._disk.full:
            raise StoreFull("the simulated disk is full")
        self._runtime.point("objects.commit.before_rename")
        self._data = None
        if self._key in self._disk.objects:
            raise Conflict(f"object {self._key} exists: a key is never written twice")
        if self._blocked():
            raise Conflict(f"object {self._key}: an object lies above or below this key; choose another key")
        modified = self._runtime.wall()
        self._disk.objects[self._key] = (bytes(data), modified)
        self._runtime.point("objects.commit.after_rename")
        return Stored(self._key, len(data), modified)

    def abort(self) -> None:
        self._data = None

    def _open(self) -> bytearray:
        if self._data is None:
            raise Conflict(f"object {self._key} was committed or aborted already: create it again under another key")
        return self._data

    def _blocked(self) -> bool:
        words = self._key.split("/")
        above = any("/".join(words[:count]) in self._disk.objects for count in range(1, len(words)))
        return above or any(key.startswith(self._key + "/") for key in self._disk.objects)
