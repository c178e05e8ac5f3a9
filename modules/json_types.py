"""Types of JSON columns: what a column is when its pieces, each looked at by itself, are of several types.

As Arrow does it within one piece: nothing is everything, whole numbers widen to floats, moments to text; objects have the keys
of all. Anything else does not mix.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


class Conflict(Exception):
    """A column has values that do not mix."""


def joined_schema(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """The columns of all, in the order in which they appear first. Raises `Conflict`."""
    import pyarrow as pa

    fields: dict[str, pa.DataType] = {}
    for schema in schemas:
        for one in schema:
            known = fields.get(one.name)
            fields[one.name] = one.type if known is None else _joined(known, one.type, one.name)
    return pa.schema(list(fields.items()))


def _joined(one: pa.DataType, other: pa.DataType, path: str) -> pa.DataType:
    import pyarrow as pa
    from pyarrow import types

    if one.equals(other) or types.is_null(other):
        return one
    if types.is_null(one):
        return other
    if types.is_struct(one) and types.is_struct(other):
        both = joined_schema([pa.schema(list(one)), pa.schema(list(other))])
        return pa.struct(list(both))
    if types.is_list(one) and types.is_list(other):
        return pa.list_(_joined(one.value_type, other.value_type, path))
    pair = {one, other}
    if pair == {pa.int64(), pa.float64()}:
        return pa.float64()
    if pa.string() in pair and any(types.is_timestamp(kind) for kind in pair):
        return pa.string()
    raise Conflict(f"JSON parse error: Column(/{path}) changed from {one} to {other}")
