"""Arrow tables as DuckDB relations and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from module_sdk.dataframes.arrow_frames import BATCH_ROWS
from module_sdk.dataframes.handed import Handed, Returned
from module_sdk.dataframes.plain_columns import no_type, plain

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def to_relation(
    table: pa.Table, database: duckdb.DuckDBPyConnection | None = None
) -> tuple[duckdb.DuckDBPyRelation, duckdb.DuckDBPyConnection]:
    """A relation that reads from `table`, of its columns only those that are asked for, and the database that it is in: a
    new one if none is given, which takes 10 ms.

    Raises `DataMismatch` for a type that DuckDB does not have.
    """
    import duckdb
    import pyarrow as pa

    columns = [_known(name, table.column(index)) for index, name in enumerate(table.column_names)]
    made = pa.Table.from_arrays(columns, names=table.column_names)
    database = database or duckdb.connect()
    try:
        return database.from_arrow(made), database
    except duckdb.Error:
        for name, column in zip(table.column_names, columns, strict=True):
            _try(database, name, column)
        raise


def columns_of(relation: duckdb.DuckDBPyRelation, _: Sequence[Handed] = ()) -> Iterator[Returned]:
    """The relation's columns. DuckDB always makes new bytes."""
    yield from _columns(relation.to_arrow_table())


def batches_of(relation: duckdb.DuckDBPyRelation) -> Iterator[list[Returned]]:
    """The result's columns part by part, computed as they are read; at least one part."""
    import pyarrow as pa

    reader = relation.to_arrow_reader(BATCH_ROWS)
    yield _columns(reader.schema.empty_table())
    for batch in reader:
        yield _columns(pa.Table.from_batches([batch]))


def _columns(table: pa.Table) -> list[Returned]:
    return [Returned(name, _in_utc(table.column(index))) for index, name in enumerate(table.column_names)]


def _in_utc(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """DuckDB gives times with a zone the one of the machine: only a name, for the instants are the same."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        return column.cast(pa.timestamp(column.type.unit, "UTC"))
    return column


def _known(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as one that DuckDB knows: it has no half floats, and intervals of microseconds instead of durations."""
    import pyarrow as pa

    kind = column.type
    try:
        if pa.types.is_float16(kind):
            return column.cast(pa.float32())
        if pa.types.is_duration(kind):
            return column.cast(pa.duration("us"))
        return plain(column)
    except pa.ArrowInvalid as error:
        raise no_type(name, kind, "a DuckDB relation", error) from error


def _try(database: duckdb.DuckDBPyConnection, name: str, column: pa.ChunkedArray) -> None:
    import duckdb
    import pyarrow as pa

    try:
        database.from_arrow(pa.table({name: column.slice(0, 0)}))
    except duckdb.Error as error:
        problem = str(error).splitlines()[0]
        raise no_type(name, column.type, "a DuckDB relation", problem) from error
