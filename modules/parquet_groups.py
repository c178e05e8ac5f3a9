"""Which row groups of a Parquet file have rows that somebody needs, as far as the statistics in it tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from module_sdk import Predicate
from modules.row_filters import usable

if TYPE_CHECKING:
    import pyarrow as pa

_MAY_HOLD: dict[str, Callable[[Any, Any, Any], bool]] = {
    "==": lambda least, most, value: least <= value <= most,
    "!=": lambda least, most, value: not least == most == value,
    "<": lambda least, most, value: least < value,
    "<=": lambda least, most, value: least <= value,
    ">": lambda least, most, value: most > value,
    ">=": lambda least, most, value: most >= value,
}


def needed_groups(metadata: Any, schema: pa.Schema, filters: Sequence[Predicate]) -> list[int]:
    """Numbers of the row groups in which every condition may hold for some row."""
    conditions = usable(filters, schema)
    indexes = {metadata.schema.column(index).path: index for index in range(metadata.num_columns)}
    return [
        number
        for number in range(metadata.num_row_groups)
        if all(
            name not in indexes or _may_hold(metadata.row_group(number).column(indexes[name]), op, value)
            for name, op, value in conditions
        )
    ]


def _may_hold(chunk: Any, op: str, value: Any) -> bool:
    found = chunk.statistics if chunk.is_stats_set else None
    if found is None:
        return True
    if found.has_null_count and found.null_count == chunk.num_values:
        return False
    if not found.has_min_max:
        return True
    try:
        return _MAY_HOLD[op](found.min, found.max, value)
    except (TypeError, ValueError, OverflowError):  # of another kind than the column, or a date after the year 9999
        return True
