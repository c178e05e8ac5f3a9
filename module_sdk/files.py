"""Files as an author sees them: a name and bytes, wherever they are."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from plugmesh.contracts.data import FileRef
from plugmesh.contracts.module import Limits
from plugmesh.data.outside.here import Here
from plugmesh.data.outside.job import Job, limits_for

if TYPE_CHECKING:
    import pyarrow as pa


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
