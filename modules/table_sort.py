"""`table.sort`: put rows in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from module_sdk import Column, DataError, Plan, module
from module_sdk.expressions import decoded
from modules.expression_types import all_known, no_rows
from modules.names import check_columns
from modules.tables import Schemas, Table

if TYPE_CHECKING:
    import pyarrow as pa


class SortKey(BaseModel):
    """A column to sort by, for the few names that the short form cannot say (those that start with a minus)."""

    model_config = ConfigDict(extra="forbid")

    column: Column
    descending: bool = False


def plan(params: Any, schemas: Schemas) -> Plan:
    """All columns pass; those to sort by are read."""
    table = schemas["table"]
    keys = sort_keys(params["by"], table.names)
    names = [name for name, _ in keys]
    if all_known(names, table):
        _order(no_rows(table, names), keys)
    return Plan(reads={"table": names}, outputs=table, passes={"out": "table"})


@module("table.sort", version="1.1.0", outputs={"out": {"...": "table"}}, title="Sort rows", plan=plan)
def sort(
    table: Table,
    *,
    by: Annotated[
        list[str | SortKey],
        Field(
            min_length=1,
            description="Columns to sort by, the most important first: `name`, `-name` for descending, or "
            "`{column: name, descending: true}`.",
        ),
    ],
) -> Table:
    """Put the rows in order.

    Rows that are equal keep their order. Nulls come last, ascending and descending; so do floats that are no number,
    just before them. Text is compared character by character (capitals first).
    """
    return table.take(_order(table, sort_keys(by, table.column_names)))


def _order(table: Table, keys: Sequence[tuple[str, bool]]) -> pa.Array:
    """Row numbers in order. Raises `DataError` for types that have none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = {name: decoded(table.column(name)) for name, _ in keys}
    order = [(name, "descending" if descending else "ascending") for name, descending in keys]
    try:
        return pc.sort_indices(pa.table(columns), sort_keys=order)
    except (pa.ArrowNotImplementedError, pa.ArrowTypeError):
        types = ", ".join(f"{name!r} ({column.type})" for name, column in columns.items())
        raise DataError(f"by: rows cannot be sorted by {types}: lists and structs have no order") from None


def sort_keys(by: Sequence[str | SortKey], names: Sequence[str]) -> list[tuple[str, bool]]:
    """Column and `descending`, by key. Raises `DataError`."""
    keys = [
        (key.column, key.descending) if isinstance(key, SortKey) else (key.removeprefix("-"), key.startswith("-"))
        for key in by
    ]
    check_columns("by", [name for name, _ in keys], names)
    return [(str(name), descending) for name, descending in keys]
