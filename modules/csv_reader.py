"""CSV to Arrow. Types are those that fit the whole file: Arrow widens a column when a later block does not fit."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from module_sdk import DataError
from modules.arrow_types import named_types
from modules.bad_rows import BadRows, Reject
from modules.csv_lines import LONGEST_LINE_BYTES, BadLine, GoodLines, NulFound, NulWatch, first_bad_line, has_lines
from modules.names import check_columns

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 8 * 1024 * 1024
"""Bytes parsed at once; a row must fit, so a file with a longer one is read again with larger blocks."""

_SAMPLE_CHARS = 2000


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """How a CSV file is written. `header` may be the names themselves, for a file without a header line."""

    delimiter: str = ","
    header: bool | list[str] = True
    nulls: tuple[str, ...] = ("", "NA")
    encoding: str = "utf-8"


def read_csv(
    reopen: Callable[[], Any],
    options: CsvOptions,
    columns: Sequence[str],
    types: Mapping[str, str],
    reject: Reject | None = None,
) -> pa.Table:
    """Read the stream that `reopen()` gives anew each time it is called. With `reject`, rows that cannot be read are left
    out and told to it. Raises `DataError`, `pyarrow.ArrowInvalid`."""
    _check_encoding(reopen, options.encoding)
    if reject is not None:
        return _Rejecting(reopen, options, reject).read(columns, types)

    def watched() -> Any:
        return NulWatch(reopen()) if has_lines(options.encoding) else reopen()

    try:
        return _read_whole(watched, options, columns, types)
    except (NulFound, UnicodeDecodeError, _NoText) as error:
        found = first_bad_line(reopen(), options.encoding) if has_lines(options.encoding) else None
        raise DataError(_text_problem(error, found, options.encoding)) from None


class _NoText(Exception):
    """A column is not text of the file's encoding."""


def _read_whole(
    reopen: Callable[[], Any],
    options: CsvOptions,
    columns: Sequence[str],
    types: Mapping[str, str],
    rejecting: _Rejecting | None = None,
) -> pa.Table:
    """With larger blocks if a row needs them. Raises `_NoText`, `NulFound`, `UnicodeDecodeError` besides."""
    import pyarrow as pa

    block_bytes = BLOCK_BYTES
    while True:
        arguments = _arguments(options, block_bytes, None if rejecting is None else rejecting.ragged)
        try:
            arguments["convert_options"] = _conversion(reopen, arguments, options, columns, types)
            table = _checked(_read(reopen, arguments), options.encoding, types)
            if not columns:
                _check_last_quote(table, reopen if rejecting is None else rejecting.reopen)
            return table
        except pa.ArrowInvalid as error:
            said = str(error)
            if "straddl" in said and block_bytes < LONGEST_LINE_BYTES:
                block_bytes = min(block_bytes * 8, LONGEST_LINE_BYTES)
            elif "straddl" in said:
                raise DataError(_too_long(reopen, options)) from None
            elif "Empty CSV" in said:
                raise DataError("file: the file is empty: there is not even a header line") from None
            elif "invalid UTF8" in said:
                raise _NoText(f"a column is not {options.encoding} text") from None
            else:
                raise


def _too_long(reopen: Callable[[], Any], options: CsvOptions) -> str:
    most = f"{LONGEST_LINE_BYTES >> 20} MiB"
    found = first_bad_line(reopen(), options.encoding) if has_lines(options.encoding) else None
    if found is None:
        return f"file: a row is longer than {most}, the most that one may have: is a quote opened and never closed?"
    return (
        f"file: line {found.number} cannot be read: {found.reason}, the most that a row may have: it begins with "
        f"{found.sample}; are its line ends missing?"
    )


def _text_problem(error: Exception, found: BadLine | None, encoding: str) -> str:
    if isinstance(error, UnicodeDecodeError):
        said = f"encoding: the file is not {encoding} text"
    elif isinstance(error, NulFound):
        said = "file: there is a NUL in the text, as in a file that is damaged or none of text"
    else:
        said = f"encoding: {error}"
    where = "" if found is None else f" (line {found.number}: {found.reason}; it begins with {found.sample})"
    how = "bad_rows: reject leaves such lines out" if isinstance(error, NulFound) else _OTHER_ENCODING
    return f"{said}{where}: {how}"


_OTHER_ENCODING = (
    "name the file's encoding, for example latin-1 or cp1252, or leave such lines out with bad_rows: reject"
)


class _Rejecting:
    """Reads a file without the rows that cannot be read."""

    def __init__(self, reopen: Callable[[], Any], options: CsvOptions, reject: Reject) -> None:
        if not has_lines(options.encoding):
            raise DataError(f"bad_rows: rows of a file in {options.encoding} cannot be rejected: convert it to utf-8")
        self.reopen, self._options, self._bad = reopen, options, BadRows(reject)
        self._lines: GoodLines | None = None

    def read(self, columns: Sequence[str], types: Mapping[str, str]) -> pa.Table:
        """Without the bad rows, which are told in the order of their lines."""
        table = _read_whole(self._good, self._options, columns, types, self)
        self._bad.tell()
        return table

    def ragged(self, row: Any) -> str:
        """Arrow found a row with another number of values."""
        assert self._lines is not None
        reason = f"it has {row.actual_columns} values instead of {row.expected_columns}"
        self._bad.add(BadLine(self._lines.line_of(row.number), reason, row.text[:_SAMPLE_CHARS]))
        return "skip"

    def _good(self) -> GoodLines:
        """From the first line, which may come several times: then all is said again."""
        self._bad.begin()
        self._lines = GoodLines(
            self.reopen(), self._options.encoding, self._bad.add, header=self._options.header is True
        )
        return self._lines


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


def _arguments(options: CsvOptions, block_bytes: int, on_ragged: Callable[[Any], str] | None = None) -> dict[str, Any]:
    from pyarrow import csv

    read = csv.ReadOptions(
        use_threads=on_ragged is None,  # one thread alone knows the number of the row
        block_size=block_bytes,
        column_names=options.header if isinstance(options.header, list) else None,
        autogenerate_column_names=options.header is False,
        encoding=options.encoding,
    )
    parse = csv.ParseOptions(delimiter=options.delimiter, newlines_in_values=True, invalid_row_handler=on_ragged)
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
    """Text of another encoding comes as bytes. Raises `_NoText`."""
    import pyarrow as pa

    for field in table.schema:
        if pa.types.is_binary(field.type) and field.name not in types:
            raise _NoText(f"the column {field.name!r} is not {encoding} text")
    return table
