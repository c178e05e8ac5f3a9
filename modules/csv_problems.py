"""Why a CSV file cannot be read, in words, with the line where a closer look can find it."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Any

from module_sdk import DataError
from modules.csv_lines import BadLine, NulFound, first_bad_line, has_lines

Reopen = Callable[[], Any]
_OTHER_ENCODING = (
    "name the file's encoding, for example latin-1 or cp1252, or leave such lines out with bad_rows: reject"
)


def check_encoding(reopen: Reopen, encoding: str) -> None:
    """Raises `DataError` for an encoding that there is not, or that the first bytes contradict."""
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        raise DataError(
            f"encoding: there is no encoding {encoding!r}: write for example utf-8, latin-1 or cp1252"
        ) from None
    if name == "utf-8" and reopen().read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise DataError("encoding: the file begins as UTF-16 text does: set encoding to utf-16")


def no_text(error: Exception, reopen: Reopen, encoding: str) -> DataError:
    """The file, or a column of it, is no text."""
    found = _first_bad_line(reopen, encoding)
    if isinstance(error, UnicodeDecodeError):
        said = f"encoding: the file is not {encoding} text"
    elif isinstance(error, NulFound):
        said = "file: there is a NUL in the text, as in a file that is damaged or none of text"
    else:
        said = f"encoding: {error} is not {encoding} text"
    where = "" if found is None else f" (line {found.number}: {found.reason}; it begins with {found.sample})"
    how = "bad_rows: reject leaves such lines out" if isinstance(error, NulFound) else _OTHER_ENCODING
    return DataError(f"{said}{where}: {how}")


def too_long(reopen: Reopen, encoding: str, longest_bytes: int, row: int, begin: bytes) -> DataError:
    """The row of this number does not end; `begin` is how it begins."""
    most = f"{longest_bytes >> 20} MiB"
    found = _first_bad_line(reopen, encoding)
    if found is None and b'"' in begin:
        return open_quote(row, begin.partition(b'"')[2].decode(errors="replace"))
    if found is None:
        return DataError(
            f"file: a row is longer than {most}, the most that one may have: is a quote opened and never closed?"
        )
    return DataError(
        f"file: line {found.number} cannot be read: {found.reason}, the most that a row may have: it begins with "
        f"{found.sample}; are its line ends missing?"
    )


def open_quote(rows: int, value: str) -> DataError:
    """A quote that nobody closes has swallowed the rest of the file: Arrow takes all of it for one value of several lines."""
    return DataError(
        f"file: a quote is opened in row {rows:,} and never closed: its value goes on to the end of the "
        f"file and begins with {value[:40]!r}"
    )


def _first_bad_line(reopen: Reopen, encoding: str) -> BadLine | None:
    return first_bad_line(reopen(), encoding) if has_lines(encoding) else None
