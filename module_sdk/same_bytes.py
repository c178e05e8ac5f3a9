"""Whether two Arrow columns are the same bytes at the same place.

That proves that nothing was changed only where the bytes cannot be written to and stay alive meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def start_of(column: pa.ChunkedArray) -> tuple[str, int]:
    """What two columns of the same bytes have in common, and hardly any others: the type, and where the bytes begin."""
    for chunk in column.chunks:
        buffers = [buffer for buffer in chunk.buffers()[1:] if buffer is not None and buffer.size]
        if buffers:
            return str(column.type), buffers[0].address
    return str(column.type), 0


def same_bytes(one: pa.ChunkedArray, two: pa.ChunkedArray) -> bool:
    """True if both have the same type, chunks and buffers. Which values are null is compared by value: some libraries
    copy a bitmap that does not begin with a byte, and the categories of a dictionary."""
    return bool(
        one.type == two.type
        and one.num_chunks == two.num_chunks
        and all(_same_array(a, b) for a, b in zip(one.chunks, two.chunks, strict=True))
    )


def _same_array(one: pa.Array, two: pa.Array) -> bool:
    import pyarrow as pa

    kind = one.type
    if kind != two.type or len(one) != len(two) or one.offset != two.offset or not _same_nulls(one, two):
        return False
    if pa.types.is_dictionary(kind):
        return _same_array(one.indices, two.indices) and bool(one.dictionary.equals(two.dictionary))
    pairs = list(zip(_children(one), _children(two), strict=True))
    known = bool(pairs) or not pa.types.is_nested(kind)
    return known and _same_buffers(one, two) and all(_same_array(a, b) for a, b in pairs)


def _children(array: pa.Array) -> list[pa.Array]:
    """Of the types that libraries hand out; another nested type has none here, and never counts as the same."""
    import pyarrow as pa

    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return [array.storage]
    if pa.types.is_struct(kind):
        return [array.field(index) for index in range(kind.num_fields)]
    if pa.types.is_map(kind):
        return [array.keys, array.items]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return [array.values]
    return []


def _same_buffers(one: pa.Array, two: pa.Array) -> bool:
    """Without the bitmap of nulls and without children; a view type has any number of buffers."""
    own = one.type.num_buffers if one.type.num_fields else None
    return [_address(buffer) for buffer in one.buffers()[1:own]] == [
        _address(buffer) for buffer in two.buffers()[1:own]
    ]


def _address(buffer: pa.Buffer | None) -> int:
    return buffer.address if buffer is not None and buffer.size else 0


def _same_nulls(one: pa.Array, two: pa.Array) -> bool:
    nulls = one.null_count
    if nulls != two.null_count:
        return False
    if nulls in {0, len(one)}:
        return True
    first, second = one.buffers()[0], two.buffers()[0]
    if first is not None and second is not None and first.address == second.address:
        return True
    return bool(one.is_valid().equals(two.is_valid()))
