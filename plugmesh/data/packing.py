"""Compressing columns on their way to a store on another machine, where that makes them smaller, and having them back as if
they had not been: in memory that nobody can write to.

Arrow compresses each buffer of a batch by itself, and says so in the batch: a reader needs not be told, and a store may
hold both kinds.
"""

from __future__ import annotations

import pyarrow as pa

from plugmesh.objects.port import Compression

LEAST_BYTES = 64 * 1024
"""Columns that are smaller are written as they are: the request takes longer than their bytes."""
SAMPLE_BYTES = 1024 * 1024
_PAYS = 2 / 3
"""What is left of the sample at most; else compressing takes longer than it saves."""


def options_for(compression: Compression | None, column: pa.ChunkedArray) -> pa.ipc.IpcWriteOptions | None:
    """How to write a column; `None`: as it is."""
    if compression is None or column.nbytes < LEAST_BYTES:
        return None
    options = pa.ipc.IpcWriteOptions(compression=compression)
    return options if _pays(options, _sample(column)) else None


def is_packed(table: pa.Table) -> bool:
    """Whether what was read of a stream is in memory of its own: it was compressed, for other bytes stay where they are."""
    return table.nbytes >= LEAST_BYTES and any(_is_own(chunk) for column in table.columns for chunk in column.chunks)


def unpacked(table: pa.Table) -> pa.Table:
    """The same in memory that is read-only: an author must not write into inputs, and a column that comes back as it was is
    known by its bytes."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return pa.ipc.open_stream(pa.py_buffer(memoryview(sink.getvalue()).toreadonly())).read_all()


def _is_own(array: pa.Array) -> bool:
    if any(buffer is not None and buffer.is_mutable and buffer.size for buffer in array.buffers()):
        return True
    if pa.types.is_dictionary(array.type):
        return _is_own(array.dictionary)
    # The buffers of children are among the array's own, but not those of their dictionaries.
    return pa.types.is_nested(array.type) and "dictionary" in str(array.type)


def _sample(column: pa.ChunkedArray) -> pa.RecordBatch:
    """The first rows of its largest chunk."""
    chunk = max(column.chunks, key=len)
    rows = max(1, len(chunk) * SAMPLE_BYTES // max(chunk.nbytes, 1))
    return pa.RecordBatch.from_arrays([chunk.slice(0, rows)], names=["sample"])


def _pays(options: pa.ipc.IpcWriteOptions, batch: pa.RecordBatch) -> bool:
    return len(_stream(batch, options)) <= _PAYS * len(_stream(batch, pa.ipc.IpcWriteOptions()))


def _stream(batch: pa.RecordBatch, options: pa.ipc.IpcWriteOptions) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return sink.getvalue()
