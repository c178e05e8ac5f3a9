"""Arrow values as what every SQL database can hold: whole numbers, floats, text and bytes."""

from __future__ import annotations

import json
from base64 import b64encode
from enum import StrEnum
from math import isfinite
from typing import TYPE_CHECKING, Any

from module_sdk import DataError

if TYPE_CHECKING:
    import pyarrow as pa

MOST = 2**63 - 1


class Kind(StrEnum):
    """What a column holds in a database. Its own name for that is its dialect's."""

    INTEGER = "integer"
    BOOLEAN = "boolean"
    FLOAT = "float"
    TEXT = "text"
    BYTES = "bytes"


def kind_of(field: pa.Field) -> Kind:
    """What a column of this type becomes. Raises `DataError` for a type that no database has."""
    import pyarrow as pa

    kind, types = _plain(field.type), pa.types
    if types.is_boolean(kind):
        return Kind.BOOLEAN
    if types.is_integer(kind) or types.is_duration(kind):
        return Kind.INTEGER
    if types.is_floating(kind):
        return Kind.FLOAT
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return Kind.BYTES
    if types.is_interval(kind) or types.is_union(kind):
        raise DataError(f"the column {field.name!r} ({field.type}) does not fit a database: cast it, or leave it out")
    return Kind.BYTES if str(kind) == "binary_view" else Kind.TEXT


def columns_of(batch: pa.RecordBatch) -> dict[str, list[Any]]:
    """The columns of a batch, as Python values of their kinds. Raises `DataError`, which names the column."""
    return {field.name: _values(batch.column(index), field) for index, field in enumerate(batch.schema)}


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type of the values, without the ways to store equal ones once."""
    import pyarrow as pa

    while True:
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
            kind = kind.value_type
        else:
            return kind


def _values(column: pa.Array, field: pa.Field) -> list[Any]:
    import pyarrow as pa

    try:
        return _python(column, field)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError, OverflowError) as error:
        said = str(error).partition("\n")[0]
        raise DataError(f"the column {field.name!r} ({field.type}) cannot be written: {said}") from None


def _python(column: pa.Array, field: pa.Field) -> list[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    types = pa.types
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if types.is_run_end_encoded(column.type):
        column = pc.run_end_decode(column)
    kind = column.type
    if types.is_nested(kind):
        return [None if value is None else _json(value) for value in column.to_pylist()]
    if types.is_timestamp(kind):
        return _moments(column)
    if types.is_duration(kind):
        return list(column.cast(pa.int64()).to_pylist())
    if types.is_decimal(kind) or types.is_temporal(kind):
        return _texts(column)
    if types.is_float16(kind):
        column = column.cast(pa.float32())
    found: list[Any] = column.to_pylist()
    if types.is_uint64(kind) and any(value is not None and value > MOST for value in found):
        raise OverflowError(f"it has numbers over {MOST:,}, which a database cannot hold: cast it to decimal or text")
    return found


def _moments(column: pa.Array) -> list[str | None]:
    """ISO 8601 with a `T`; of a column with a zone the moment in UTC, with `+00:00`, so that text sorts as time does."""
    import pyarrow as pa

    zoned = column.type.tz is not None
    naive = column.cast(pa.int64()).cast(pa.timestamp(column.type.unit))
    ending = "+00:00" if zoned else ""
    return [None if text is None else text.replace(" ", "T", 1) + ending for text in _texts(naive)]


def _texts(column: pa.Array) -> list[str | None]:
    """As Arrow writes them. It has words, and no error, for days and moments that are out of its range."""
    import pyarrow as pa

    found: list[str | None] = column.cast(pa.string()).to_pylist()
    if any(text is not None and text.startswith("<") for text in found):
        raise OverflowError("it has a moment that no calendar knows: leave the row out")
    return found


def _json(value: Any) -> str:
    return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, default=_text)


def _finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def _text(value: Any) -> str:
    return b64encode(value).decode() if isinstance(value, bytes) else str(value)
