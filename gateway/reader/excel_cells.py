"""Values as cells of an Excel sheet. What a cell cannot hold exactly is text: it loses nothing.

Numbers keep 15 digits in Excel, so longer integers and decimals are text; so are NaN, infinities, and times before
March 1900, which Excel's calendar does not have. Times with a zone are in UTC. A null is an empty cell.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pydantic_core import to_json

from gateway.reader.csv_cells import looks_like_formula
from gateway.reader.json_values import json_values
from gateway.reader.tables import comparable

TEXT_LIMIT = 32_767
"""UTF-16 units of a cell's text; a longer one is cut and ends with `CUT`."""
CUT = "… (cut)"
DATE, MOMENT, MARKED = 1, 2, 3
"""Styles, in `excel`."""
_DIGITS = 10**15
_EPOCH_DAY = 25_569
"""1970-01-01 as Excel counts days."""
_FIRST_DAY, _LAST_DAY = 61, 2_958_466
"""From 1900-03-01, before which Excel has a day that never was, to the end of 9999."""
_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_ESCAPED = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")

Number = Callable[[Any], str | None]
"""The text of a number in the sheet, or `None` where a number cannot say it."""


def cells(letters: str, first_row: int, column: pa.Array, *, keep: bool) -> list[str]:
    """One cell a row; a null is no cell."""
    plain = comparable(pa.chunked_array([column])).combine_chunks() if len(column) else column
    form = _form(plain.type)
    if form is None:
        return list(_texts(letters, first_row, json_values(plain), keep=keep))
    stored, number, attributes = form
    values = plain.to_pylist() if stored is None else plain.cast(stored[0]).cast(stored[1]).to_pylist()
    return list(_numbers(letters, first_row, plain, values, number, attributes))


def _form(kind: pa.DataType) -> tuple[tuple[pa.DataType, pa.DataType] | None, Number, str] | None:
    """How values become numbers: by which types of Arrow's they are read, in which text they are, the attributes."""
    types = pa.types
    if types.is_date(kind):
        return (pa.date32(), pa.int32()), _day, f' s="{DATE}"'
    if types.is_timestamp(kind):
        ticks = 86_400 * _SECOND[kind.unit]
        return (kind, pa.int64()), lambda at: _day(at / ticks), f' s="{MOMENT}"'
    if types.is_duration(kind):
        return (kind, pa.int64()), _integer, ""
    return next(((None, number, more) for fits, number, more in _FORMS if fits(kind)), None)


def text_cell(place: str, text: str, *, keep: bool) -> str:
    """A cell that holds a text, whatever it looks like."""
    style = f' s="{MARKED}"' if not keep and looks_like_formula(text) else ""
    text = _ESCAPED.sub(_escape, _cut(text))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    space = "" if text == text.strip() else ' xml:space="preserve"'
    return f'<c r="{place}"{style} t="inlineStr"><is><t{space}>{text}</t></is></c>'


def column_letters(index: int) -> str:
    """`A` for 0, `AA` for 26."""
    letters = ""
    index += 1
    while index:
        index, digit = divmod(index - 1, 26)
        letters = chr(65 + digit) + letters
    return letters


def _numbers(  # noqa: PLR0917  where, what, and how
    letters: str, first_row: int, column: pa.Array, values: list[Any], number: Number, attributes: str
) -> Iterator[str]:
    texts: list[Any] | None = None
    for row, value in enumerate(values, first_row):
        said = None if value is None else number(value)
        if said is not None:
            yield f'<c r="{letters}{row}"{attributes}><v>{said}</v></c>'
        elif value is None:
            yield ""
        else:
            texts = texts or json_values(column)
            yield text_cell(f"{letters}{row}", str(texts[row - first_row]), keep=True)


def _texts(letters: str, row: int, values: list[Any], *, keep: bool) -> Iterator[str]:
    for index, value in enumerate(values, row):
        if value is None:
            yield ""
        else:
            text = value if isinstance(value, str) else to_json(value).decode()
            yield text_cell(f"{letters}{index}", text, keep=keep)


def _integer(value: int) -> str | None:
    return str(value) if -_DIGITS < value < _DIGITS else None


def _float(value: float) -> str | None:
    return repr(value) if math.isfinite(value) else None


def _decimal(value: Decimal) -> str | None:
    return str(value) if len(value.as_tuple().digits) <= 15 else None


def _day(value: float) -> str | None:
    day = value + _EPOCH_DAY
    return repr(day) if _FIRST_DAY <= day < _LAST_DAY else None


def _cut(text: str) -> str:
    if len(text) * 2 <= TEXT_LIMIT:
        return text
    units = text.encode("utf-16-le")
    if len(units) <= 2 * TEXT_LIMIT:
        return text
    return units[: 2 * (TEXT_LIMIT - len(CUT))].decode("utf-16-le", "ignore") + CUT


def _escape(found: re.Match[str]) -> str:
    return f"_x{ord(found[0]):04X}_"


def _boolean(value: bool) -> str:
    return str(int(value))


_FORMS: tuple[tuple[Callable[[pa.DataType], bool], Number, str], ...] = (
    (pa.types.is_boolean, _boolean, ' t="b"'),
    (pa.types.is_integer, _integer, ""),
    (pa.types.is_floating, _float, ""),
    (pa.types.is_decimal, _decimal, ""),
)
