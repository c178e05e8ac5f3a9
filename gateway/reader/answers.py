"""What a reader process answers: rows as JSON, tables as files, logs as text. Runs only in that process."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from gateway.reader.json_values import json_columns, json_rows, plain_columns
from plugmesh.contracts.data import DataRef, FileRef, Reference, ValueRef
from plugmesh.data.reference import resolve
from plugmesh.data.table import read_batches, read_rows
from plugmesh.errors import ConfigurationError, NotFound
from plugmesh.objects.port import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 16_384
_FILE_PIECE_BYTES = 1024 * 1024
_REFERENCE: TypeAdapter[Reference] = TypeAdapter(Reference)

Pieces = Iterator[bytes | memoryview]


def prepare() -> None:
    """Import Arrow and keep it to one thread: the machine's cores belong to the modules."""
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)


def answer(store: ObjectStore, request: dict[str, Any]) -> bytes | Pieces:
    """JSON text, or the pieces of a stream. Raises `PlugmeshError`, and whatever decoding raises."""
    if request["op"] == "log":
        return _log(store, request)
    reference = resolve(store, _REFERENCE.validate_python(request["reference"]))
    if request["op"] == "rows":
        return _rows(store, reference, request)
    return _download(store, reference, request)


def _rows(store: ObjectStore, reference: DataRef | FileRef | ValueRef, request: dict[str, Any]) -> bytes:
    if not isinstance(reference, DataRef):
        return to_json({"rows": [], "columns": [], "total": 0, **reference.model_dump(mode="json")})
    table = read_rows(store, reference, request["offset"], request["limit"], request.get("columns"))
    rows: list[bytes] = []
    left = int(request["limit_bytes"])
    for batch in _checked(table.to_batches(max_chunksize=256)):
        for row in json_rows(batch):
            text = to_json(row)
            left -= len(text) + 1
            if left < 0:
                return _page(rows, table.schema, reference.rows, truncated=True)
            rows.append(text)
    return _page(rows, table.schema, reference.rows, truncated=False)


def _page(rows: Sequence[bytes], schema: pa.Schema, total: int, *, truncated: bool) -> bytes:
    rest = {"kind": "table", "columns": json_columns(schema), "total": total, "truncated": truncated}
    return b'{"rows":[' + b",".join(rows) + b"]," + to_json(rest)[1:]


def _checked(batches: Sequence[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        batch.validate(full=True)
        yield batch


def _download(store: ObjectStore, reference: DataRef | FileRef | ValueRef, request: dict[str, Any]) -> Pieces:
    if isinstance(reference, FileRef):
        return _file(store, reference)
    if isinstance(reference, ValueRef):
        return iter([to_json(reference.value)])
    return _WRITERS[request["format"]](read_batches(store, reference, request.get("columns")))


def _file(store: ObjectStore, reference: FileRef) -> Pieces:
    for start in range(0, reference.bytes, _FILE_PIECE_BYTES):
        yield store.read(reference.key, start, min(_FILE_PIECE_BYTES, reference.bytes - start))


def _jsonl(reader: pa.RecordBatchReader) -> Pieces:
    for batch in _small(reader):
        yield b"".join(to_json(row) + b"\n" for row in json_rows(batch))


def _csv(reader: pa.RecordBatchReader) -> Pieces:
    import pyarrow.csv

    sink = _Sink()
    writer = None
    for batch in _small(reader):
        plain = plain_columns(batch)
        writer = writer or pyarrow.csv.CSVWriter(sink.file, plain.schema)
        writer.write_batch(plain)
        yield sink.take()
    if writer is None:  # an empty table still has a header
        names = ",".join('"' + name.replace('"', '""') + '"' for name in reader.schema.names)
        yield f"{names}\n".encode()
        return
    writer.close()
    yield sink.take()


def _parquet(reader: pa.RecordBatchReader) -> Pieces:
    import pyarrow.parquet

    sink = _Sink()
    with pyarrow.parquet.ParquetWriter(sink.file, reader.schema) as writer:
        for batch in reader:
            batch.validate(full=True)
            writer.write_batch(batch)
            yield sink.take()
    yield sink.take()


def _arrow(reader: pa.RecordBatchReader) -> Pieces:
    import pyarrow as pa

    sink = _Sink()
    with pa.ipc.new_file(sink.file, reader.schema) as writer:
        for batch in _small(reader):
            writer.write_batch(batch)
            yield sink.take()
    yield sink.take()


_WRITERS = {"jsonl": _jsonl, "csv": _csv, "parquet": _parquet, "arrow": _arrow}


def _small(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    for batch in reader:
        for start in range(0, batch.num_rows, BATCH_ROWS):
            yield from _checked([batch.slice(start, BATCH_ROWS)])


class _Sink(io.RawIOBase):
    """A file that Arrow writes to and that is emptied after each batch."""

    def __init__(self) -> None:
        import pyarrow as pa

        self._pieces: list[bytes] = []
        self.file = pa.PythonFile(self, mode="w")

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        return len(piece)

    def take(self) -> bytes:
        """What was written since the last call."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _log(store: ObjectStore, request: dict[str, Any]) -> bytes | Pieces:
    raw = bytes(store.read(request["key"], 0, None))
    if request["format"] == "jsonl":
        return iter([raw])
    lines = [_log_line(line) for line in raw.splitlines() if line.strip()]
    if request["format"] == "json":
        return to_json({"lines": lines, "truncated": request.get("truncated", False)})
    if request["format"] == "text":
        return iter(["".join(_as_text(line) + "\n" for line in lines).encode("utf-8", "replace")])
    raise ConfigurationError(f"a log comes as json, jsonl or text, not {request['format']!r}")


def _log_line(line: bytes) -> dict[str, Any]:
    try:
        found = from_json(line)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"text": line.decode("utf-8", "replace")}


def _as_text(line: dict[str, Any]) -> str:
    text = next((str(line[name]) for name in ("text", "message", "msg", "line") if name in line), None)
    return text if text is not None else to_json(line).decode()


__all__ = ["NotFound", "answer", "prepare"]
