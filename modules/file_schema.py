"""The columns of a file, as far as its beginning tells. Runs in a process of its own, as the decoder of the whole does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from module_sdk import DataError, Source
from modules.csv_reader import csv_columns
from modules.file_decoder import arrow_reader, chosen_names, csv_options, naming, seekable
from modules.formats import Format, Kind, unpacked
from modules.jsonl_reader import read_jsonl

WHOLE_BYTES = 4 * 1024 * 1024
"""Where a look at the beginning is not enough, a file that is no larger is read whole."""

Found = tuple[pa.Schema, Sequence[str]] | None


def decode(source: Source, arguments: Mapping[str, Any]) -> Iterator[pa.RecordBatch]:
    """No rows. `arguments` are those of the decoder. Tells the names of columns of which a look at the rest may change the
    type; `None`: of which it may find others."""
    kind = Kind(**arguments["kind"])
    with naming(source.name, kind):
        found = _found(source, kind, arguments)
    source.tell(None if found is None else list(found[1]))
    yield pa.RecordBatch.from_pylist([], schema=pa.schema([]) if found is None else found[0])


def _found(source: Source, kind: Kind, arguments: Mapping[str, Any]) -> Found:
    columns, types = arguments["columns"], arguments["types"]
    large = source.bytes > WHOLE_BYTES

    def reopen() -> Any:
        return unpacked(source.open(), kind.compression, source.name)

    def csv() -> Found:
        schema, unsure = csv_columns(reopen, csv_options(arguments), columns, types, rejects=arguments["reject"])
        return schema, [name for name in schema.names if name in unsure]

    looks: dict[Format, Callable[[], Found]] = {
        "csv": csv,
        # A later line may have other keys: only a file that was seen whole tells its columns.
        "jsonl": lambda: None if large else _chosen(read_jsonl(reopen, types, _nobody(arguments)).schema, columns),
        "parquet": lambda: _chosen(parquet.ParquetFile(seekable(reopen(), kind)).schema_arrow, columns),
        "arrow": lambda: _chosen(arrow_reader(seekable(reopen(), kind))[0].schema, columns),
    }
    return None if kind.format in ("parquet", "arrow") and kind.compression and large else looks[kind.format]()


def _nobody(arguments: Mapping[str, Any]) -> Any:
    return (lambda line, rows: None) if arguments["reject"] else None


def _chosen(schema: pa.Schema, columns: Sequence[str]) -> Found:
    names = chosen_names(schema.names, columns, lambda _: True)
    if not names:
        raise DataError("file: there are no columns in it")
    return pa.schema([schema.field(name) for name in names]), ()
