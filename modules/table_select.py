"""`table.select`: choose, order, drop and rename columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from module_sdk import Columns, DataError, module
from modules.names import check_columns
from modules.tables import NO_COLUMNS, Table


@module("table.select", version="1.0.0", rows="same", rowwise=True, title="Select columns")
def select(
    table: Table,
    *,
    columns: Annotated[Columns, Field(description="Columns to keep, in this order; none given: all.")] = NO_COLUMNS,
    drop: Annotated[Columns, Field(description="Columns to leave out.")] = NO_COLUMNS,
    rename: Annotated[dict[str, str], Field(description="New names by old name: `{old: new}`.")] = {},  # noqa: B006
) -> Table:
    """Choose, order, drop and rename columns.

    First `columns` are chosen (all when none are given), then `drop` are left out, then `rename` gives new names;
    it uses the old names. Columns and their data stay as they are, so nothing is written.
    """
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
