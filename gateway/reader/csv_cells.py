"""Columns as CSV takes them, and safe from programs that would run a cell of text as a formula."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from pydantic_core import to_json

from gateway.reader.json_values import iso_texts, json_values

STARTS_OF_FORMULAS = "=+-@\t\r"
"""A spreadsheet may take a text that begins so for a formula (https://owasp.org/www-community/attacks/CSV_Injection)."""
_FORMULA = "^[=+\\-@\t\r]"


def guarded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """An apostrophe before each text, names of columns too, that begins like a formula. Numbers stay as they are."""
    columns = [_guarded(column) if _is_text(column.type) else column for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=[guarded_name(name) for name in batch.schema.names])


def guarded_name(name: str) -> str:
    """The same for one text."""
    return f"'{name}" if name.startswith(tuple(STARTS_OF_FORMULAS)) else name


def plain_columns(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same columns for CSV: those that it has no form for as text."""
    columns = [_plain(column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _guarded(column: pa.Array) -> pa.Array:
    risky = pc.match_substring_regex(column, _FORMULA)
    if not pc.any(risky, min_count=0).as_py():
        return column
    marked = pc.binary_join_element_wise(pa.scalar("'", column.type), column, pa.scalar("", column.type))
    return pc.if_else(risky, marked, column)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _plain(column: pa.Array) -> pa.Array:
    types, kind = pa.types, column.type
    if types.is_dictionary(kind):
        return _plain(column.dictionary_decode())
    if types.is_duration(kind):
        return column.cast(pa.int64())
    if types.is_float16(kind):
        return column.cast(pa.float32())
    if types.is_timestamp(kind):
        return iso_texts(column)
    number = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind)
    return column if number or _is_text(kind) or types.is_date(kind) or types.is_time(kind) else _as_text(column)


def _as_text(column: pa.Array) -> pa.Array:
    values = json_values(column)
    texts = [value if value is None or isinstance(value, str) else to_json(value).decode() for value in values]
    return pa.array(texts, pa.string())
