"""Finding returned columns again in what was handed over: by where their bytes lie, and nothing else.

That proves that nothing was changed only where nobody can write to the bytes, and they stay alive meanwhile.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from module_sdk.dataframes.handed import Origin, Returned

if TYPE_CHECKING:
    import pyarrow as pa

Rows = tuple[int, int]
"""The first row, and how many."""


class _Column(NamedTuple):
    kind: Hashable
    held: pa.ChunkedArray
    origin: Origin


class Held:
    """The columns of frames that were handed over, each as the Arrow column whose bytes the frame holds.

    `kind` tells apart what has the same bytes and means something else: a library's own type.
    """

    def __init__(self) -> None:
        self._columns: list[_Column] = []
        self._names: dict[str, list[_Column]] = {}
        self._places: list[tuple[int, int]] | None = None

    def add(self, origin: Origin, kind: Hashable, held: pa.ChunkedArray) -> None:
        """`held` is what the frame holds of a column of the table that was handed over."""
        column = _Column(kind, held, origin)
        self._columns.append(column)
        self._names.setdefault(origin.name, []).append(column)

    def find(self, name: str, kind: Hashable, column: pa.ChunkedArray) -> Returned | None:
        """The column of the input whose rows these are, one of the same name if there are several."""
        for one in self._candidates(name, column):
            if one.kind == kind:
                rows = _rows_of(column, one.held)
                if rows is not None:
                    return _returned(name, one, rows)
        return None

    def _candidates(self, name: str, column: pa.ChunkedArray) -> Iterator[_Column]:
        yield from self._names.get(name, ())
        if self._places is None:
            chunks = ((_place(chunk), at) for at, one in enumerate(self._columns) for chunk in one.held.chunks)
            self._places = sorted([(place, at) for place, at in chunks if place is not None])
        place = next((_place(chunk) for chunk in column.chunks if len(chunk)), None)
        if place is None:
            return
        last = bisect_right(self._places, place, key=itemgetter(0)) - 1
        for found, at in reversed(self._places[: last + 1]):
            if found != self._places[last][0]:
                return
            yield self._columns[at]


def _returned(name: str, one: _Column, rows: list[Rows]) -> Returned:
    import pyarrow as pa

    column = one.origin.handed.table.column(one.origin.name)
    if rows == [(0, len(column))]:
        return Returned(name, column, one.origin)
    chunks = [chunk for start, length in rows for chunk in column.slice(start, length).chunks]
    return Returned(name, pa.chunked_array(chunks, column.type), one.origin, whole=False)


def _rows_of(column: pa.ChunkedArray, held: pa.ChunkedArray) -> list[Rows] | None:
    """Which rows of `held` the rows of `column` are; `None` if one of them lies elsewhere, or there are none."""
    import pyarrow as pa

    if column is held and len(held):
        return [(0, len(held))]
    if column.type != held.type:
        return None
    if pa.types.is_null(held.type):
        return [(0, len(held))] if len(held) == len(column) else None
    found: list[Rows] = []
    for chunk in column.chunks:
        if not len(chunk):
            continue
        start = _start_in(held, chunk, sum(found[-1]) if found else 0)
        if start is None:
            return None
        if found and sum(found[-1]) == start:
            start, length = found.pop()
            found.append((start, length + len(chunk)))
        else:
            found.append((start, len(chunk)))
    return found or None


def _start_in(held: pa.ChunkedArray, chunk: pa.Array, next_row: int) -> int | None:
    """The row at which `chunk` begins; `next_row` if that is one of several."""
    starts: list[int] = []
    passed = 0
    for one in held.chunks:
        start = _start(one, chunk)
        if start is not None:
            starts.append(passed + start)
        passed += len(one)
    return next_row if next_row in starts else next(iter(starts), None)


def _start(held: pa.Array, found: pa.Array) -> int | None:
    """The row of `held` at which `found` begins, if its bytes are there.

    Which values are null is compared by value, since libraries copy a bitmap that does not begin with a whole byte.
    """
    import pyarrow as pa

    if isinstance(held, pa.ExtensionArray):
        return _start(held.storage, found.storage)
    kind = held.type
    if pa.types.is_dictionary(kind):
        return _start(held.indices, found.indices) if held.dictionary.equals(found.dictionary) else None
    if pa.types.is_struct(kind):
        parts = zip(_fields(held), _fields(found), strict=True)
        starts = {_start(one, two) for one, two in parts}
        start = starts.pop() if len(starts) == 1 else None
    elif pa.types.is_fixed_size_list(kind):
        inner = _start(_items(held), _items(found))
        start = None if inner is None or inner % kind.list_size else inner // kind.list_size
    else:
        start = _start_by_place(held, found)
    return start if start is not None and _same_nulls(held, found, start) else None


def _start_by_place(held: pa.Array, found: pa.Array) -> int | None:
    first, second = _place(held), _place(found)
    if first is None or second is None:
        return None
    start, rest = divmod(second - first, _bits(held.type))
    if rest or not 0 <= start <= len(held) - len(found) or not _same_further(held, found):
        return None
    if not held.type.num_fields:
        return start
    return start if len(held.values) == len(found.values) and _start(held.values, found.values) == 0 else None


def _place(array: pa.Array) -> int | None:
    """The bit at which an array's first value lies, or its first offset; of a struct or fixed list its first child's."""
    import pyarrow as pa

    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return _place(array.storage)
    if pa.types.is_dictionary(kind):
        return _place(array.indices)
    if pa.types.is_struct(kind):
        return next(map(_place, _fields(array)), None)
    if pa.types.is_fixed_size_list(kind):
        return _place(_items(array))
    buffers = array.buffers()
    bits = _bits(kind)
    return None if not bits or buffers[1] is None else int(buffers[1].address) * 8 + array.offset * bits


def _bits(kind: pa.DataType) -> int:
    """Of one value, or of one offset; 0 for what does not lie row by row."""
    try:
        return int(kind.bit_width)
    except ValueError:
        return _bits_of_offset(kind)


def _bits_of_offset(kind: pa.DataType) -> int:
    from pyarrow import types

    if types.is_string_view(kind) or types.is_binary_view(kind):
        return 128
    if types.is_large_list(kind) or types.is_large_string(kind) or types.is_large_binary(kind):
        return 64
    by_32 = types.is_list(kind) or types.is_map(kind) or types.is_string(kind) or types.is_binary(kind)
    return 32 if by_32 else 0


def _fields(array: pa.Array) -> list[pa.Array]:
    return [array.field(index) for index in range(array.type.num_fields)]


def _items(array: pa.Array) -> pa.Array:
    size = array.type.list_size
    return array.values.slice(array.offset * size, len(array) * size)


def _same_further(one: pa.Array, two: pa.Array) -> bool:
    """Whether the bytes that values point to are the same."""
    if one.type.num_fields:
        return True  # children are compared on their own
    return list(map(_address, one.buffers()[2:])) == list(map(_address, two.buffers()[2:]))


def _address(buffer: pa.Buffer | None) -> int:
    return buffer.address if buffer is not None and buffer.size else 0


def _same_nulls(held: pa.Array, found: pa.Array, start: int) -> bool:
    part = held.slice(start, len(found))
    nulls = part.null_count
    if nulls != found.null_count:
        return False
    return nulls in {0, len(found)} or bool(part.is_valid().equals(found.is_valid()))
