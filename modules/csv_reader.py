"""CSV to Arrow. Types are those that fit the whole file: Arrow widens a column when a later block does not fit."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from module_sdk import DataError
from modules.arrow_types import named_types
from modules.names import check_columns

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 8 * 1024 * 1024
"""Bytes parsed at once; a row must fit, so a file with a longer one is read again with larger blocks."""
_LARGEST_BLOCK_BYTES = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """How a CSV file is written. `header` may be the names themselves, for a file without a header line."""

    delimiter: str = ","
    header: bool | list[str] = True
    nulls: tuple[str, ...] = ("", "NA")
    encoding: str = "utf-8"


def read_csv(
    reopen: Callable[[], Any], options: CsvOptions, columns: Sequence[str], types: Mapping[str, str]
) -> pa.Table:
    """Read the stream that `reopen()` gives anew each time it is called. Raises `DataError`, `pyarrow.ArrowInvalid`."""
    import pyarrow as pa

    _check_encoding(reopen, options.encoding)
    block_bytes = BLOCK_BYTES
    while True:
        arguments = _arguments(options, block_bytes)
        try:
            arguments["convert_options"] = _conversion(reopen, arguments, options, columns, types)
            table = _checked(_read(reopen, arguments), options.encoding, types)
            if not columns:
                _check_last_quote(table, reopen)
            return table
        except UnicodeDecodeError as error:
            raise DataError(f"encoding: the file is not {options.encoding} text: {error.reason}") from None
        except pa.ArrowInvalid as error:
            if "straddl" in str(error) and block_bytes < _LARGEST_BLOCK_BYTES:
                block_bytes *= 8
            elif "Empty CSV" in str(error):
                raise DataError("file: the file is empty: there is not even a header line") from None
            else:
                raise


def _read(reopen: Callable[[], Any], arguments: dict[str, Any]) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv

    try:
        return csv.read_csv(reopen(), **arguments)
    except pa.ArrowInvalid as error:
        if "Expected" in str(error):
            arguments["read_options"].use_threads = False  # one thread alone knows the number of the row
            csv.read_csv(reopen(), **arguments)
        raise


def _arguments(options: CsvOptions, block_bytes: int) -> dict[str, Any]:
    from pyarrow import csv

    read = csv.ReadOptions(
        block_size=block_bytes,
        column_names=options.header if isinstance(options.header, list) else None,
        autogenerate_column_names=options.header is False,
        encoding=options.encoding,
    )
    parse = csv.ParseOptions(delimiter=options.delimiter, newlines_in_values=True)
    return {"read_options": read, "parse_options": parse}


def _conversion(
    reopen: Callable[[], Any],
    arguments: dict[str, Any],
    options: CsvOptions,
    columns: Sequence[str],
    types: Mapping[str, str],
) -> Any:
    from pyarrow import csv

    names = None
    if columns or types:  # names are checked before the whole file is read
        with csv.open_csv(reopen(), **arguments) as start:
            names = start.schema.names
        check_columns("columns", columns, names, "file")
    return csv.ConvertOptions(
        null_values=list(options.nulls),
        true_values=["true", "True", "TRUE"],  # not 1 and 0, which are integers
        false_values=["false", "False", "FALSE"],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        include_columns=list(columns) or None,
        column_types=named_types(types, names),
    )


def _check_encoding(reopen: Callable[[], Any], encoding: str) -> None:
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        raise DataError(
            f"encoding: there is no encoding {encoding!r}: write for example utf-8, latin-1 or cp1252"
        ) from None
    if name == "utf-8" and reopen().read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise DataError("encoding: the file begins as UTF-16 text does: set encoding to utf-16")


def _check_last_quote(table: pa.Table, reopen: Callable[[], Any]) -> None:
    """A quote that nobody closes swallows the rest of the file: Arrow takes all of it for one value of several lines."""
    last = table.column(table.num_columns - 1)[-1].as_py() if table.num_columns and table.num_rows else None
    if not isinstance(last, str) or "\n" not in last.replace("\r", "\n"):
        return
    tail, stream = b"", reopen()
    while piece := stream.read(BLOCK_BYTES):
        tail = (tail + piece)[-64:]
    if not tail.replace(b"\0", b"").rstrip(b"\r\n ").endswith(b'"'):
        raise DataError(
            f"file: a quote is opened in row {table.num_rows:,} and never closed: its value goes on to the end of the "
            f"file and begins with {last[:40]!r}"
        )


def _checked(table: pa.Table, encoding: str, types: Mapping[str, str]) -> pa.Table:
    """Text that is not UTF-8 comes as bytes: refuse it here, where the encoding can be named."""
    import pyarrow as pa

    for field in table.schema:
        if pa.types.is_binary(field.type) and field.name not in types:
            raise DataError(
                f"encoding: the column {field.name!r} is not {encoding} text: "
                "name the file's encoding, for example latin-1 or cp1252"
            )
    return table
