"""Leaving out rows that nobody needs: conditions on single columns, as far as they mean here what they mean in SQL.

A condition that does not fit the type of its column exactly is ignored: the filter that it comes from still stands behind.
For SQL, a float that is no number is equal to itself and larger than all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from module_sdk import Predicate

if TYPE_CHECKING:
    import pyarrow as pa

_COMPARED = {"=": "equal", "!=": "not_equal", "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal"}
_FOR_NAN = frozenset({"!=", ">", ">="})
"""Comparisons that hold for a float that is no number, whatever number it is compared with."""
_EXACT_IN_FLOATS = 2**53


def filtered(batch: pa.RecordBatch, filters: Sequence[Predicate]) -> pa.RecordBatch:
    """The rows for which no condition is false or null."""
    for one in filters:
        column = _column(batch.schema.names, one.column)
        mask = None if column is None else _mask(batch.column(column), one)
        if mask is not None:
            batch = batch.filter(mask)
    return batch


def usable(filters: Sequence[Predicate], schema: pa.Schema) -> list[tuple[str, str, Any]]:
    """Conditions that can be applied to columns of these types, as `(column, op, value)`; not those that hold for floats
    that are no number."""
    found: list[tuple[str, str, Any]] = []
    for one in filters:
        index = _column(schema.names, one.column)
        if index is None or one.op not in _COMPARED:
            continue
        kind = schema.field(index).type
        value = _scalar(kind, one.value)
        if value is not None and not (_is_float(kind) and one.op in _FOR_NAN):
            found.append((schema.names[index], "==" if one.op == "=" else one.op, value.as_py()))
    return found


def _column(names: Sequence[str], name: str) -> int | None:
    """The only column that SQL would mean."""
    found = [index for index, one in enumerate(names) if one.casefold() == name.casefold()]
    return found[0] if len(found) == 1 else None


def _mask(column: pa.Array, one: Predicate) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if one.op == "is_null":
        return pc.is_null(column)
    if one.op == "not_null":
        return pc.is_valid(column)
    if one.op == "in":
        values = [_scalar(column.type, value) for value in (one.value if isinstance(one.value, list) else [])]
        if not values or None in values:
            return None
        return pc.is_in(
            column, value_set=pa.array([value.as_py() for value in values if value is not None], column.type)
        )
    value = _scalar(column.type, one.value)
    if value is None:
        return None
    mask = pc.call_function(_COMPARED[one.op], [column, value])
    return pc.or_kleene(mask, pc.is_nan(column)) if _is_float(column.type) and one.op in _FOR_NAN else mask


def _scalar(kind: pa.DataType, value: Any) -> pa.Scalar | None:
    """A value as one of this type; `None` if it is not one, exactly. Dates and times without a zone are texts."""
    import pyarrow as pa
    from pyarrow import types

    if _fits(kind, value):
        return pa.scalar(value, kind)
    if not isinstance(value, str) or not (types.is_date32(kind) or (types.is_timestamp(kind) and kind.tz is None)):
        return None
    if types.is_date32(kind) and len(value) != len("2026-01-31"):
        return None
    try:
        return pa.scalar(value).cast(kind)
    except pa.ArrowInvalid:
        return None


def _fits(kind: pa.DataType, value: Any) -> bool:
    """Whether a value is one of this type, exactly."""
    from pyarrow import types

    if isinstance(value, bool):
        return bool(types.is_boolean(kind))
    if isinstance(value, str):
        return bool(types.is_string(kind) or types.is_large_string(kind))
    if isinstance(value, int):
        if types.is_float64(kind):
            return abs(value) <= _EXACT_IN_FLOATS
        return bool(types.is_integer(kind)) and _in_range(kind, value)
    return isinstance(value, float) and bool(types.is_float64(kind)) and value == value  # noqa: PLR0124  no NaN


def _in_range(kind: pa.DataType, value: int) -> bool:
    from pyarrow import types

    bits = int(kind.bit_width)
    least, most = (0, 2**bits) if types.is_unsigned_integer(kind) else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    return bool(least <= value < most)


def _is_float(kind: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_floating(kind))
