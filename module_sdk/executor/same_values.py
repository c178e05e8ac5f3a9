"""Whether two columns hold the same values to the bit. Where that can be seen for less than writing one of them costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def same_values(one: pa.ChunkedArray, two: pa.ChunkedArray) -> bool:
    """False, too, for types of which Arrow takes different bytes for equal (0.0 and -0.0 inside of lists)."""
    if one.type != two.type or len(one) != len(two) or one.null_count != two.null_count:
        return False
    whole = _as_integers(one.type)
    if whole is not None:
        one, two = (_viewed(column, whole) for column in (one, two))
    elif _may_hold_floats(one.type):
        return False
    return bool(one.equals(two))


def _as_integers(kind: pa.DataType) -> pa.DataType | None:
    import pyarrow as pa

    if not pa.types.is_floating(kind):
        return None
    return {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[kind.bit_width]


def _viewed(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    import pyarrow as pa

    return pa.chunked_array([chunk.view(kind) for chunk in column.chunks], kind)


def _may_hold_floats(kind: pa.DataType) -> bool:
    """Also where it is not known, as of types of others."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_nested(kind) or types.is_floating(kind) or hasattr(kind, "storage_type"))
