"""`table.aggregate`: one row a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from module_sdk import Columns, DataError, Expression, Plan, module
from module_sdk.expressions import Parsed, evaluation, fetch, hand_over, parse_aggregate, sql_expression
from module_sdk.planning import unknown_type
from modules.expression_types import all_known, no_rows
from modules.names import check_columns
from modules.tables import NO_COLUMNS, Schemas, Table

if TYPE_CHECKING:
    import pyarrow as pa

_FIRST = "first_row"


def plan(params: Any, schemas: Schemas) -> Plan:
    """The groups' columns and those in the measures are read; nothing passes."""
    import pyarrow as pa

    table, by = schemas["table"], params["by"]
    parsed = _parsed(table.names, by, params["measures"])
    fields = [table.field(name) for name in by]
    for name, one in parsed.items():
        known = all_known(one.columns, table)
        kind = _measured(no_rows(table, [*by, *one.columns]), by, {name: one})["m0"].type if known else unknown_type()
        fields.append(pa.field(name, kind))
    reads = [*by, *(name for one in parsed.values() for name in one.columns)]
    return Plan(reads={"table": reads}, outputs=pa.schema(fields), passes={"out": {}})


@module("table.aggregate", version="1.1.0", title="Aggregate rows", plan=plan)
def aggregate(
    table: Table,
    *,
    by: Annotated[Columns, Field(description="Columns that make the groups; none given: one group of all rows.")] = (
        NO_COLUMNS
    ),
    measures: Annotated[
        dict[str, Expression],
        Field(description="SQL aggregates by the name of the new column, for example `{n: count(*), mean: avg(x)}`."),
    ],
) -> Table:
    """Make one row of each group of rows.

    The result has the columns of `by`, with their types, then the measures in the order given. Groups stand in the
    order in which they first appear; nulls are a group of their own. Without `by` there is always exactly one row.
    Counts and sums of integers are int64 (a larger sum is an error), averages float64. `DISTINCT`, `FILTER (WHERE …)`
    and `ORDER BY` inside an aggregate work as in SQL.
    """
    parsed = _parsed(table.column_names, by, measures)
    try:
        return _aggregated(table, by, parsed)
    except DataError:
        for name, one in parsed.items():  # one query computes all of them: find the one to name
            _aggregated(table, by, {name: one})
        raise


def _parsed(names: Sequence[str], by: Sequence[str], measures: Mapping[str, str]) -> dict[str, Parsed]:
    """The measures, as far as they can be without rows. Raises `DataError`."""
    check_columns("by", by, names)
    for name in measures:
        if name in by or not name:
            raise DataError(
                f"measures: a measure cannot be called {name!r}" + (", as a column of `by` is" if name else "")
            )
    parsed = {name: parse_aggregate(text, f"measures.{name}", names) for name, text in measures.items()}
    if not by and not parsed:
        raise DataError("measures: there is nothing to compute; give a measure, for example n: count(*)")
    return parsed


def _aggregated(table: Table, by: Sequence[str], measures: Mapping[str, Parsed]) -> Table:
    import pyarrow as pa

    columns = _measured(table, by, measures)
    keys = table.select(list(by)).take(columns[_FIRST])
    names = [*by, *measures]
    return pa.table([*keys.columns, *(columns[f"m{index}"] for index in range(len(measures)))], names=names)


def _measured(table: Table, by: Sequence[str], measures: Mapping[str, Parsed]) -> dict[str, pa.ChunkedArray]:
    """The measures as `m0`, `m1`, ... and the number of each group's first row, in order of these."""
    import duckdb

    handed = hand_over(table, [*by, *(name for parsed in measures.values() for name in parsed.columns)])
    first = duckdb.FunctionExpression("min", duckdb.ColumnExpression(handed.column_names[-1])).alias(_FIRST)
    computed = [sql_expression(parsed).alias(f"m{index}") for index, parsed in enumerate(measures.values())]
    labels = {f"m{index}": parsed.label for index, parsed in enumerate(measures.values())}
    with evaluation(next(iter(labels.values()), "by")) as connection:
        groups = connection.from_arrow(handed).aggregate([first, *computed], ", ".join(map(_quoted, by)))
        return fetch(groups.order(_FIRST), labels)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
