"""A file's bytes out of the object store: as they lie there, or as they were fetched and checked."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from plugmesh.contracts.data import FileRef
from plugmesh.data.digest import RunningHash, verify_hash
from plugmesh.errors import ObjectCorrupt
from plugmesh.objects.port import ObjectStore, descriptor_of, is_older, remote_of
from plugmesh.seekable import Seekable

CHUNK_BYTES = 8 * 1024 * 1024


class StoredSource:
    """An object in the store; copied into `folder()` when a path is asked for. From another machine it is fetched whole, and
    compared with its hash, before anybody sees a byte."""

    def __init__(self, store: ObjectStore, ref: FileRef, folder: Callable[[], Path]) -> None:
        self._store = store
        self._ref = ref
        self._folder = folder
        self._is_checked = False

    def open(self) -> BinaryIO:
        if remote_of(self._store) is not None:
            return os.fdopen(self.descriptor(), "rb")
        self._check()
        return io.BufferedReader(_ObjectStream(self._store.read, self._ref), CHUNK_BYTES)

    def path(self) -> Path:
        word = self._ref.key.rpartition("/")[2]
        target = self._folder() / f"{word[:40]}-{Path(self._ref.name).name}"
        if not target.exists():
            part = target.with_name(target.name + ".part")
            self._copy(part)
            part.rename(target)
        return target

    def descriptor(self) -> int:
        self._check()
        found = descriptor_of(self._store, self._ref.key)
        if found is not None and os.fstat(found).st_size == self._ref.bytes and self._is_right(found):
            return found
        if found is not None:
            os.close(found)
        return os.open(self.path(), os.O_RDONLY | os.O_CLOEXEC)

    def _check(self) -> None:
        """What was written before the machine was started may not be what it was. Raises `ObjectMissing`, `ObjectCorrupt`."""
        if self._is_checked:
            return
        key, size = self._ref.key, self._ref.bytes
        if remote_of(self._store) is None:
            self._store.read(key, 0, min(size, 1))
            if self._ref.hash and is_older(self._store, key):
                verify_hash(self._store.read(key, 0, size), self._ref.hash, f"file {self._ref.name!r} (object {key})")
        self._is_checked = True

    def _is_right(self, fd: int) -> bool:
        """Whether a file here has the bytes that another machine has; what a cache has may be damaged."""
        if remote_of(self._store) is None or not self._ref.hash:
            return True
        with open(fd, "rb", closefd=False) as stream:
            found = _hash_of(stream) == self._ref.hash
            stream.seek(0)
        return found

    def _copy(self, target: Path) -> None:
        """Raises `ObjectMissing`, `ObjectCorrupt`."""
        remote = remote_of(self._store)
        if remote is None:
            self._check()
        for read in [self._store.read] if remote is None else [self._store.read, remote.read_again]:
            with io.BufferedReader(_ObjectStream(read, self._ref), CHUNK_BYTES) as stream, target.open("wb") as copy:
                shutil.copyfileobj(stream, copy, CHUNK_BYTES)
            if remote is None or not self._ref.hash:
                return
            with target.open("rb") as stream:
                if _hash_of(stream) == self._ref.hash:
                    return
        target.unlink()
        raise ObjectCorrupt(
            f"file {self._ref.name!r} (object {self._ref.key} in {'' if remote is None else remote.name}): its bytes have not "
            "the hash that its reference says; upload it again"
        )


def _hash_of(stream: BinaryIO) -> str:
    running = RunningHash()
    while piece := stream.read(CHUNK_BYTES):
        running.update(piece)
    return running.digest()


class _ObjectStream(Seekable):
    """Reads an object piece by piece: no copy of the whole, whichever store it lies in."""

    def __init__(self, read: Callable[[str, int, int], memoryview], ref: FileRef) -> None:
        super().__init__(ref.bytes)
        self._read, self._ref = read, ref

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        length = max(0, min(len(view), self._ref.bytes - self._at))
        if length:
            view[:length] = self._read(self._ref.key, self._at, length)
            self._at += length
        return length
