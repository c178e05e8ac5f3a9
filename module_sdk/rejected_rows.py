"""Rejected rows of any kind as tables with a `_reason`; tables of different columns as tables of the same ones. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import index
from typing import TYPE_CHECKING, Any

from module_sdk.dataframes.adapters import from_native
from plugmesh.errors import ContractError, DataMismatch

if TYPE_CHECKING:
    import pyarrow as pa

REASON = "_reason"
"""The column that says why a row was rejected."""
REASON_CHARS = 1000
Row = dict[str, Any]


def text_of(reason: Any) -> str:
    """A reason as it is kept."""
    text = str(reason) or "no reason was given"
    return text if len(text) <= REASON_CHARS else text[: REASON_CHARS - 1] + "…"


def as_number(value: Any) -> Any:
    """A whole number of any library, such as the sum of a mask, as Python's; anything else as it is."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or getattr(value, "shape", None):
        return value
    try:
        return index(value)
    except TypeError:  # an array without dimensions, of something else
        return value


def is_row(value: Any) -> bool:
    """Whether this is one row by the names of its columns: a dict, or a pandas Series."""
    return isinstance(value, Mapping) or _is_series(value)


def _is_series(value: Any) -> bool:
    kind = type(value)
    return kind.__name__ == "Series" and kind.__module__.partition(".")[0] == "pandas"


def as_row(value: Any, reason: str) -> Row:
    """One row, with its reason last."""
    found = value.to_dict() if _is_series(value) else value
    return {**{str(name): one for name, one in found.items() if name != REASON}, REASON: reason}


def weight(row: Mapping[Any, Any]) -> int:
    """About how many bytes of memory a row takes."""
    return 100 + sum(_weight_of(value) for value in row.values())


def _weight_of(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, Mapping):
        return weight(value)
    if isinstance(value, list | tuple | set | frozenset):
        return 50 + sum(map(_weight_of, value))
    return 50 + int(getattr(value, "nbytes", 0))


def frames_of(rows: Any, reason: str) -> Iterator[Row | pa.Table]:
    """The rows with their reason, as dicts or as tables. Raises `TypeError` for what is no rows, `ContractError` for two
    columns of one name."""
    if is_row(rows):
        yield as_row(rows, reason)
        return
    if isinstance(rows, Sequence) and not isinstance(rows, str | bytes):
        yield from _listed(rows, reason)
        return
    try:
        frame = from_native(rows)
    except DataMismatch:
        raise TypeError(
            f"ctx.reject was told of {type(rows).__name__}: it takes a number of rows, or the rows themselves: a table, a "
            "data frame, a list of dicts, or one dict"
        ) from None
    for table in _pieces(frame):
        yield _with_reason(table, reason)


def _listed(rows: Sequence[Any], reason: str) -> Iterator[Row]:
    for number, row in enumerate(rows):
        if not is_row(row):
            raise TypeError(
                f"ctx.reject was given a list whose item {number} is {type(row).__name__}: each row is a dict by column"
            )
        yield as_row(row, reason)


def _pieces(frame: Any) -> Iterator[pa.Table]:
    import pyarrow as pa

    if isinstance(frame, pa.Table):
        yield frame
        return
    for batch in frame:
        yield pa.Table.from_batches([batch])


def _with_reason(table: pa.Table, reason: str) -> pa.Table:
    import pyarrow as pa

    names = table.column_names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ContractError(f"ctx.reject was given a table with two columns called {twice!r}: rename one of them")
    if REASON in names:
        table = table.drop_columns([REASON])
    reasons = pa.repeat(pa.scalar(reason, pa.string()), table.num_rows)
    return table.append_column(REASON, reasons).replace_schema_metadata(None)


def table_of(held: Sequence[Row | pa.Table]) -> pa.Table:
    """Rows and tables, in their order, as one table with the columns of all."""
    tables: list[pa.Table] = []
    for are_rows, group in groupby(held, key=lambda one: isinstance(one, dict)):
        if are_rows:
            tables.append(_table_of_rows(list(group)))
        else:
            tables += group
    return tables[0] if len(tables) == 1 else joined(tables)


def _table_of_rows(rows: Sequence[Row]) -> pa.Table:
    import pyarrow as pa

    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: _column([row.get(name) for row in rows]) for name in names if name != REASON}
    return pa.table({**columns, REASON: pa.array([row[REASON] for row in rows], pa.string())})


def _column(values: list[Any]) -> pa.Array:
    """An Arrow column of whatever the values are: text, where they have no type in common."""
    import pyarrow as pa

    for options in ({}, {"from_pandas": True}):
        try:
            return pa.array(values, **options)
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            continue
    return pa.array([None if value is None else _said(value) for value in values], pa.string())


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of all tables, with the columns of all."""
    import pyarrow as pa

    schema = common_schema([table.schema for table in tables])
    return pa.concat_tables([aligned(table, schema) for table in tables])


def common_schema(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """All columns, `_reason` last; a column that has several types gets one that holds them, which may be text."""
    import pyarrow as pa

    fields: dict[str, pa.Field] = {}
    for schema in schemas:
        for field in schema:
            before = fields.get(field.name)
            fields[field.name] = field.with_nullable(True) if before is None else _wider(before, field)
    reason = fields.pop(REASON)
    return pa.schema([*fields.values(), reason])


def _wider(one: pa.Field, two: pa.Field) -> pa.Field:
    import pyarrow as pa

    if one.type == two.type:
        return one
    try:
        both = [pa.schema([one]), pa.schema([two.with_nullable(True)])]
        return pa.unify_schemas(both, promote_options="permissive").field(0)
    except pa.ArrowException:
        return one.with_type(pa.string())


def aligned(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The same rows with the columns of `schema`."""
    import pyarrow as pa

    there = set(table.column_names)
    columns = [
        _cast(table.column(field.name), field.type) if field.name in there else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | pa.Array:
    import pyarrow as pa

    if column.type == kind:
        return column
    try:
        return column.cast(kind, safe=False)
    except pa.ArrowException:
        return pa.array([None if value is None else _said(value) for value in column.to_pylist()], kind)


def _said(value: Any) -> str:
    """A value in words: JSON where it is a list or a mapping."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict | tuple):
        return json.dumps(value, default=str)
    return str(value)
