"""Types that a frame's library does not have, given back to the columns that a module did change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from module_sdk.handed import Handed, Returned

if TYPE_CHECKING:
    import pyarrow as pa


class TypesBack:
    """polars has no `timestamp[s]`: the column that it handed back as `timestamp[ms]` becomes one of seconds again.

    Only where the library alone has changed the type: `to_native` and `columns_of` show what it makes of the type of
    the column of that name in `schemas`. Values that the old type cannot hold keep the new one.
    """

    def __init__(
        self,
        to_native: Callable[[Any], Any],
        columns_of: Callable[[Any, Sequence[Handed]], Iterable[Returned]],
        schemas: Sequence[pa.Schema],
    ) -> None:
        self._to_native, self._columns_of, self._schemas = to_native, columns_of, schemas

    def field_and_column(self, returned: Returned) -> tuple[pa.Field, pa.ChunkedArray]:
        """The column as it goes out."""
        import pyarrow as pa

        name, column, origin, _ = returned
        if origin is not None:
            return origin.handed.table.schema.field(origin.name).with_name(name), column
        before = next((schema.field(name) for schema in self._schemas if name in schema.names), None)
        if before is not None and before.type != column.type:
            column = self._cast(column, before)
        return pa.field(name, column.type), column

    def _cast(self, column: pa.ChunkedArray, before: pa.Field) -> pa.ChunkedArray:
        import pyarrow as pa

        try:
            (image,) = self._columns_of(self._to_native(pa.schema([before]).empty_table()), ())
            return _cast(column, before.type) if _alike(image.column.type, column.type, before.type) else column
        except pa.ArrowException:  # values that the old type cannot hold: it was changed after all
            return column


def _alike(image: pa.DataType, found: pa.DataType, before: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(before) and before.ordered and not getattr(found, "ordered", False):
        return False  # the order of the categories is gone
    if pa.types.is_dictionary(image) and pa.types.is_dictionary(found):
        # the width of the codes says nothing: it follows from the number of categories
        return bool((image.value_type, image.ordered) == (found.value_type, found.ordered))
    return bool(image == found)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Raises `pa.ArrowException` where it cannot be done without a loss."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_run_end_encoded(kind):
        values = column.cast(kind.value_type)
        return pa.chunked_array([pc.run_end_encode(chunk, kind.run_end_type) for chunk in values.chunks], kind)
    if pa.types.is_dictionary(kind) and not pa.types.is_dictionary(column.type):
        return column.cast(kind.value_type).dictionary_encode().cast(kind)
    if pa.types.is_duration(kind) and column.type == pa.month_day_nano_interval():
        return pa.chunked_array([_as_nanoseconds(chunk) for chunk in column.chunks], pa.duration("ns")).cast(kind)
    made = column.cast(kind)
    if pa.types.is_float16(kind) and not made.cast(column.type).equals(column):
        raise pa.ArrowInvalid("it has values that a float16 cannot hold")
    return made


def _as_nanoseconds(intervals: pa.Array) -> pa.Array:
    """Intervals without months, of 32 bits of months, 32 of days and 64 of nanoseconds each, as durations."""
    import pyarrow as pa
    import pyarrow.compute as pc

    words = pa.Array.from_buffers(pa.int64(), 2 * (intervals.offset + len(intervals)), [None, intervals.buffers()[1]])
    pairs = pa.FixedSizeListArray.from_arrays(words, 2).slice(intervals.offset)
    valid = intervals.is_valid()  # there may be anything below a null
    months_and_days, nanoseconds = (pc.if_else(valid, pc.list_element(pairs, part), 0) for part in range(2))
    if pc.any(pc.not_equal(pc.bit_wise_and(months_and_days, 0xFFFFFFFF), 0)).as_py():
        raise pa.ArrowInvalid("a month is no duration")
    days = pc.shift_right(months_and_days, 32)
    total = pc.add_checked(pc.multiply_checked(days, 86_400_000_000_000), nanoseconds)
    return pc.if_else(valid, total, None).cast(pa.duration("ns"))
