"""`io.read`: a file becomes a table."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Annotated, Any, Literal

from pydantic import Field

from module_sdk import Columns, Context, DataError, File, module
from module_sdk.errors import TooManyRejected
from modules.bad_rows import to_dead_letters
from modules.csv_reader import CsvOptions, read_csv
from modules.formats import Format, FormatChoice, Kind, kind_of, unpacked
from modules.jsonl_reader import read_jsonl
from modules.names import check_columns
from modules.tables import NO_COLUMNS, Table

Reopen = Callable[[], Any]
"""Gives a new stream from the first byte; a reader may have to start again."""

_BAD_ROWS = (
    "csv, jsonl: rows that cannot be read (another number of values, NULs, bytes that are no text, endless lines, no JSON "
    "object) are an error, or they are left out and go to the step's dead letters, with line, text and reason."
)
_TYPES = "Types of columns by name, where the one found is not wanted: `{zip: string}`. For csv and jsonl."


@module("io.read", version="1.1.0", title="Read file")
def read(
    *,
    file: Annotated[File, Field(description="The file to read.")],
    format: Annotated[FormatChoice, Field(description="auto: by the ending of the file's name.")] = "auto",
    columns: Annotated[Columns, Field(description="Columns to read, in this order; none given: all.")] = NO_COLUMNS,
    types: Annotated[dict[str, str], Field(description=_TYPES)] = {},  # noqa: B006
    delimiter: Annotated[
        str | None, Field(min_length=1, max_length=1, description="csv: between values; a comma, or a tab in .tsv.")
    ] = None,
    header: Annotated[
        bool | list[str],
        Field(description="csv: whether the first line has the names (without: f0, f1, ...), or the names themselves."),
    ] = True,
    nulls: Annotated[list[str], Field(description="csv: unquoted texts that mean null.")] = ["", "NA"],  # noqa: B006
    encoding: Annotated[str, Field(description="csv: the encoding of the text.")] = "utf-8",
    bad_rows: Annotated[Literal["fail", "reject"], Field(description=_BAD_ROWS)] = "fail",
    ctx: Context,
) -> Table:
    """Read a CSV, Parquet, JSON lines or Arrow file as a table.

    The format follows from the name's ending (.csv, .tsv, .txt, .parquet, .pq, .jsonl, .ndjson, .arrow, .feather, .ipc)
    unless it is given; .gz, .bz2, .zst and .zip (with one file inside) are unpacked. Types of csv and jsonl columns
    are found by looking at the whole file: a column is an integer, a boolean, a date, a time, a timestamp or a float only
    if every value is, and text otherwise. `types` says it better where leading zeros count.
    """
    kind = kind_of(file.name, format)
    if types and kind.format in ("parquet", "arrow"):
        raise DataError(
            f"types: a {kind.format} file says itself which types its columns have; convert with table.derive"
        )
    if bad_rows == "reject" and kind.format not in ("csv", "jsonl"):
        raise DataError(
            f"bad_rows: rows can only be rejected of csv and jsonl files, and {file.name!r} is {kind.format}"
        )
    reject = to_dead_letters(ctx) if bad_rows == "reject" else None
    options = CsvOptions(delimiter or ("\t" if kind.ending == "tsv" else ","), header, tuple(nulls), encoding)
    readers: dict[Format, Callable[[Reopen], Table]] = {
        "csv": lambda reopen: read_csv(reopen, options, columns, types, reject),
        "jsonl": lambda reopen: read_jsonl(reopen, types, reject),
        "parquet": lambda reopen: _read_parquet(_seekable(reopen(), kind), columns),
        "arrow": lambda reopen: _read_arrow(_seekable(reopen(), kind)),
    }
    return _chosen(_read(file, kind, readers[kind.format]), columns)


def _read(file: File, kind: Kind, reader: Callable[[Reopen], Table]) -> Table:
    """The table; what Arrow complains about becomes a `DataError` that names the file."""
    import pyarrow as pa

    with ExitStack() as opened:
        try:
            return reader(lambda: unpacked(opened.enter_context(file.open()), kind.compression, file.name))
        except TooManyRejected:
            raise
        except DataError as error:
            raise DataError(_named(str(error), file.name)) from None
        except ConnectionError:  # of the store: it may work next time
            raise
        except (pa.ArrowException, OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            said = str(error).partition("\n")[0]
            raise DataError(f"file: {file.name!r} cannot be read as {kind.format}: {said}") from None


def _named(said: str, name: str) -> str:
    """The message with the name of the file, behind the name of the param that it is about."""
    param, colon, rest = said.partition(": ")
    return f"{param}: {name!r}: {rest}" if colon and param in ("file", "encoding") and name not in said else said


def _seekable(stream: Any, kind: Kind) -> Any:
    """Parquet and Arrow files are read from their end."""
    import pyarrow as pa

    return stream if kind.compression is None else pa.BufferReader(stream.read())


def _read_parquet(stream: Any, columns: Sequence[str]) -> Table:
    from pyarrow import parquet

    file = parquet.ParquetFile(stream)
    check_columns("columns", columns, file.schema_arrow.names, "file")
    return file.read(columns=list(columns) or None)


def _read_arrow(stream: Any) -> Table:
    """An IPC file or stream. It comes from outside: offsets that point elsewhere would crash whoever follows them."""
    import pyarrow as pa

    is_file = stream.read(6) == b"ARROW1"
    stream.seek(0)
    with pa.ipc.open_file(stream) if is_file else pa.ipc.open_stream(stream) as reader:
        table = reader.read_all()
    table.validate(full=True)
    return table


def _chosen(table: Table, columns: Sequence[str]) -> Table:
    names = table.column_names
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise DataError(f"file: two columns are called {twice!r}; for csv, give the names in `header` and skip nothing")
    check_columns("columns", columns, names, "file")
    return table.select(list(columns)) if columns and list(columns) != names else table
