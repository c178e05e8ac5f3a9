"""Arrow tables as DuckDB relations and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from module_sdk.handed import Handed, Returned

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def to_relation(table: pa.Table) -> duckdb.DuckDBPyRelation:
    """A relation that reads from `table`, of its columns only those that are asked for."""
    import duckdb

    return duckdb.connect().from_arrow(table)


def columns_of(relation: duckdb.DuckDBPyRelation, _: Sequence[Handed] = ()) -> Iterator[Returned]:
    """The relation's columns. DuckDB always makes new bytes."""
    table = relation.to_arrow_table()
    yield from (Returned(name, table.column(index)) for index, name in enumerate(table.column_names))
