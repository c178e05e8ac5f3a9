"""Running a decoder: the same in a child and in the process that asks. Batches are validated before anybody sees them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from plugmesh.data.outside.job import Decoder, Job
from plugmesh.data.outside.source import Source
from plugmesh.errors import ErrorClass, FileUnreadable, PlugmeshError

if TYPE_CHECKING:
    import pyarrow as pa

MESSAGE_CHARS = 4000


def find_decoder(name: str) -> Decoder:
    """The function `package.module:function`."""
    module, _, function = name.partition(":")
    return cast("Decoder", getattr(importlib.import_module(module), function))


def decoded(job: Job, source: Source) -> Iterator[pa.RecordBatch]:
    """Validated batches of one schema; at least one, which may be empty. Raises `PlugmeshError` only."""
    import pyarrow as pa

    left = job.limits.output_bytes
    try:
        for batch in _batches(find_decoder(job.decoder)(source, job.arguments), pa):
            batch.validate(full=True)
            left -= batch.nbytes
            if left < 0:
                raise FileUnreadable(too_large(job, source.bytes))
            yield batch
    except PlugmeshError:
        raise
    except MemoryError as error:
        raise FileUnreadable(too_much_memory(job, str(error))) from None
    except Exception as error:
        raise FileUnreadable(unreadable(job.name, f"{type(error).__name__}: {error}")) from error


def reader_of(batches: Iterator[pa.RecordBatch]) -> pa.RecordBatchReader:
    """A reader; the first batch is read now, for it tells the schema."""
    import pyarrow as pa

    first = next(batches)

    def all_of_them() -> Iterator[pa.RecordBatch]:
        yield first
        yield from batches

    return pa.RecordBatchReader.from_batches(first.schema, all_of_them())


def _batches(found: Any, pa: Any) -> Iterator[pa.RecordBatch]:
    """With an empty one if there is nothing else to tell the schema."""
    if isinstance(found, pa.Table):
        found = found.to_reader()
    schema, seen = getattr(found, "schema", None), False
    for batch in found:
        seen = True
        yield batch
    if not seen and schema is None:
        raise FileUnreadable("file: there is no table in it: the decoder found neither columns nor rows")
    if not seen:
        yield pa.RecordBatch.from_pylist([], schema=schema)


def told_error(error: PlugmeshError) -> dict[str, str]:
    """An error for another process."""
    text = str(error).encode("utf-8", "replace").decode()
    return {"code": error.code, "class": error.error_class, "message": text[:MESSAGE_CHARS]}


def raised_error(told: dict[str, str]) -> PlugmeshError:
    """The error that another process told of."""
    kinds = [PlugmeshError]
    for kind in kinds:
        if kind.code == told["code"]:
            return kind(told["message"])
        kinds.extend(kind.__subclasses__())
    error = PlugmeshError(told["message"])
    error.error_class = ErrorClass(told["class"])
    return error


def unreadable(name: str, said: str) -> str:
    """What is wrong with a file."""
    return f"file: {name!r} cannot be read: {said.partition(chr(10))[0]}: is it whole, and of this format?"


def too_large(job: Job, size: int) -> str:
    """What is wrong with a file that grows beyond its limit."""
    return (
        f"file: {job.name!r} has {size:,} bytes and holds more than {job.limits.output_bytes:,} bytes of data, the most that "
        "may be made of it: raise the step's limit if that is right (limits: {output: …}); else the file is made to fill disks"
    )


def too_much_memory(job: Job, said: str) -> str:
    """What is wrong with a file that needs more memory than there may be."""
    return (
        f"file: {job.name!r} cannot be read within {job.limits.memory_bytes:,} bytes of memory ({said or 'refused'}): raise the "
        "step's limit (limits: {memory: …}), or write the file in smaller pieces, such as row groups"
    )
