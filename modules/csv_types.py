"""Types of CSV columns: what a column is when its pieces, each looked at by itself, are of several types.

Arrow tries types in an order, and takes the first that fits every value. A piece by itself can only look narrower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def joined(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """The narrowest type that may fit both. Whether it fits, only their text can tell; if not, the column is text."""
    import pyarrow as pa
    from pyarrow import types

    if one.equals(other) or types.is_null(other):
        return one
    if types.is_null(one):
        return other
    pair = {one, other}
    if pair == {pa.int64(), pa.float64()}:
        return pa.float64()
    moment = next((kind for kind in pair if types.is_timestamp(kind)), None)
    if moment is not None and moment.tz is None and pair == {moment, pa.date32()}:
        return moment
    if moment is not None and pair == {pa.timestamp("s", moment.tz), pa.timestamp("ns", moment.tz)}:
        return pa.timestamp("ns", moment.tz)
    return pa.string()


def needs_text(kind: pa.DataType, whole: pa.DataType) -> bool:
    """Whether a piece that was read as `kind` has to be read again for a column that is `whole`."""
    from pyarrow import types

    if kind.equals(whole) or types.is_null(kind):
        return False
    return not (types.is_date(kind) and types.is_timestamp(whole) and whole.unit == "s")


def recast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """A piece of a column, of which the text is not needed, as the type that the whole has."""
    import pyarrow as pa
    from pyarrow import types

    if column.type.equals(kind):
        return column
    return pa.nulls(len(column), kind) if types.is_null(column.type) else column.cast(kind)
