"""`table.filter`: keep the rows for which an expression is true."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from module_sdk import DataError, Expression, module
from module_sdk.expressions import evaluate, parse_scalar
from modules.tables import Table


@module("table.filter", version="1.0.0", outputs={"out": {"...": "table"}}, rowwise=True, title="Filter rows")
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
    import pyarrow as pa
    import pyarrow.compute as pc

    parsed = parse_scalar(where, "where", table.column_names)
    mask = evaluate(table, {"where": parsed})["where"]
    if not pa.types.is_boolean(mask.type):
        raise DataError(f"{parsed.label} gives {mask.type} values, not true or false: compare it, as in `x > 0`")
    if pc.all(mask, skip_nulls=False, min_count=0).as_py() is True:
        return table
    return table.filter(mask)
