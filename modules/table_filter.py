"""`table.filter`: keep the rows for which an expression is true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from module_sdk import DataError, Expression, Plan, module
from module_sdk.expressions import Parsed, evaluate, parse_scalar
from modules.expression_types import type_of
from modules.tables import Schemas, Table

if TYPE_CHECKING:
    import pyarrow as pa


def plan(params: Any, schemas: Schemas) -> Plan:
    """All columns pass; those that the condition names are read."""
    table = schemas["table"]
    parsed = parse_scalar(params["where"], "where", table.names)
    _check(type_of(parsed, table), parsed)
    return Plan(reads={"table": parsed.columns}, outputs=table, passes={"out": "table"})


@module(
    "table.filter",
    version="1.1.0",
    outputs={"out": {"...": "table"}},
    rowwise=True,
    filters="where",
    title="Filter rows",
    plan=plan,
)
def filter_rows(
    table: Table,
    *,
    where: Annotated[
        Expression,
        Field(description="SQL condition over the columns, for example `arr_delay > 15 AND carrier <> 'UA'`."),
    ],
) -> Table:
    """Keep the rows for which a condition is true.

    Rows for which it is false or null are left out (write `x IS NULL` to find nulls). The order of the rows and the
    types of all columns stay as they are.
    """
    import pyarrow.compute as pc

    parsed = parse_scalar(where, "where", table.column_names)
    mask = evaluate(table, {"where": parsed})["where"]
    _check(mask.type, parsed)
    if pc.all(mask, skip_nulls=False, min_count=0).as_py() is True:
        return table
    return table.filter(mask)


def _check(kind: pa.DataType | None, parsed: Parsed) -> None:
    if kind is not None and str(kind) != "bool":
        raise DataError(f"{parsed.label} gives {kind} values, not true or false: compare it, as in `x > 0`")
