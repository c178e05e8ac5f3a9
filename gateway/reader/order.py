"""Which rows a view shows, and in which order: the numbers of the rows that a filter keeps, as a sort puts them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gateway.errors import RequestInvalid
from gateway.reader import wire
from gateway.reader.named import check_names
from gateway.reader.tables import calculable, comparable, narrowed, pieces
from plugmesh.contracts.data import DataRef
from plugmesh.data.schema import schema_of
from plugmesh.data.table import read_table
from plugmesh.errors import DataError, LimitExceeded
from plugmesh.expressions.evaluate import evaluate
from plugmesh.expressions.parse import Parsed, parse_scalar
from plugmesh.objects.port import ObjectStore

MAX_ROWS = 2**32
SortKey = tuple[str, bool]
"""A column, and whether it is sorted downwards."""


def order(store: ObjectStore, ref: DataRef, filter: str | None, sort: Sequence[SortKey], limit_rows: int) -> bytes:
    """`wire.MATCHED`, and at most `limit_rows` row numbers of 32 bits.

    Raises `RequestInvalid` (a column or an expression that cannot be used), `LimitExceeded`.
    """
    if ref.rows >= MAX_ROWS:
        raise LimitExceeded(f"a table of {ref.rows:,} rows cannot be sorted or filtered here: at most {MAX_ROWS - 1:,}")
    schema = schema_of(ref)
    parsed = None if filter is None else _parsed(filter, schema.names)
    _check_keys(sort, schema)
    ref = narrowed(ref, list(dict.fromkeys([*(parsed.columns if parsed else ()), *(name for name, _ in sort)])))
    rows = None if parsed is None else _kept(store, ref, parsed)
    if sort:
        rows = _sorted(store, ref, rows, sort)
    assert rows is not None
    first = rows.slice(0, limit_rows).cast(pa.uint32())
    start = first.offset * 4
    return wire.MATCHED.pack(len(rows)) + bytes(memoryview(first.buffers()[1])[start : start + len(first) * 4])


def _parsed(filter: str, names: Sequence[str]) -> Parsed:
    try:
        return parse_scalar(filter, "filter", names)
    except DataError as error:
        raise _refused(error) from None


def _kept(store: ObjectStore, ref: DataRef, parsed: Parsed) -> pa.Array:
    """The numbers of the rows for which the expression is true."""
    found = [pa.array([], pa.uint64())]
    start = 0
    for piece in _pieces(store, ref, parsed.columns):
        mask = _evaluated(piece, parsed)
        if not pa.types.is_boolean(mask.type):
            raise RequestInvalid(
                f"{parsed.label} gives {mask.type} values, not true or false: compare it, as in `x > 0`"
            )
        kept = pc.indices_nonzero(pc.fill_null(mask, False))
        found.append(pc.add(kept, pa.scalar(start, pa.uint64())))
        start += piece.num_rows
    return pa.concat_arrays(found)


def _evaluated(piece: pa.Table, parsed: Parsed) -> pa.ChunkedArray:
    try:
        columns = {name: calculable(piece.column(name)) for name in piece.column_names}
        return evaluate(pa.table(columns), {"filter": parsed})["filter"]
    except DataError as error:
        raise _refused(error) from None
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise RequestInvalid(f"{parsed.label} names a column that expressions cannot compute with: {error}") from None


def _pieces(store: ObjectStore, ref: DataRef, columns: Sequence[str]) -> Iterator[pa.Table]:
    if not columns:  # a condition on nothing, such as `1 = 1`: only the number of rows counts
        return iter([pa.table({"": pa.nulls(ref.rows)})])
    return pieces(store, ref, columns)


def _sorted(store: ObjectStore, ref: DataRef, rows: pa.Array | None, sort: Sequence[SortKey]) -> pa.Array:
    """Nulls come last, NaN just before them; rows that are equal keep their order."""
    table = read_table(store, ref, [name for name, _ in sort])
    table.validate(full=True)
    keys = {name: comparable(table.column(name)) for name, _ in sort}
    held = pa.table(keys)
    if rows is not None:
        held = held.take(rows)
    if len(keys) > 1:
        held = held.combine_chunks()  # with several keys, each comparison would look for its chunk
    names = [(name, "descending" if down else "ascending") for name, down in sort]
    found = pc.sort_indices(held, sort_keys=names)
    return found if rows is None else rows.take(found)


def _check_keys(sort: Sequence[SortKey], schema: pa.Schema) -> None:
    check_names("sort", [name for name, _ in sort], schema.names)
    for name, _ in sort:
        kind = comparable(pa.chunked_array([], schema.field(name).type)).type
        if pa.types.is_nested(kind) or pa.types.is_interval(kind):
            raise RequestInvalid(f"sort: rows cannot be sorted by {name!r}: values of type {kind} have no order")


def _refused(error: DataError) -> Exception:
    """An expression that needs too much is a limit; anything else is wrong with the request."""
    return RequestInvalid(str(error)) if error.code == DataError.code else error


def as_keys(given: Sequence[Sequence[Any]]) -> list[SortKey]:
    """Sort keys as they came in a request."""
    return [(str(name), bool(down)) for name, down in given]
