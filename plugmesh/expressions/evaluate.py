"""From parsed expressions and a table to columns: only the named columns go to DuckDB, exact Arrow types come back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from plugmesh.errors import DataError
from plugmesh.expressions.database import evaluation
from plugmesh.expressions.parse import Parsed, sql_expression

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_WIDE_INTEGERS = ("HUGEINT", "UHUGEINT")
_NO_COLUMN_TYPE = ("BIGNUM", "GEOMETRY", "UNION", "VARIANT")


def evaluate(table: pa.Table, expressions: Mapping[str, Parsed]) -> dict[str, pa.ChunkedArray]:
    """The columns that scalar expressions give, by name, each as long as `table` and in its order.

    Raises `DataError` naming the expression that cannot be computed.
    """
    handed = hand_over(table, (name for parsed in expressions.values() for name in parsed.columns))
    return {name: _column(handed, parsed, table.num_rows) for name, parsed in expressions.items()}


def hand_over(table: pa.Table, names: Iterable[str]) -> pa.Table:
    """The named columns as DuckDB takes them, and a column of row numbers, called `row_name(names)`.

    Dictionaries are decoded: an enumeration compares by position and refuses unknown words. Nothing else is copied.
    """
    import pyarrow as pa

    wanted = list(dict.fromkeys(names))
    columns = [decoded(table.column(name)) for name in wanted]
    return pa.table([*columns, pa.arange(0, table.num_rows)], names=[*wanted, row_name(wanted)])


def row_name(names: Iterable[str]) -> str:
    """A name for the row numbers that none of `names` has."""
    taken = {name.casefold() for name in names}
    name = "row_number_"
    while name in taken:
        name += "_"
    return name


def fetch(relation: duckdb.DuckDBPyRelation, labels: Mapping[str, str]) -> dict[str, pa.ChunkedArray]:
    """The columns of a relation. 128-bit integers, which Arrow has not, become 64-bit ones.

    `labels` says how messages call a column. Raises `DataError` when a number is too large or a type unknown to Arrow.
    """
    types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    for name, label in labels.items():
        if types[name].startswith(_NO_COLUMN_TYPE):
            raise DataError(f"{label} gives the type {types[name]}, which a column cannot have: cast it to another")
    result = relation.to_arrow_table()
    columns = {name: result.column(name) for name in result.column_names}
    return {
        name: _narrow(column, labels.get(name, name)) if types[name] in _WIDE_INTEGERS else column
        for name, column in columns.items()
    }


def _column(handed: pa.Table, parsed: Parsed, rows: int) -> pa.ChunkedArray:
    """One query an expression, so that an error knows which one it was."""
    with evaluation(parsed.label) as connection:
        wanted = [*parsed.columns, handed.column_names[-1]]
        source = connection.from_arrow(handed.select(wanted))
        column = fetch(source.select(sql_expression(parsed).alias("result")), {"result": parsed.label})["result"]
    if len(column) != rows:
        raise DataError(
            f"{parsed.label} gave {len(column)} values for {rows} rows: it must give one value for each row"
        )
    return column


def decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column's values, if it is a dictionary."""
    import pyarrow as pa

    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _narrow(column: Any, label: str) -> Any:
    import pyarrow as pa

    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:
        raise DataError(
            f"{label} gives an integer over 64 bits: compute with doubles, as in sum(CAST(x AS double))"
        ) from None
