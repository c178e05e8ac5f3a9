"""`table.derive`: add columns, or replace them, by expressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from module_sdk import DataError, Expression, Plan, module
from module_sdk.expressions import Parsed, evaluate, parse_scalar
from module_sdk.planning import unknown_type
from modules.expression_types import type_of
from modules.tables import Schemas, Table


def plan(params: Any, schemas: Schemas) -> Plan:
    """What the expressions name is read, what they do not replace passes."""
    import pyarrow as pa

    table = schemas["table"]
    parsed = _parsed(params["columns"], table.names)
    made = {name: type_of(one, table) or unknown_type() for name, one in parsed.items()}
    fields = {one.name: one for one in table} | {name: pa.field(name, kind) for name, kind in made.items()}
    return Plan(
        reads={"table": [name for one in parsed.values() for name in one.columns]},
        outputs=pa.schema(list(fields.values())),
        passes={"out": {name: "table" for name in table.names if name not in made}},
    )


@module("table.derive", version="1.1.0", rows="same", rowwise=True, title="Derive columns", plan=plan)
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
    for name, values in evaluate(table, _parsed(columns, table.column_names)).items():
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, values)
        else:
            table = table.append_column(name, values)
    return table


def _parsed(columns: Mapping[str, str], names: Sequence[str]) -> dict[str, Parsed]:
    if "" in columns:
        raise DataError("columns: a column needs a name")
    return {name: parse_scalar(text, f"columns.{name}", names) for name, text in columns.items()}
