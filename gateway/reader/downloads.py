"""Whole outputs as files: a table in a format, as a stream of pieces that holds one batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from pydantic_core import to_json

from gateway.errors import RequestInvalid
from gateway.reader.csv_cells import guarded, guarded_name, plain_columns
from gateway.reader.excel import check_size, workbook
from gateway.reader.json_values import json_rows
from gateway.reader.pages import shown_columns
from gateway.reader.sink import Sink
from plugmesh.contracts.data import DataRef, FileRef, ValueRef
from plugmesh.data.schema import schema_of
from plugmesh.data.table import read_batches
from plugmesh.objects.port import ObjectStore

BATCH_ROWS, BATCH_CELLS = 16_384, 1_000_000
"""Of the batches that are made into text; wide tables have fewer rows in one."""
_FILE_PIECE_BYTES = 1024 * 1024

Pieces = Iterator[bytes | memoryview]


def download(store: ObjectStore, reference: DataRef | FileRef | ValueRef, request: dict[str, Any]) -> Pieces:
    """A table in `format`, a file as it is, a value as JSON. Raises `LimitExceeded`, `RequestInvalid`."""
    if isinstance(reference, FileRef):
        return _file(store, reference)
    if isinstance(reference, ValueRef):
        return iter([to_json(reference.value)])
    columns, _ = shown_columns(schema_of(reference), request.get("columns"), None)
    reader = read_batches(store, reference, columns)
    keep = bool(request.get("keep_formulas"))
    if request["format"] == "xlsx":
        check_size(reference.rows, len(reader.schema.names))
        return workbook(reader.schema, small(reader), keep_formulas=keep)
    if request["format"] == "csv":
        return _csv(reader, keep_formulas=keep)
    return _WRITERS[request["format"]](reader)


def small(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The rows in small, checked batches."""
    rows = max(1, min(BATCH_ROWS, BATCH_CELLS // max(1, len(reader.schema.names))))
    for batch in reader:
        for start in range(0, batch.num_rows, rows):
            piece = batch.slice(start, rows)
            piece.validate(full=True)
            yield piece


def _file(store: ObjectStore, reference: FileRef) -> Pieces:
    for start in range(0, reference.bytes, _FILE_PIECE_BYTES):
        yield store.read(reference.key, start, min(_FILE_PIECE_BYTES, reference.bytes - start))


def _jsonl(reader: pa.RecordBatchReader) -> Pieces:
    for batch in small(reader):
        yield b"".join(to_json(row) + b"\n" for row in json_rows(batch))


def _json(reader: pa.RecordBatchReader) -> Pieces:
    """One array, a row a line."""
    between = b"["
    for batch in small(reader):
        yield between + b",\n".join(to_json(row) for row in json_rows(batch))
        between = b",\n"
    yield b"[]\n" if between == b"[" else b"]\n"


def _csv(reader: pa.RecordBatchReader, *, keep_formulas: bool) -> Pieces:
    sink = Sink()
    writer = None
    for batch in small(reader):
        plain = plain_columns(batch)
        plain = plain if keep_formulas else guarded(plain)
        writer = writer or pyarrow.csv.CSVWriter(pa.PythonFile(sink, mode="w"), plain.schema)
        writer.write_batch(plain)
        yield sink.take()
    if writer is None:  # an empty table still has a header
        names = reader.schema.names if keep_formulas else [guarded_name(name) for name in reader.schema.names]
        line = ",".join('"' + name.replace('"', '""') + '"' for name in names)
        yield f"{line}\n".encode()
        return
    writer.close()
    yield sink.take()


def _parquet(reader: pa.RecordBatchReader) -> Pieces:
    sink = Sink()
    try:
        writer = pyarrow.parquet.ParquetWriter(pa.PythonFile(sink, mode="w"), reader.schema)
    except (pa.ArrowNotImplementedError, OSError) as error:
        raise _no_parquet(error) from None
    with writer:
        for batch in reader:
            batch.validate(full=True)
            try:
                writer.write_batch(batch)
            except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
                raise _no_parquet(error) from None
            yield sink.take()
    yield sink.take()


def _no_parquet(error: Exception) -> RequestInvalid:
    return RequestInvalid(
        f"Parquet has no form for a column of this table ({error}): name other columns, or take format=arrow"
    )


def _arrow(reader: pa.RecordBatchReader) -> Pieces:
    """An IPC stream: its end is marked, so that a stream that was cut is not taken for a whole one."""
    sink = Sink()
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), reader.schema) as writer:
        yield sink.take()
        for batch in small(reader):
            writer.write_batch(batch)
            yield sink.take()
    yield sink.take()


_WRITERS: dict[str, Callable[[pa.RecordBatchReader], Pieces]] = {
    "json": _json,
    "jsonl": _jsonl,
    "parquet": _parquet,
    "arrow": _arrow,
}
