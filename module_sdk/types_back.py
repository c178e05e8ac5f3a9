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
    the column of that name in `schemas`.
    """

    def __init__(
        self,
        to_native: Callable[[Any], Any],
        columns_of: Callable[[Any, Sequence[Handed]], Iterable[Returned]],
        schemas: Sequence[pa.Schema],
    ) -> None:
        self._to_native, self._columns_of = to_native, columns_of
        self._schemas = schemas

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
            return column.cast(before.type) if _alike(image.column.type, column.type) else column
        except pa.ArrowException:  # values that the old type cannot hold: it was changed after all
            return column


def _alike(image: pa.DataType, found: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(image) and pa.types.is_dictionary(found):
        # the width of the codes says nothing: it follows from the number of categories
        return bool((image.value_type, image.ordered) == (found.value_type, found.ordered))
    return bool(image == found)
