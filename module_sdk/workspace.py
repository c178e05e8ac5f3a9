"""What one attempt has of its own: a folder that is removed afterwards, and the files it reads and makes."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import xxhash

from module_sdk.files import File
from module_sdk.rejected import Rejected
from module_sdk.step_folders import make_folder
from module_sdk.stored_file import CHUNK_BYTES, StoredSource
from plugmesh.contracts.data import FileRef
from plugmesh.contracts.module import Limits
from plugmesh.data.outside.outside import Decodings, Outside
from plugmesh.objects.port import ObjectStore, Writer

OCTETS = "application/octet-stream"


class FileWriter(io.BufferedIOBase):
    """A binary stream into a new file. Closing it (or leaving its `with`) makes the file; return the writer, or its
    `file`, for a port of kind `file`. Leaving the `with` by an exception makes nothing."""

    def __init__(self, writer: Writer, key: str, name: str, media_type: str, store: Callable[[FileRef], File]) -> None:
        super().__init__()
        self._writer, self._key, self._name, self._media_type, self._file_of = writer, key, name, media_type, store
        self._hash = xxhash.xxh3_128()
        self._bytes = 0
        self._ref: FileRef | None = None

    @property
    def file(self) -> File:
        """The finished file; closes the stream."""
        return self._file_of(self.ref)

    @property
    def ref(self) -> FileRef:
        """The reference to the finished file; closes the stream."""
        self.close()
        if self._ref is None:
            raise ValueError(f"the file {self._name!r} was given up: its `with` block ended by an exception")
        return self._ref

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._hash.update(view)
        self._writer.write(view)
        self._bytes += len(view)
        return len(view)

    def tell(self) -> int:
        return self._bytes

    def close(self) -> None:
        if not self.closed:
            stored = self._writer.commit()
            self._ref = FileRef(
                name=self._name,
                key=self._key,
                bytes=stored.bytes,
                hash=f"xxh3:{self._hash.hexdigest()}",
                media_type=self._media_type,
            )
        super().close()

    def abort(self) -> None:
        """Give the file up."""
        if not self.closed:
            self._writer.abort()
            super().close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


class Workspace:
    """Makes files and folders for one attempt; `key` makes a new object key of this execution, ending in a word."""

    def __init__(
        self,
        store: Callable[[], ObjectStore],
        key: Callable[[str], str],
        outside: Outside | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`outside` decodes what files of the outside world hold, within these `limits` of the attempt; this process does
        it where there is none."""
        self._store = store
        self._key = key
        self._outside, self._limits = outside, limits
        self._decodings: Decodings | None = None
        self._folder: Path | None = None
        self._writers: list[FileWriter] = []

    def rejected(self) -> Rejected:
        """A place for rows that cannot be used."""
        return Rejected(self._store, self._key)

    def folder(self) -> Path:
        """The private folder, made when first asked for."""
        if self._folder is None:
            self._folder = make_folder()
        return self._folder

    def file(self, ref: FileRef) -> File:
        """A file to read."""
        if self._decodings is None and self._outside is not None:
            self._decodings = Decodings(self._outside)
        return File(ref, StoredSource(self._store(), ref, self.folder), self._decodings, self._limits)

    def create(self, name: str, media_type: str = OCTETS) -> FileWriter:
        """A file to write."""
        key = self._key(f"file-{len(self._writers)}")
        writer = FileWriter(self._store().create(key), key, name, media_type, self.file)
        self._writers.append(writer)
        return writer

    def upload(self, path: Path) -> FileRef:
        """Make a file of a local one."""
        with path.open("rb") as source, self.create(path.name) as target:
            shutil.copyfileobj(source, target, CHUNK_BYTES)
        return target.ref

    def give_up(self) -> None:
        """Drop files that are not finished."""
        for writer in self._writers:
            writer.abort()

    def close(self) -> None:
        """Remove the folder, and what was not finished."""
        self.give_up()
        if self._decodings is not None:
            self._decodings.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
