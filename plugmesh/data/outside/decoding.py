"""Running a decoder: the same in a child and in the process that asks. Batches are validated before anybody sees them."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

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


def decoded(job: Job, source: Source) -> Iterator[pa.Schema | pa.RecordBatch]:
    """The schema, then validated batches. Raises `PlugmeshError` only."""
    import pyarrow as pa

    left = job.limits.output_bytes
    try:
        found = find_decoder(job.decoder)(source, job.arguments)
        for one in _with_schema(found.to_reader() if isinstance(found, pa.Table) else found):
            if isinstance(one, pa.RecordBatch):
                one.validate(full=True)
                left -= one.nbytes
            if left < 0:
                raise FileUnreadable(too_large(job, source.bytes))
            yield one
    except PlugmeshError:
        raise
    except MemoryError as error:
        raise FileUnreadable(too_much_memory(job, str(error))) from None
    except Exception as error:
        raise FileUnreadable(unreadable(job.name, f"{type(error).__name__}: {error}")) from error


def _with_schema(found: Iterable[pa.RecordBatch]) -> Iterator[pa.Schema | pa.RecordBatch]:
    batches = iter(found)
    schema, first = getattr(found, "schema", None), None
    if schema is None:
        first = next(batches, None)
        if first is None:
            raise FileUnreadable("file: there is no table in it: the decoder found neither columns nor rows")
        schema = first.schema
    yield schema
    if first is not None:
        yield first
    yield from batches


def reader_of(items: Iterator[pa.Schema | pa.RecordBatch]) -> pa.RecordBatchReader:
    """A reader over a schema and batches; the schema is waited for."""
    import pyarrow as pa

    return pa.RecordBatchReader.from_batches(next(items), items)


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
        "may be made of it: if it is not made to fill disks, raise the step's limit (limits: {output: …}), or, beyond 8 GiB and "
        "1,000 times its size, hand it in as several files"
    )


def too_much_memory(job: Job, said: str) -> str:
    """What is wrong with a file that needs more memory than there may be."""
    return (
        f"file: {job.name!r} cannot be read within {job.limits.memory_bytes:,} bytes of memory ({said or 'refused'}): raise the "
        "step's limit (limits: {memory: …}), or write the file in smaller pieces, such as row groups"
    )
