"""Figures about each column: nulls, distinct values, range, mean, and how the values are spread.

A column is read piece by piece, once for its range and once or twice more for what depends on it, so that memory does
not grow with the table. A column that has no such figures says why, and does not keep the others from having theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic_core import to_json

from gateway.reader.distinct import Distinct, count_distinct, frequent
from gateway.reader.histogram import bins_of
from gateway.reader.json_values import json_columns, json_values
from gateway.reader.pages import left_out_message, no_table, shown_columns
from gateway.reader.spread import Lengths, Spread, as_numbers, from_number, is_number, is_time
from gateway.reader.tables import comparable, narrowed, pieces
from plugmesh.contracts.data import DataRef, FileRef, ValueRef
from plugmesh.data.schema import schema_of
from plugmesh.errors import DataError
from plugmesh.objects.port import ObjectStore

TEXT_SHOWN = 200
"""Characters of a value in the figures; a longer one ends with an ellipsis."""

Read = Callable[[], Iterator[pa.ChunkedArray]]
"""Begins to read a column anew."""


def stats(store: ObjectStore, reference: DataRef | FileRef | ValueRef, request: dict[str, Any]) -> bytes:
    """The figures as JSON text: of `columns`, or else of the first `limit_columns`."""
    if not isinstance(reference, DataRef):
        return no_table(reference)
    schema = schema_of(reference)
    names, left_out = shown_columns(schema, request.get("columns"), request["limit_columns"])
    part = narrowed(reference, names)
    columns = [_column(store, narrowed(part, [name]), schema.field(name)) for name in names]
    answer: dict[str, Any] = {"kind": "table", "rows": reference.rows, "columns": columns}
    if left_out:
        answer |= {"columns_left_out": left_out, "message": left_out_message("measured", len(names), left_out)}
    return to_json(answer)


def _column(store: ObjectStore, ref: DataRef, field: pa.Field) -> dict[str, Any]:
    def read() -> Iterator[pa.ChunkedArray]:
        return (comparable(piece.column(0)) for piece in pieces(store, ref, [field.name]))

    document: dict[str, Any] = json_columns(pa.schema([field]))[0]
    document |= dict.fromkeys(("nulls", "distinct", "min", "max", "mean"))
    kind = comparable(pa.chunked_array([], field.type)).type
    try:
        for found in _figures(read, kind, field.name):
            document |= found
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, DataError) as error:
        document["message"] = f"not all figures can be computed: {error}"[:500]
    return document


def _figures(read: Read, kind: pa.DataType, name: str) -> Iterator[dict[str, Any]]:
    """Part by part, so that what was found stands when the next part is impossible."""
    if pa.types.is_nested(kind) or _is_binary(kind):
        yield _lengths(read)
        if _is_binary(kind):
            yield _number(count_distinct(read, kind, name))
    elif pa.types.is_null(kind) or pa.types.is_interval(kind):
        yield {"nulls": sum(column.null_count for column in read())}
    else:
        spread = _spread(read)
        yield _range(spread, kind)
        if is_time(kind) or is_number(kind):
            yield _number(count_distinct(lambda: map(_hashable, _numbers(read)), _hashed(kind), name))
            yield _histogram(spread, read, kind)
        else:
            yield _top(frequent(read, kind, name))


def _lengths(read: Read) -> dict[str, Any]:
    lengths = Lengths()
    for column in read():
        lengths.add(column)
    return lengths.document()


def _spread(read: Read) -> Spread:
    spread = Spread()
    for column in _numbers(read):
        spread.add(column)
    return spread


def _range(spread: Spread, kind: pa.DataType) -> dict[str, Any]:
    found: dict[str, Any] = {"nulls": spread.nulls}
    if pa.types.is_floating(kind):
        found |= {"nan": spread.nan, "infinite": spread.infinite}
    if spread.least is not None and spread.greatest is not None:
        found |= {"min": _shown(from_number(spread.least, kind)), "max": _shown(from_number(spread.greatest, kind))}
    return found if is_time(kind) else found | {"mean": json_values(pa.array([spread.mean], pa.float64()))[0]}


def _histogram(spread: Spread, read: Read, kind: pa.DataType) -> dict[str, Any]:
    if spread.least is None or spread.greatest is None:
        return {"histogram": []}
    bins = bins_of(spread.least, spread.greatest)
    for column in _numbers(read):
        values = column.drop_null()
        bins.add(values.filter(pc.is_finite(values)) if pa.types.is_floating(values.type) else values)
    edges = bins.edges()
    if is_time(kind):
        edges = [_shown(from_number(pa.scalar(edge, pa.int64()), kind)) for edge in edges]
    parts = zip(edges, edges[1:], bins.counts(), strict=False)
    return {"histogram": [{"from": low, "to": high, "count": count} for low, high, count in parts]}


def _top(found: Distinct) -> dict[str, Any]:
    assert found.values is not None
    values = [_cut(value) for value in json_values(found.values)]
    top = [{"value": value, "count": count} for value, count in zip(values, found.counts, strict=True)]
    return {**_number(found), "top": top}


def _number(found: Distinct) -> dict[str, Any]:
    return {"distinct": found.number, "distinct_exact": found.exact}


def _numbers(read: Read) -> Iterator[pa.ChunkedArray]:
    return map(as_numbers, read())


def _hashable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """DuckDB has no decimals of more than 38 digits."""
    return column.cast(pa.string()) if pa.types.is_decimal256(column.type) else column


def _hashed(kind: pa.DataType) -> pa.DataType:
    """The type of a column that went through `as_numbers` and `_hashable`."""
    return _hashable(as_numbers(pa.chunked_array([], kind))).type


def _shown(value: pa.Array) -> Any:
    return _cut(json_values(value)[0])


def _cut(value: Any) -> Any:
    return value[: TEXT_SHOWN - 1] + "…" if isinstance(value, str) and len(value) > TEXT_SHOWN else value


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))
