"""`table.sort`: put rows in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from module_sdk import Column, DataError, module
from module_sdk.expressions import decoded
from modules.names import check_columns
from modules.tables import Table


class SortKey(BaseModel):
    """A column to sort by, for the few names that the short form cannot say (those that start with a minus)."""

    model_config = ConfigDict(extra="forbid")

    column: Column
    descending: bool = False


@module("table.sort", version="1.0.0", outputs={"out": {"...": "table"}}, title="Sort rows")
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
    import pyarrow as pa
    import pyarrow.compute as pc

    keys = sort_keys(by, table.column_names)
    columns = {name: decoded(table.column(name)) for name, _ in keys}
    order = [(name, "descending" if descending else "ascending") for name, descending in keys]
    try:
        indices = pc.sort_indices(pa.table(columns), sort_keys=order)
    except (pa.ArrowNotImplementedError, pa.ArrowTypeError):
        types = ", ".join(f"{name!r} ({column.type})" for name, column in columns.items())
        raise DataError(f"by: rows cannot be sorted by {types}: lists and structs have no order") from None
    return table.take(indices)


def sort_keys(by: Sequence[str | SortKey], names: Sequence[str]) -> list[tuple[str, bool]]:
    """Column and `descending`, by key. Raises `DataError`."""
    keys = [
        (key.column, key.descending) if isinstance(key, SortKey) else (key.removeprefix("-"), key.startswith("-"))
        for key in by
    ]
    check_columns("by", [name for name, _ in keys], names)
    return [(str(name), descending) for name, descending in keys]
