"""`io.read`: a file becomes a table."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import Field

from module_sdk import Columns, Context, DataError, File, module
from modules.bad_rows import to_dead_letters, told_rejects
from modules.csv_reader import CsvOptions
from modules.formats import FormatChoice, kind_of
from modules.tables import NO_COLUMNS, Table

DECODER = "modules.file_decoder:decode"
"""It is imported by the process that decodes, and never here."""
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
    options = CsvOptions(delimiter or ("\t" if kind.ending == "tsv" else ","), header, tuple(nulls), encoding)
    arguments = {
        "kind": asdict(kind),
        "csv": asdict(options),
        "columns": list(columns),
        "types": types,
        "reject": bad_rows == "reject",
        "wanted": ctx.wanted(),
        "filters": [one.model_dump(mode="json") for one in ctx.filters()],
    }
    return file.decode(DECODER, arguments, told_rejects(to_dead_letters(ctx)))
