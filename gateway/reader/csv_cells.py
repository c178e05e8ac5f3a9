"""Columns as CSV takes them, and safe from programs that would run a cell of text as a formula."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc
from pydantic_core import to_json

from gateway.reader.json_values import iso_texts, json_values

_STARTS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
"""A spreadsheet may take a text that begins so (the last four are the wide forms of the first four) for a formula:
https://owasp.org/www-community/attacks/CSV_Injection."""
_RISKY = f"^[{re.escape(_STARTS)}]"
_NUMBER = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"
_PLAIN_NUMBER = re.compile(_NUMBER)


def guarded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """An apostrophe before each text, names of columns too, that begins like a formula. Numbers stay as they are."""
    columns = [_guarded(column) if _is_text(column.type) else column for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=[guarded_name(name) for name in batch.schema.names])


def guarded_name(name: str) -> str:
    """The same for one text."""
    return f"'{name}" if looks_like_formula(name) else name


def looks_like_formula(text: str) -> bool:
    """Whether a spreadsheet may compute this text. One that is only a number, such as `-5`, it may: it stays one."""
    return text.startswith(tuple(_STARTS)) and _PLAIN_NUMBER.fullmatch(text) is None


def plain_columns(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same columns for CSV: those that it has no form for as text."""
    columns = [_plain(column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _guarded(column: pa.Array) -> pa.Array:
    risky = pc.match_substring_regex(column, _RISKY)
    risky = pc.and_not(risky, pc.match_substring_regex(column, f"^{_NUMBER}$"))
    if not pc.any(risky, min_count=0).as_py():
        return column
    marked = pc.binary_join_element_wise(pa.scalar("'", column.type), column, pa.scalar("", column.type))
    return pc.if_else(risky, marked, column)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _plain(column: pa.Array) -> pa.Array:
    inner = _wrapped(column)
    if inner is not None:
        return _plain(inner)
    types, kind = pa.types, column.type
    if types.is_duration(kind):
        return column.cast(pa.int64())
    if types.is_float16(kind):
        return column.cast(pa.float32())
    if types.is_timestamp(kind) or types.is_date(kind) or types.is_time(kind):
        return iso_texts(column)
    number = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind)
    return column if number or _is_text(kind) else _as_text(column)


def _wrapped(column: pa.Array) -> pa.Array | None:
    """The values themselves, of a type that is only another form of them."""
    if pa.types.is_run_end_encoded(column.type):
        return pc.run_end_decode(column)
    if pa.types.is_dictionary(column.type):
        return column.dictionary_decode()
    return column.storage if isinstance(column.type, pa.BaseExtensionType) and column.type != pa.uuid() else None


def _as_text(column: pa.Array) -> pa.Array:
    values = json_values(column)
    texts = [value if value is None or isinstance(value, str) else to_json(value).decode() for value in values]
    return pa.array(texts, pa.string())
