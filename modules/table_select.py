"""`table.select`: choose, order, drop and rename columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from module_sdk import Columns, Context, DataError, Plan, module
from modules.names import check_columns
from modules.tables import NO_COLUMNS, Schemas, Table


def plan(params: Any, schemas: Schemas) -> Plan:
    """Nothing is read: what is kept passes, perhaps under another name."""
    import pyarrow as pa

    table = schemas["table"]
    kept = kept_columns(table.names, params["columns"], params["drop"], params["rename"])
    fields = [table.field(old).with_name(new) for old, new in kept.items()]
    return Plan(
        reads={"table": ()},
        outputs=pa.schema(fields),
        passes={"out": {new: ("table", old) for old, new in kept.items()}},
    )


@module("table.select", version="1.1.0", rows="same", rowwise=True, title="Select columns", plan=plan)
def select(
    table: Table,
    *,
    ctx: Context,
    columns: Annotated[Columns, Field(description="Columns to keep, in this order; none given: all.")] = NO_COLUMNS,
    drop: Annotated[Columns, Field(description="Columns to leave out.")] = NO_COLUMNS,
    rename: Annotated[dict[str, str], Field(description="New names by old name: `{old: new}`.")] = {},  # noqa: B006
) -> Table:
    """Choose, order, drop and rename columns.

    First `columns` are chosen (all when none are given), then `drop` are left out, then `rename` gives new names;
    it uses the old names. Columns and their data stay as they are, so nothing is written.
    """
    if ctx.planned:
        columns, drop, rename = _of_these(table.column_names, columns, drop, rename)
    kept = kept_columns(table.column_names, columns, drop, rename)
    if list(kept.items()) == [(name, name) for name in table.column_names]:
        return table
    return table.select(list(kept)).rename_columns(list(kept.values()))


def kept_columns(
    names: Sequence[str], columns: Sequence[str], drop: Sequence[str], rename: Mapping[str, str]
) -> dict[str, str]:
    """New names by old name, in order. Raises `DataError`."""
    check_columns("columns", columns, names)
    check_columns("drop", drop, names)
    chosen = [name for name in (columns or names) if name not in set(drop)]
    check_columns("rename", rename, names)
    for name in rename:
        if name not in chosen:
            raise DataError(f"rename: the column {name!r} is not among those that are kept; leave it out of `rename`")
    kept = {name: rename.get(name, name) for name in chosen}
    for new in kept.values():
        if list(kept.values()).count(new) > 1:
            raise DataError(f"rename: two columns would be called {new!r}; drop one, or give it another name")
    return kept


def _of_these(
    names: Sequence[str], columns: Columns, drop: Columns, rename: Mapping[str, str]
) -> tuple[Columns, Columns, dict[str, str]]:
    """The params without columns that are not there because nobody uses them: the plan has checked their names. Where
    nothing of `columns` is there, somebody counts rows: then all that is there will do."""
    there = frozenset(names)
    kept = Columns(name for name in columns if name in there)
    renamed = {old: new for old, new in rename.items() if old in there and (not kept or old in kept)}
    return kept, Columns(name for name in drop if name in there), renamed
