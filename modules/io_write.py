"""`io.write`: a table becomes a file."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from math import isfinite
from typing import Annotated, Any, BinaryIO

from pydantic import Field

from module_sdk import Context, DataError, File, module
from modules.formats import MEDIA_TYPES, Format, FormatChoice, Kind, kind_of
from modules.tables import Table

_JSON_ROWS = 16_384
"""Rows that are Python objects at once."""


@module("io.write", version="1.0.0", title="Write file")
def write(
    table: Table,
    *,
    ctx: Context,
    name: Annotated[str, Field(min_length=1, max_length=200, description="What the file is called.")] = "table.csv",
    format: Annotated[FormatChoice, Field(description="auto: by the ending of the name.")] = "auto",
    delimiter: Annotated[str, Field(min_length=1, max_length=1, description="csv: between values.")] = ",",
    header: Annotated[bool, Field(description="csv: whether the first line has the names of the columns.")] = True,
) -> File:
    """Write a table as a CSV, Parquet, JSON lines or Arrow file.

    The format follows from the name's ending (.csv, .parquet, .jsonl, .arrow) unless it is given; with .gz, .bz2 or
    .zst behind it the file is packed. CSV and JSON lines are UTF-8; in CSV text is quoted and a null is nothing, in JSON
    lines decimals are text, bytes are base64, and floats that are no number are null. Lists, structs and bytes do not
    fit CSV.
    """
    import pyarrow as pa

    kind = _kind(name, format)
    writers: dict[Format, Callable[[Any], None]] = {
        "csv": lambda out: _write_csv(table, out, delimiter, header),
        "parquet": lambda out: _write_parquet(table, out),
        "jsonl": lambda out: _write_jsonl(table, out),
        "arrow": lambda out: _write_arrow(table, out),
    }
    with ctx.create_file(name, MEDIA_TYPES[kind.format]) as file:
        try:
            if kind.compression is None:
                writers[kind.format](file)
            else:
                with pa.CompressedOutputStream(pa.PythonFile(file, mode="w"), kind.compression) as packed:
                    writers[kind.format](packed)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise DataError(
                f"the table cannot be written as {kind.format}: {str(error).partition(chr(10))[0]}"
            ) from None
    return file.file


def _kind(name: str, choice: FormatChoice) -> Kind:
    if "/" in name or "\\" in name or not name.isprintable() or name in {".", ".."}:
        raise DataError(f"name: {name!r} is no plain name of a file")
    kind = kind_of(name, choice)
    if kind.compression == "zip":
        raise DataError(f"name: a .zip file cannot be written; call it {name[:-4]!r} plus .gz or .zst")
    return kind


def _write_csv(table: Table, out: BinaryIO, delimiter: str, header: bool) -> None:
    import pyarrow as pa
    from pyarrow import csv

    for index, field in enumerate(table.schema):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_nested(kind) or pa.types.is_interval(kind) or "binary" in str(kind):
            raise DataError(f"the column {field.name!r} ({field.type}) does not fit csv: write parquet, arrow or jsonl")
        if pa.types.is_string_view(kind) or pa.types.is_run_end_encoded(kind):
            table = table.set_column(index, field.name, table.column(index).cast(pa.string()))
    csv.write_csv(table, out, csv.WriteOptions(include_header=header, delimiter=delimiter))


def _write_parquet(table: Table, out: BinaryIO) -> None:
    from pyarrow import parquet

    parquet.write_table(table, out, compression="zstd")


def _write_arrow(table: Table, out: BinaryIO) -> None:
    import pyarrow as pa

    with pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)


def _write_jsonl(table: Table, out: BinaryIO) -> None:
    import pyarrow as pa

    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):  # Python's datetime has no nanoseconds
            table = table.set_column(index, field.name, table.column(index).cast(pa.string()))
    for batch in table.to_batches(max_chunksize=_JSON_ROWS):
        lines = [_line(row) for row in batch.to_pylist()]
        out.write("".join(lines).encode())


def _line(row: dict[str, Any]) -> str:
    try:
        return json.dumps(row, ensure_ascii=False, allow_nan=False, default=_text) + "\n"
    except ValueError:  # NaN and infinity are no JSON
        return json.dumps(_finite(row), ensure_ascii=False, allow_nan=False, default=_text) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def _text(value: Any) -> str:
    return b64encode(value).decode() if isinstance(value, bytes) else str(value)
