"""`table.derive`: add columns, or replace them, by expressions."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from module_sdk import DataError, Expression, module
from module_sdk.expressions import evaluate, parse_scalar
from modules.tables import Table


@module("table.derive", version="1.0.0", rows="same", rowwise=True, title="Derive columns")
def derive(
    table: Table,
    *,
    columns: Annotated[
        dict[str, Expression],
        Field(description="SQL expressions by the name of the new column, for example `{speed: distance / air_time}`."),
    ],
) -> Table:
    """Add columns that are computed from the others.

    Each expression sees the columns as they came in, not those derived beside it. A name that is already there
    replaces that column in its place; new ones follow the others, in the order given. The untouched columns are
    handed on without being written again. Integers beyond 64 bits are an error; `/` gives a float64 (by zero:
    infinity), `//` and `%` by zero are an error: write `TRY(a // b)` for a null instead.
    """
    if "" in columns:
        raise DataError("columns: a column needs a name")
    parsed = {name: parse_scalar(text, f"columns.{name}", table.column_names) for name, text in columns.items()}
    for name, values in evaluate(table, parsed).items():
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, values)
        else:
            table = table.append_column(name, values)
    return table
