"""Tables as the views read them: piece by piece, in types that can be compared and counted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

import pyarrow as pa
import pyarrow.compute as pc

from plugmesh.contracts.data import ColumnGroup, DataRef, Fragment
from plugmesh.data.fragments import rows_only
from plugmesh.data.reference import slice_ref
from plugmesh.data.schema import make_schema_ipc, schema_of
from plugmesh.data.table import read_table
from plugmesh.objects.port import ObjectStore

PIECE_ROWS = 1024 * 1024
"""Rows of a piece, whatever fragments they lie in."""


_FEW = 256
_TEXTS = (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())


def narrowed(ref: DataRef, columns: Sequence[str]) -> DataRef:
    """The reference without its other columns: each read of a few columns of 10,000 would look through all of them."""
    schema, wanted = schema_of(ref), set(columns)
    kept = pa.schema([schema.field(name) for name in columns], schema.metadata)
    fragments = tuple(
        fragment.model_copy(update={"groups": tuple(_part(group, wanted) for group in fragment.groups)})
        for fragment in ref.fragments
    )
    return ref.model_copy(update={"schema_ipc": make_schema_ipc(kept), "fragments": fragments})


def _part(group: ColumnGroup, wanted: set[str]) -> ColumnGroup:
    return group.model_copy(update={"columns": tuple(span for span in group.columns if span.name in wanted)})


def pieces(store: ObjectStore, ref: DataRef, columns: Sequence[str]) -> Iterator[pa.Table]:
    """The table in pieces, checked: broken data is an error here and no crash later."""
    for start in range(0, ref.rows, PIECE_ROWS):
        yield _read(store, slice_ref(ref, start, PIECE_ROWS), columns)


def take(store: ObjectStore, ref: DataRef, at: Sequence[int], columns: Sequence[str]) -> pa.Table:
    """The rows with these numbers, in this order; reads only the fragments that they lie in."""
    if not columns:
        return rows_only(schema_of(ref), len(at))
    ref = narrowed(ref, columns)
    ends = list(accumulate(fragment.rows for fragment in ref.fragments))
    order = sorted(range(len(at)), key=at.__getitem__)
    by_fragment: dict[int, list[int]] = {}
    for place in order:
        by_fragment.setdefault(bisect_right(ends, at[place]), []).append(at[place])
    found = [_no_rows(schema_of(ref), columns)]
    for index, rows in by_fragment.items():
        start = ends[index] - ref.fragments[index].rows
        found.append(_rows(store, _only(ref, [ref.fragments[index]]), [row - start for row in rows], columns))
    back = [0] * len(at)
    for position, place in enumerate(order):
        back[place] = position
    return _taken(pa.concat_tables(found), back)


def comparable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same values in a type that Arrow can compare: no dictionary, view, half or short decimal, no extension."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return comparable(pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type))
    if pa.types.is_dictionary(kind):
        return comparable(column.cast(kind.value_type))
    if pa.types.is_run_end_encoded(kind):
        return comparable(pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], kind.value_type))
    other = _plainer(kind)
    return column if other is None else column.cast(other)


def calculable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same values in a type that expressions know. Raises `pa.ArrowInvalid` if a decimal has over 38 digits."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_float16(kind) or (pa.types.is_decimal(kind) and kind.scale < 0):
        column = comparable(column)
    if pa.types.is_decimal256(kind):
        column = comparable(column)
        column = column.cast(pa.decimal128(38, column.type.scale))
    return column


def _no_rows(schema: pa.Schema, columns: Sequence[str]) -> pa.Table:
    fields = [schema.field(name) for name in columns]  # (Arrow has no empty array of a sparse union)
    return pa.table([pa.chunked_array([], field.type) for field in fields], schema=pa.schema(fields, schema.metadata))


def _taken(table: pa.Table, rows: Sequence[int]) -> pa.Table:
    numbers = pa.array(rows, pa.int64())
    return pa.table([_values_at(column, numbers) for column in table.columns], schema=table.schema)


def _values_at(column: pa.ChunkedArray, rows: pa.Array) -> pa.ChunkedArray:
    try:
        return column.take(rows)
    except pa.ArrowNotImplementedError:  # Arrow cannot take from views, run ends and sparse unions
        pieces = [column.slice(row, 1) for row in rows.to_pylist()]
        return pa.chunked_array([chunk for piece in pieces for chunk in piece.chunks], column.type)


def _plainer(kind: pa.DataType) -> pa.DataType | None:
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_decimal32(kind) or pa.types.is_decimal64(kind):
        return pa.decimal128(kind.precision, kind.scale)
    if pa.types.is_decimal(kind) and kind.scale < 0:
        digits = kind.precision - kind.scale
        return pa.decimal128(digits, 0) if digits <= 38 else pa.decimal256(digits, 0)
    if kind == pa.string_view():
        return pa.large_string()
    if pa.types.is_date64(kind):
        return pa.date32()
    return pa.large_binary() if kind == pa.binary_view() else None


def _rows(store: ObjectStore, ref: DataRef, rows: Sequence[int], columns: Sequence[str]) -> pa.Table:
    """Checked rows. Of a few rows in flat columns only they are checked: a page must not read whole fragments."""
    table = read_table(store, ref, columns)
    if len(rows) > _FEW or not all(map(_is_flat, table.schema.types)):
        table.validate(full=True)
        return _taken(table, rows)
    few = pa.concat_tables([table.slice(row, 1) for row in rows])
    few.validate(full=True)
    return few


def _is_flat(kind: pa.DataType) -> bool:
    """Whether checking a slice of a column of this type looks at no more than the slice."""
    return bool(pa.types.is_primitive(kind) or kind in _TEXTS or pa.types.is_decimal(kind))


def _read(store: ObjectStore, ref: DataRef, columns: Sequence[str]) -> pa.Table:
    table = read_table(store, ref, columns)
    table.validate(full=True)
    return table


def _only(ref: DataRef, fragments: Sequence[Fragment]) -> DataRef:
    rows = sum(fragment.rows for fragment in fragments)
    return DataRef(schema_ipc=ref.schema_ipc, rows=rows, fragments=tuple(fragments))
