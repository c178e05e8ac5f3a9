"""What a file holds, as batches. Runs in a process of its own (`File.decode`): a file may be made to crash whoever reads it."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from module_sdk import DataError, FileUnreadable, Source
from modules.bad_rows import Reject
from modules.csv_lines import BadLine
from modules.csv_reader import CsvOptions, read_csv
from modules.formats import Format, Kind, unpacked
from modules.jsonl_reader import read_jsonl
from modules.names import check_columns

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 256 * 1024
DECODER = "modules.file_decoder:decode"
Reopen = Callable[[], Any]
"""Gives a new stream from the first byte; a reader may have to start again."""


def decode(source: Source, arguments: Mapping[str, Any]) -> Iterator[pa.RecordBatch]:
    """The file's columns. `arguments`: `kind` (fields of a `Kind`), `csv` (of `CsvOptions`), `columns`, `types`, `reject`.

    Bad lines are told, as `told_rejects` reads them. What Arrow complains about becomes an error that names the file.
    """
    import pyarrow as pa

    kind = Kind(**arguments["kind"])
    with ExitStack() as opened:
        try:
            reader = _reader(source, kind, arguments, opened)
            yield pa.RecordBatch.from_pylist([], schema=reader.schema)  # tells the columns before any row is read
            yield from reader
        except FileUnreadable:
            raise
        except DataError as error:
            raise DataError(_named(str(error), source.name)) from None
        except MemoryError:
            raise
        except (pa.ArrowException, OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            said = str(error).partition("\n")[0]
            raise FileUnreadable(f"file: {source.name!r} cannot be read as {kind.format}: {said}") from None


def told_rejects(reject: Reject) -> Callable[[Any], None]:
    """What takes what is told of lines that are left out."""

    def told(value: Any) -> None:
        line, rows = value
        reject(None if line is None else BadLine(*line), rows)

    return told


def _reader(source: Source, kind: Kind, arguments: Mapping[str, Any], opened: ExitStack) -> pa.RecordBatchReader:
    columns, types = arguments["columns"], arguments["types"]
    options = CsvOptions(**arguments["csv"] | {"nulls": tuple(arguments["csv"]["nulls"])})
    reject = _telling(source) if arguments["reject"] else None

    def reopen() -> Any:
        return unpacked(opened.enter_context(source.open()), kind.compression, source.name)

    readers: dict[Format, Callable[[], pa.RecordBatchReader]] = {
        "csv": lambda: _chosen(read_csv(reopen, options, columns, types, reject), columns),
        "jsonl": lambda: _chosen(read_jsonl(reopen, types, reject), columns),
        "parquet": lambda: _parquet(_seekable(reopen(), kind), columns),
        "arrow": lambda: _arrow(_seekable(reopen(), kind), columns),
    }
    return readers[kind.format]()


def _telling(source: Source) -> Reject:
    def reject(line: BadLine | None, rows: int) -> None:
        source.tell([None if line is None else [line.number, line.reason, line.sample], rows])

    return reject


def _named(said: str, name: str) -> str:
    """The message with the name of the file, behind the name of the param that it is about."""
    param, colon, rest = said.partition(": ")
    return f"{param}: {name!r}: {rest}" if colon and param in ("file", "encoding") and name not in said else said


def _seekable(stream: Any, kind: Kind) -> Any:
    """Parquet and Arrow files are read from their end."""
    import pyarrow as pa

    return stream if kind.compression is None else pa.BufferReader(stream.read())


def _parquet(stream: Any, columns: Sequence[str]) -> pa.RecordBatchReader:
    """Row group by row group."""
    import pyarrow as pa
    from pyarrow import parquet

    file = parquet.ParquetFile(stream)
    schema = file.schema_arrow
    _check(schema.names, columns)
    batches = file.iter_batches(BATCH_ROWS, columns=list(columns) or None)
    chosen = schema if not columns else pa.schema([schema.field(name) for name in columns], schema.metadata)
    return pa.RecordBatchReader.from_batches(chosen, (batch.select(chosen.names) for batch in batches))


def _arrow(stream: Any, columns: Sequence[str]) -> pa.RecordBatchReader:
    """An IPC file or stream, batch by batch."""
    import pyarrow as pa

    is_file = stream.read(6) == b"ARROW1"
    stream.seek(0)
    reader: Any = pa.ipc.open_file(stream) if is_file else pa.ipc.open_stream(stream)
    _check(reader.schema.names, columns)
    batches = (reader.get_batch(number) for number in range(reader.num_record_batches)) if is_file else reader
    if not columns:
        return pa.RecordBatchReader.from_batches(reader.schema, batches)
    chosen = pa.schema([reader.schema.field(name) for name in columns], reader.schema.metadata)
    return pa.RecordBatchReader.from_batches(chosen, (batch.select(list(columns)) for batch in batches))


def _chosen(table: pa.Table, columns: Sequence[str]) -> pa.RecordBatchReader:
    names = table.column_names
    _check(names, columns)
    return (table.select(list(columns)) if columns and list(columns) != names else table).to_reader(BATCH_ROWS)


def _check(names: Sequence[str], columns: Sequence[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise DataError(f"file: two columns are called {twice!r}; for csv, give the names in `header` and skip nothing")
    check_columns("columns", columns, names, "file")
