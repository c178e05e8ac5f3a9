"""Arrow values as JSON values. What JSON cannot hold is text: it loses nothing, and its column's type says what it is.

Numbers, booleans, texts, lists and structs are themselves (a map is a list of `{key, value}`). NaN and infinities,
decimals, dates and times (ISO 8601), UUIDs and binary (base64) are texts; a duration is an integer, in its unit. Dates
outside of the years 1 to 9999, which ISO 8601 has no common form for, are the text of the number that Arrow keeps.
"""

from __future__ import annotations

import base64
import math
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY_S = 86_400
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
"""Of the years 1 to 9999, counted from 1970."""


def json_columns(schema: pa.Schema) -> list[dict[str, str]]:
    """Name and Arrow type of each column."""
    return [{"name": field.name, "type": str(field.type)} for field in schema]


def json_rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """One dict a row."""
    names = batch.schema.names
    columns = [json_values(column) for column in batch.columns]
    if not columns:
        return iter([{} for _ in range(batch.num_rows)])
    return (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))


def json_values(array: pa.Array) -> list[Any]:
    """The values of `array` as JSON can hold them; null is `None`."""
    convert = next((convert for fits, convert in _CONVERTERS if fits(array.type)), _as_they_are)
    return convert(array)


def iso_texts(times: pa.Array) -> pa.Array:
    """Timestamps, dates or times of day in ISO 8601, in UTC with a Z where the column has a zone."""
    kind = times.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        times = times.cast(pa.timestamp(kind.unit, "UTC"))
    short = pa.types.is_date32(kind) or pa.types.is_time32(kind)
    stored = times.cast(pa.int32()).cast(pa.int64()) if short else times.cast(pa.int64())
    first, last = _range(kind)
    usual = pc.and_(pc.greater_equal(stored, first), pc.less_equal(stored, last))
    texts = pc.replace_substring(pc.if_else(usual, times, pa.scalar(None, times.type)).cast(pa.string()), " ", "T")
    return pc.if_else(usual, texts, stored.cast(pa.string()))


def _range(kind: pa.DataType) -> tuple[int, int]:
    """The least and the greatest number for which Arrow's own texts are ISO 8601; others are wrong."""
    if pa.types.is_date32(kind):
        return _FIRST_DAY, _LAST_DAY
    ticks = _DAY_S * _TICKS["ms" if pa.types.is_date64(kind) else kind.unit]
    first, end = (0, ticks) if pa.types.is_time(kind) else (_FIRST_DAY * ticks, (_LAST_DAY + 1) * ticks)
    return max(first, -(2**63)), min(end, 2**63) - 1


def _as_they_are(array: pa.Array) -> list[Any]:
    values = array.to_pylist()
    return [base64.b64encode(value).decode() if isinstance(value, bytes) else value for value in values]


def _durations(array: pa.Array) -> list[Any]:
    values: list[Any] = array.cast(pa.int64()).to_pylist()
    return values


def _intervals(array: pa.Array) -> list[Any]:
    return [None if value is None else list(value) for value in array.to_pylist()]


def _decimals(array: pa.Array) -> list[Any]:
    return [None if value is None else str(value) for value in array.to_pylist()]


def _numbers(array: pa.Array) -> list[Any]:
    return [_number(value) for value in array.to_pylist()]


def _times(array: pa.Array) -> list[Any]:
    values: list[Any] = iso_texts(array).to_pylist()
    return values


def _uuids(array: pa.Array) -> list[Any]:
    return [None if value is None else str(uuid.UUID(bytes=value)) for value in array.storage.to_pylist()]


def _number(value: float | None) -> Any:
    if value is None or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _structs(array: pa.StructArray) -> list[Any]:
    names = [array.type.field(index).name for index in range(array.type.num_fields)]
    fields = [json_values(array.field(index)) for index in range(array.type.num_fields)]
    valid = array.is_valid().to_pylist()
    return [
        {name: values[row] for name, values in zip(names, fields, strict=True)} if valid[row] else None
        for row in range(len(array))
    ]


def _lists(array: pa.Array, children: pa.Array) -> list[Any]:
    offsets = array.offsets.to_pylist()
    return _slices(children, offsets[:-1], offsets[1:], array.is_valid().to_pylist())


def _list_views(array: pa.ListViewArray) -> list[Any]:
    starts = array.offsets.to_pylist()
    ends = [start + size for start, size in zip(starts, array.sizes.to_pylist(), strict=True)]
    return _slices(array.values, starts, ends, array.is_valid().to_pylist())


def _fixed_lists(array: pa.FixedSizeListArray) -> list[Any]:
    size = array.type.list_size
    starts = range(array.offset * size, (array.offset + len(array)) * size, size) if size else [0] * len(array)
    return _slices(array.values, starts, [start + size for start in starts], array.is_valid().to_pylist())


def _slices(children: pa.Array, starts: Sequence[int], ends: Sequence[int], valid: list[bool]) -> list[Any]:
    """One list a row; converts only the children that these rows have, not the whole column's."""
    used = [row for row, there in enumerate(valid) if there and ends[row] > starts[row]]
    first = min((starts[row] for row in used), default=0)
    last = max((ends[row] for row in used), default=0)
    values = json_values(children.slice(first, last - first))
    return [
        (values[start - first : end - first] if end > start else []) if there else None
        for start, end, there in zip(starts, ends, valid, strict=True)
    ]


def _unions(array: pa.UnionArray) -> list[Any]:
    kind = array.type
    children = {code: json_values(array.field(index)) for index, code in enumerate(kind.type_codes)}
    dense = kind.mode == "dense"
    places = _of_slice(array, 2, pa.int32()) if dense else range(len(array))
    return [children[code][place] for code, place in zip(_of_slice(array, 1, pa.int8()), places, strict=True)]


def _of_slice(array: pa.Array, buffer: int, kind: pa.DataType) -> list[int]:
    """A buffer's integers, from where the slice begins (`type_codes` and `offsets` of a union do not look at that)."""
    whole = pa.Array.from_buffers(kind, len(array), [None, array.buffers()[buffer]], offset=array.offset)
    values: list[int] = whole.to_pylist()
    return values


def _maps(array: pa.MapArray) -> list[Any]:
    return _lists(array, pa.StructArray.from_arrays([array.keys, array.items], ["key", "value"]))


_Convert = Callable[[pa.Array], list[Any]]
_CONVERTERS: tuple[tuple[Callable[[pa.DataType], bool], _Convert], ...] = (
    (lambda kind: kind == pa.uuid(), _uuids),
    (lambda kind: isinstance(kind, pa.BaseExtensionType), lambda array: json_values(array.storage)),
    (pa.types.is_dictionary, lambda array: json_values(array.dictionary_decode())),
    (pa.types.is_run_end_encoded, lambda array: json_values(pc.run_end_decode(array))),
    (pa.types.is_union, _unions),
    (pa.types.is_struct, _structs),
    (pa.types.is_map, _maps),
    (lambda kind: pa.types.is_list(kind) or pa.types.is_large_list(kind), lambda array: _lists(array, array.values)),
    (lambda kind: pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind), _list_views),
    (pa.types.is_fixed_size_list, _fixed_lists),
    (pa.types.is_duration, _durations),
    (pa.types.is_interval, _intervals),
    (pa.types.is_temporal, _times),
    (pa.types.is_decimal, _decimals),
    (pa.types.is_floating, _numbers),
)
"""The first whose type fits; all others are what Arrow's own conversion gives."""
