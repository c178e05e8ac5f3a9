"""What one pass over a column tells: nulls, range and mean, or how long its values are."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


class Spread:
    """Range and mean of values that have an order; `least` and `greatest` are `None` while there are none.

    NaN and infinities are counted apart, and nothing else looks at them.
    """

    def __init__(self) -> None:
        self.nulls = self.nan = self.infinite = 0
        self.least: pa.Scalar | None = None
        self.greatest: pa.Scalar | None = None
        self.mean: float | None = None
        self._count = 0

    def add(self, column: pa.ChunkedArray) -> None:
        """The next piece, as `as_numbers` gives it."""
        self.nulls += column.null_count
        values = column.drop_null()
        if pa.types.is_floating(values.type):
            values = self._finite(values)
        if not len(values):
            return
        found = pc.min_max(values)
        self.least = _better(pc.min, self.least, found["min"])
        self.greatest = _better(pc.max, self.greatest, found["max"])
        if is_number(values.type):
            mean = _mean(values.cast(pa.float64(), safe=False))
            self._count += len(values)
            self.mean = mean if self.mean is None else self.mean + (mean - self.mean) * (len(values) / self._count)

    def _finite(self, values: pa.ChunkedArray) -> pa.ChunkedArray:
        self.nan += pc.sum(pc.is_nan(values), min_count=0).as_py()
        self.infinite += pc.sum(pc.is_inf(values), min_count=0).as_py()
        return values.filter(pc.is_finite(values))


class Lengths:
    """How long lists, maps and bytes are. `least` and `greatest` are `None` where nothing has a length."""

    def __init__(self) -> None:
        self.nulls = 0
        self._spread = Spread()

    def add(self, column: pa.ChunkedArray) -> None:
        """The next piece."""
        self.nulls += column.null_count
        for chunk in column.chunks:
            lengths = _lengths(chunk)
            if lengths is not None:
                self._spread.add(pa.chunked_array([lengths.cast(pa.int64())]))

    def document(self) -> dict[str, Any]:
        """`nulls`, and `lengths` where there are some."""
        found: dict[str, Any] = {"nulls": self.nulls}
        spread = self._spread
        if spread.least is not None and spread.greatest is not None:
            found["lengths"] = {
                "min": spread.least.as_py(),
                "max": spread.greatest.as_py(),
                "mean": spread.mean,
            }
        return found


def as_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Times as the integers that they are stored as, all floats as doubles; anything else as it is."""
    kind = column.type
    if pa.types.is_date32(kind) or pa.types.is_time32(kind):
        return column.cast(pa.int32()).cast(pa.int64())
    if is_time(kind):
        return column.cast(pa.int64())
    return column.cast(pa.float64()) if pa.types.is_floating(kind) else column


def from_number(value: pa.Scalar, kind: pa.DataType) -> pa.Array:
    """One value that `as_numbers` gave, in its own type again."""
    found = pa.array([value.as_py()], value.type)
    if pa.types.is_date32(kind) or pa.types.is_time32(kind):
        return found.cast(pa.int32()).cast(kind)
    return found.cast(kind) if is_time(kind) else found


def is_time(kind: pa.DataType) -> bool:
    """Whether values are moments, days, times of day or durations."""
    return bool(pa.types.is_temporal(kind) and not pa.types.is_interval(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whether a mean makes sense."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _mean(values: pa.ChunkedArray) -> float:
    mean = float(pc.mean(values).as_py())
    # The sum of large values is beyond all doubles; the mean never is.
    return mean if math.isfinite(mean) else float(pc.sum(pc.divide(values, float(len(values)))).as_py())


def _better(choose: Any, one: pa.Scalar | None, other: pa.Scalar) -> pa.Scalar:
    return other if one is None else choose(pa.array([one.as_py(), other.as_py()], other.type))


def _lengths(chunk: pa.Array) -> pa.Array | None:
    kind = chunk.type
    if pa.types.is_struct(kind) or pa.types.is_union(kind):
        return None
    if pa.types.is_map(kind):
        return pc.list_value_length(
            chunk.cast(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)])))
        )
    return pc.list_value_length(chunk) if pa.types.is_nested(kind) else pc.binary_length(chunk)
