"""Files as an author sees them: a name and bytes, wherever they are."""

from __future__ import annotations

import io
import mimetypes
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from plugmesh.contracts.data import FileRef
from plugmesh.contracts.module import Limits
from plugmesh.data.digest import verify_hash
from plugmesh.data.outside.here import Here
from plugmesh.data.outside.job import Job, limits_for
from plugmesh.objects.port import ObjectStore, descriptor_of, is_older
from plugmesh.seekable import Seekable

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_BYTES = 8 * 1024 * 1024


class FileSource(Protocol):
    """Where a file's bytes come from."""

    def open(self) -> BinaryIO:
        """A new stream from the first byte."""
        ...

    def path(self) -> Path:
        """A local file with these bytes, to be read only."""
        ...

    def descriptor(self) -> int:
        """A new descriptor of a local file with exactly these bytes."""
        ...


class Decoding(Protocol):
    """Decodes files of the outside world: `plugmesh.data.outside` in a process with limits, or here."""

    def decode(self, job: Job, fd: int, told: Callable[[Any], None]) -> pa.RecordBatchReader:
        """The batches of the file that is open as `fd`."""
        ...


class File:
    """A file handed to a module, as a param or through a port.

    `name` is what people call it, `bytes` its length, `hash` names its content. `open()` gives a binary stream;
    `path` is a local file for libraries that want one (it lives as long as the attempt). Nothing is read before
    one of these is used.
    """

    def __init__(
        self, ref: FileRef, source: FileSource, decoding: Decoding | None = None, limits: Limits | None = None
    ) -> None:
        self.ref = ref
        self._source = source
        self._decoding, self._limits = decoding or Here(), limits or Limits()

    @classmethod
    def local(cls, path: str | Path) -> File:
        """A file of this machine; for tests."""
        path = Path(path)
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        ref = FileRef(
            name=path.name, key=f"local/{path.name}", bytes=path.stat().st_size, hash="", media_type=media_type
        )
        return cls(ref, LocalSource(path))

    @property
    def name(self) -> str:
        return self.ref.name

    @property
    def bytes(self) -> int:
        return self.ref.bytes

    @property
    def media_type(self) -> str:
        return self.ref.media_type

    @property
    def hash(self) -> str:
        return self.ref.hash

    @property
    def path(self) -> Path:
        return self._source.path()

    def open(self) -> BinaryIO:
        return self._source.open()

    def read(self) -> Any:
        """All bytes."""
        with self.open() as stream:
            return stream.read()

    def decode(
        self, decoder: str, arguments: Mapping[str, Any], told: Callable[[Any], None] = lambda _: None
    ) -> pa.RecordBatchReader:
        """The table in this file, read by `decoder` (`package.module:function`, see `plugmesh.data.outside.job.Decoder`)
        in a process that may crash: with the memory, CPU and output limits of the attempt, or usual ones.

        `arguments` can be written as JSON. `told` takes what the decoder tells. Raises, here or while batches are read,
        `DataError` of the decoder, `FileUnreadable`.
        """
        limits = self._limits
        most = limits_for(self.bytes, limits.memory_bytes, limits.cpu_s, limits.output_bytes)
        fd = self._source.descriptor()
        try:
            return self._decoding.decode(Job(decoder, self.name, most, arguments), fd, told)
        finally:
            os.close(fd)

    def __repr__(self) -> str:
        return f"File({self.name!r}, {self.bytes} bytes)"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(_validated)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "object", "x-mesh": "file"}


OpenFile = Callable[[FileRef], File]
"""Makes a `File` of a reference; the validation of params gets it as its context under `open_file`."""


def _validated(value: Any, info: ValidationInfo) -> File:
    if isinstance(value, File):
        return value
    context = info.context or {}
    if isinstance(value, dict) and "open_file" in context:
        return cast("OpenFile", context["open_file"])(FileRef.model_validate(value))
    if isinstance(value, str | Path) and context.get("local_files"):
        if not Path(value).is_file():
            raise ValueError(f"there is no file {str(value)!r}")
        return File.local(value)
    raise ValueError("expected a file: an input of kind file, or a reference to one")


class LocalSource:
    """A file of this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self) -> BinaryIO:
        return self._path.open("rb")

    def path(self) -> Path:
        return self._path

    def descriptor(self) -> int:
        return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)


class StoredSource:
    """An object in the store; copied into `folder()` when a path is asked for."""

    def __init__(self, store: ObjectStore, ref: FileRef, folder: Callable[[], Path]) -> None:
        self._store = store
        self._ref = ref
        self._folder = folder
        self._is_checked = False

    def open(self) -> BinaryIO:
        self._check()
        return io.BufferedReader(_ObjectStream(self._store, self._ref), CHUNK_BYTES)

    def path(self) -> Path:
        word = self._ref.key.rpartition("/")[2]
        target = self._folder() / f"{word[:40]}-{Path(self._ref.name).name}"
        if not target.exists():
            part = target.with_name(target.name + ".part")
            with self.open() as stream, part.open("wb") as copy:
                shutil.copyfileobj(stream, copy, CHUNK_BYTES)
            part.rename(target)
        return target

    def descriptor(self) -> int:
        self._check()
        found = descriptor_of(self._store, self._ref.key)
        if found is not None and os.fstat(found).st_size == self._ref.bytes:
            return found
        if found is not None:
            os.close(found)
        return os.open(self.path(), os.O_RDONLY | os.O_CLOEXEC)

    def _check(self) -> None:
        """What was written before the machine was started may not be what it was. Raises `ObjectMissing`, `ObjectCorrupt`."""
        if self._is_checked:
            return
        key, size = self._ref.key, self._ref.bytes
        self._store.read(key, 0, min(size, 1))
        if self._ref.hash and is_older(self._store, key):
            verify_hash(self._store.read(key, 0, size), self._ref.hash, f"file {self._ref.name!r} (object {key})")
        self._is_checked = True


class _ObjectStream(Seekable):
    """Reads an object piece by piece: no copy of the whole, whichever store it lies in."""

    def __init__(self, store: ObjectStore, ref: FileRef) -> None:
        super().__init__(ref.bytes)
        self._store, self._ref = store, ref

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        length = max(0, min(len(view), self._ref.bytes - self._at))
        if length:
            view[:length] = self._store.read(self._ref.key, self._at, length)
            self._at += length
        return length
