"""Types that a frame's library does not have, given back to the columns that a module did change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from module_sdk.dataframes.handed import Handed, Returned
from plugmesh.data.types import fits
from plugmesh.errors import DataMismatch

if TYPE_CHECKING:
    import pyarrow as pa


class TypesBack:
    """polars has no `timestamp[s]`: the column that it handed back as `timestamp[ms]` becomes one of seconds again.

    Only where the library alone has changed the type: `to_native` and `columns_of` show what it makes of the type of
    the column of that name in `schemas`. Values that the old type cannot hold keep the new one; with `layouts_only` no
    value decides: only another layout of the same type is changed, such as `large_string` for `string`.
    """

    def __init__(
        self,
        to_native: Callable[[Any], Any],
        columns_of: Callable[[Any, Sequence[Handed]], Iterable[Returned]],
        schemas: Sequence[pa.Schema],
        *,
        layouts_only: bool = False,
    ) -> None:
        self._to_native, self._columns_of, self._schemas = to_native, columns_of, schemas
        self._layouts_only = layouts_only

    def table(self, columns: Iterable[Returned]) -> pa.Table:
        """The columns as they go out."""
        import pyarrow as pa

        returned = list(columns)
        before = {one.name: field for one in returned if (field := self._lost(one)) is not None}
        images = self._images(list(before.values())) if before else {}
        fields: list[pa.Field] = []
        made: list[pa.ChunkedArray] = []
        for name, found, origin, _ in returned:
            column = _cast_back(found, images[name], before[name].type) if name in images else found
            field = pa.field(name, column.type) if origin is None else origin.handed.table.schema.field(origin.name)
            fields.append(field.with_name(name))
            made.append(column)
        return pa.Table.from_arrays(made, schema=pa.schema(fields))

    def _lost(self, one: Returned) -> pa.Field | None:
        """The input's column of that name, if it has another type."""
        if one.origin is not None:
            return None
        field = next((schema.field(one.name) for schema in self._schemas if one.name in schema.names), None)
        if field is None or field.type == one.column.type:
            return None
        return None if self._layouts_only and not fits(field.type, one.column.type) else field

    def _images(self, fields: list[pa.Field]) -> dict[str, pa.DataType]:
        """What the library makes of types, by the names of their columns."""
        import pyarrow as pa

        try:
            frame = self._to_native(pa.schema(fields).empty_table())
            return {one.name: one.column.type for one in self._columns_of(frame, ())}
        except (pa.ArrowException, DataMismatch):  # the column was not handed over to this library
            return {} if len(fields) == 1 else {k: v for one in fields for k, v in self._images([one]).items()}


def _cast_back(column: pa.ChunkedArray, image: pa.DataType, kind: pa.DataType) -> pa.ChunkedArray:
    import pyarrow as pa

    try:
        return _cast(column, kind) if _alike(image, column.type, kind) else column
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

    if isinstance(kind, pa.BaseExtensionType):
        chunks = [getattr(chunk, "storage", chunk).cast(kind.storage_type) for chunk in column.chunks]
        return pa.chunked_array([pa.ExtensionArray.from_storage(kind, chunk) for chunk in chunks], kind)
    if pa.types.is_run_end_encoded(kind):
        values = column.cast(kind.value_type)
        return pa.chunked_array([pc.run_end_encode(chunk, kind.run_end_type) for chunk in values.chunks], kind)
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        return pa.chunked_array([_as_views(chunk, kind) for chunk in column.chunks], kind)
    if pa.types.is_dictionary(kind) and not pa.types.is_dictionary(column.type):
        return column.cast(kind.value_type).dictionary_encode().cast(kind)
    if pa.types.is_duration(kind) and column.type == pa.month_day_nano_interval():
        return pa.chunked_array([_as_nanoseconds(chunk) for chunk in column.chunks], pa.duration("ns")).cast(kind)
    made = column.cast(kind)
    if pa.types.is_float16(kind) and not made.cast(column.type).equals(column):
        raise pa.ArrowInvalid("it has values that a float16 cannot hold")
    return made


def _as_views(lists: pa.Array, kind: pa.DataType) -> pa.Array:
    """pyarrow 26 cannot cast lists to list views."""
    import pyarrow as pa
    import pyarrow.compute as pc

    is_large = pa.types.is_large_list_view(kind)
    lists = lists.cast((pa.large_list if is_large else pa.list_)(kind.value_type))
    sizes = pc.fill_null(pc.list_value_length(lists), 0)
    views = pa.LargeListViewArray if is_large else pa.ListViewArray
    return views.from_arrays(lists.offsets[:-1], sizes, lists.values, mask=lists.is_null())


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
