"""`io.read`: a file becomes a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import Field

from module_sdk import Columns, Context, DataError, File, Plan, module
from module_sdk.planning import unknown_type
from modules.bad_rows import to_dead_letters, told_rejects
from modules.csv_reader import CsvOptions
from modules.formats import FormatChoice, kind_of
from modules.tables import NO_COLUMNS, Schemas, Table

DECODER = "modules.file_decoder:decode"
LOOKER = "modules.file_schema:decode"
"""They are imported by the process that decodes, and never here."""
_BAD_ROWS = (
    "csv, jsonl: rows that cannot be read (another number of values, NULs, bytes that are no text, endless lines, no JSON "
    "object) are an error, or they are left out and go to the step's dead letters, with line, text and reason."
)
_TYPES = "Types of columns by name, where the one found is not wanted: `{zip: string}`. For csv and jsonl."


def plan(params: Any, schemas: Schemas) -> Plan:
    """The columns are those that the file begins with; types only as far as the rest of it cannot change them."""
    import pyarrow as pa

    unsure: list[Any] = []
    reader = params["file"].decode(LOOKER, _arguments(params["file"], params), unsure.append)
    schema = reader.schema
    reader.close()
    if not unsure or unsure[0] is None:
        return Plan(reads={})
    fields = [one.with_type(unknown_type()) if one.name in unsure[0] else one for one in schema]
    return Plan(reads={}, outputs=pa.schema(fields), passes={"out": {}})


@module("io.read", version="1.2.0", title="Read file", plan=plan)
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
    arguments = _arguments(
        file,
        {
            "format": format,
            "columns": columns,
            "types": types,
            "delimiter": delimiter,
            "header": header,
            "nulls": nulls,
            "encoding": encoding,
            "bad_rows": bad_rows,
        },
    )
    used = {"wanted": ctx.wanted(), "filters": [one.model_dump(mode="json") for one in ctx.filters()]}
    return file.decode(DECODER, {**arguments, **used}, told_rejects(to_dead_letters(ctx)))


def _arguments(file: File, params: Mapping[str, Any]) -> dict[str, Any]:
    """What the decoders are told. Raises `DataError` for params that do not fit the file."""
    kind = kind_of(file.name, params["format"])
    if params["types"] and kind.format in ("parquet", "arrow"):
        raise DataError(
            f"types: a {kind.format} file says itself which types its columns have; convert with table.derive"
        )
    if params["bad_rows"] == "reject" and kind.format not in ("csv", "jsonl"):
        raise DataError(
            f"bad_rows: rows can only be rejected of csv and jsonl files, and {file.name!r} is {kind.format}"
        )
    delimiter = params["delimiter"] or ("\t" if kind.ending == "tsv" else ",")
    options = CsvOptions(delimiter, params["header"], tuple(params["nulls"]), params["encoding"])
    return {
        "kind": asdict(kind),
        "csv": asdict(options),
        "columns": list(params["columns"]),
        "types": params["types"],
        "reject": params["bad_rows"] == "reject",
    }
