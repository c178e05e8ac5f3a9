"""Recognising columns that a module handed through: same type, same bytes at the same place.

Identity proves something only because inputs are read-only and kept alive until the outputs are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

Place = tuple[object, ...]


def untouched(table: pa.Table, given: pa.Table, borrowed: Sequence[str]) -> Mapping[str, str]:
    """Columns of `table` that are columns of `given` (only `borrowed` ones count): by name, their names there."""
    if table.num_rows != given.num_rows or table.num_rows == 0:
        return {}
    places = {name: place_of(given.column(name)) for name in borrowed}
    names = {place: name for name, place in places.items() if place is not None}
    found: dict[str, str] = {}
    for name in table.column_names:
        place = place_of(table.column(name))
        if place is not None and place in names:
            found[name] = name if places.get(name) == place else names[place]
    return found


def place_of(column: pa.ChunkedArray) -> Place | None:
    """Where a column's bytes are; `None` where that proves nothing (no bytes, or types that hide a part of them)."""
    places: list[object] = [column.type]
    for chunk in column.chunks:
        place = _place(chunk)
        if place is None:
            return None
        places.append(place)
    return tuple(places) if len(places) > 1 else None


def _place(array: pa.Array) -> Place | None:
    import pyarrow as pa

    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return _place(array.storage)
    buffers = [buffer.address if buffer is not None else 0 for buffer in array.buffers()]
    own: Place = (array.offset, len(array), *buffers)
    children: list[pa.Array] = []
    if pa.types.is_dictionary(kind):
        children = [array.dictionary]
    elif pa.types.is_struct(kind):
        children = [array.field(index) for index in range(kind.num_fields)]
    elif pa.types.is_map(kind):
        children = [array.keys, array.items]
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        children = [array.values]
    elif pa.types.is_nested(kind) or not any(buffers):
        return None
    inner = [_place(child) for child in children]
    return None if None in inner else (*own, *inner)
