"""What a file holds, as batches. Runs in a process of its own (`File.decode`): a file may be made to crash whoever reads it."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
from pyarrow import parquet

from module_sdk import DataError, FileUnreadable, Predicate, Source
from modules.bad_rows import Reject
from modules.csv_lines import BadLine
from modules.csv_reader import CsvOptions, Wants, read_csv
from modules.formats import Format, Kind, unpacked
from modules.jsonl_reader import read_jsonl
from modules.names import check_file_columns
from modules.parquet_groups import needed_groups
from modules.row_filters import filtered

BATCH_ROWS = 256 * 1024
Reopen = Callable[[], Any]
"""Gives a new stream from the first byte; a reader may have to start again."""


def decode(source: Source, arguments: Mapping[str, Any]) -> pa.RecordBatchReader:
    """The file's columns. `arguments`: `kind` (fields of a `Kind`), `csv` (of `CsvOptions`), `columns`, `types`, `reject`.

    Bad lines are told, as `bad_rows.told_rejects` reads them. What Arrow complains about becomes an error that names the
    file, here or while batches are read.
    """
    kind = Kind(**arguments["kind"])
    with naming(source.name, kind):
        reader = _reader(source, kind, arguments)

    def batches() -> Iterator[pa.RecordBatch]:
        with naming(source.name, kind):
            yield from reader

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


@contextmanager
def naming(name: str, kind: Kind) -> Iterator[None]:
    """What Arrow complains about becomes an error that names the file."""
    try:
        yield
    except FileUnreadable:
        raise
    except DataError as error:
        raise DataError(_named(str(error), name)) from None
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        said = str(error).partition("\n")[0]
        raise FileUnreadable(f"file: {name!r} cannot be read as {kind.format}: {said}") from None


def _reader(source: Source, kind: Kind, arguments: Mapping[str, Any]) -> pa.RecordBatchReader:
    columns, types = arguments["columns"], arguments["types"]
    options = csv_options(arguments)
    reject = _telling(source) if arguments["reject"] else None

    def reopen() -> Any:
        return unpacked(source.open(), kind.compression, source.name)

    wants = wants_of(arguments["wanted"])
    filters = [Predicate(**one) for one in arguments["filters"]]
    readers: dict[Format, Callable[[], pa.RecordBatchReader]] = {
        "csv": lambda: read_csv(reopen, options, columns, types, reject, wants=wants, filters=filters),
        "jsonl": lambda: read_jsonl(
            reopen, types, reject, choose=lambda names: chosen_names(names, columns, wants), filters=filters
        ),
        "parquet": lambda: _rows(_parquet(seekable(reopen(), kind), columns, wants, filters), filters),
        "arrow": lambda: _rows(_arrow(seekable(reopen(), kind), columns, wants), filters),
    }
    return readers[kind.format]()


def csv_options(arguments: Mapping[str, Any]) -> CsvOptions:
    """How a CSV file is written, as the arguments of a decoder say it."""
    return CsvOptions(**arguments["csv"] | {"nulls": tuple(arguments["csv"]["nulls"])})


def _telling(source: Source) -> Reject:
    def reject(line: BadLine | None, rows: int) -> None:
        source.tell([None if line is None else [line.number, line.reason, line.sample], rows])

    return reject


def _named(said: str, name: str) -> str:
    """The message with the name of the file, behind the name of the param that it is about."""
    param, colon, rest = said.partition(": ")
    return f"{param}: {name!r}: {rest}" if colon and param in ("file", "encoding") and name not in said else said


def seekable(stream: Any, kind: Kind) -> Any:
    """Parquet and Arrow files are read from their end."""
    return stream if kind.compression is None else pa.BufferReader(stream.read())


def _parquet(stream: Any, columns: Sequence[str], wants: Wants, filters: Sequence[Predicate]) -> pa.RecordBatchReader:
    """Row group by row group; one that has no row that anybody needs, as its statistics say, is not read."""
    file = parquet.ParquetFile(stream)
    schema = file.schema_arrow
    chosen = pa.schema([schema.field(name) for name in chosen_names(schema.names, columns, wants)], schema.metadata)
    groups = needed_groups(file.metadata, schema, filters)
    batches = file.iter_batches(BATCH_ROWS, row_groups=groups, columns=chosen.names)
    return pa.RecordBatchReader.from_batches(chosen, (batch.select(chosen.names) for batch in batches))


def _arrow(stream: Any, columns: Sequence[str], wants: Wants) -> pa.RecordBatchReader:
    """An IPC file or stream, batch by batch."""
    reader, is_file = arrow_reader(stream)
    names = chosen_names(reader.schema.names, columns, wants)
    chosen = pa.schema([reader.schema.field(name) for name in names], reader.schema.metadata)
    fields = sorted(reader.schema.get_field_index(name) for name in names)
    reader, _ = arrow_reader(stream, included_fields=fields)
    batches = (reader.get_batch(number) for number in range(reader.num_record_batches)) if is_file else reader
    return pa.RecordBatchReader.from_batches(chosen, (batch.select(names) for batch in batches))


def arrow_reader(stream: Any, **options: Any) -> tuple[Any, bool]:
    """Reads an IPC file or stream from its first byte; whether it is a file."""
    stream.seek(0)
    is_file = stream.read(6) == b"ARROW1"
    stream.seek(0)
    opened = pa.ipc.open_file if is_file else pa.ipc.open_stream
    return opened(stream, options=pa.ipc.IpcReadOptions(**options)), is_file


def _rows(reader: pa.RecordBatchReader, filters: Sequence[Predicate]) -> pa.RecordBatchReader:
    """Without those that nobody needs."""
    if not filters:
        return reader
    return pa.RecordBatchReader.from_batches(reader.schema, (filtered(batch, filters) for batch in reader))


def chosen_names(names: Sequence[str], columns: Sequence[str], wants: Wants) -> list[str]:
    """Which columns of a file to read, in order; one at least, for somebody may count the rows. Raises `DataError`."""
    check_file_columns(names, columns)
    there = list(columns or names)
    return [name for name in there if wants(name)] or there[:1]


def wants_of(wanted: Sequence[str] | None) -> Wants:
    """Whether somebody uses a column; names are compared without regard to case."""
    if wanted is None:
        return lambda _: True
    folded = frozenset(name.casefold() for name in wanted)
    return lambda name: name.casefold() in folded
