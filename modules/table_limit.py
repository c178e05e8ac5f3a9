"""`table.limit`: some rows from the start, or from the middle."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from module_sdk import Plan, module
from modules.tables import Schemas, Table


def plan(params: Any, schemas: Schemas) -> Plan:
    """All columns pass."""
    return Plan(reads={"table": ()}, outputs=schemas["table"], passes={"out": "table"})


@module("table.limit", version="1.1.0", outputs={"out": {"...": "table"}}, title="Limit rows", plan=plan)
def limit(
    table: Table,
    *,
    rows: Annotated[int, Field(ge=0, description="How many rows to keep at most.")],
    offset: Annotated[int, Field(ge=0, description="How many rows to leave out at the start.")] = 0,
) -> Table:
    """Keep the first rows, or those after the first `offset`.

    The rows stay in their order; a table with fewer rows is handed on as it is.
    """
    if offset == 0 and rows >= table.num_rows:
        return table
    return table.slice(min(offset, table.num_rows), rows)
