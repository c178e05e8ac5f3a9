"""Cutting tables and streams of batches into fragments: bounded memory, fragments of a good size. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa

from plugmesh.errors import DataMismatch

MAX_ROWS = 1024 * 1024
MAX_BYTES = 64 * 1024 * 1024
"""Largest fragments of a stream: what is held in memory while it is written."""

MAX_TABLE_ROWS = 16 * 1024 * 1024
MAX_TABLE_BYTES = 1024 * 1024 * 1024
"""Largest fragments of a table, which is in memory: in one fragment, NumPy and pandas have each column as it lies."""

Batches: TypeAlias = Iterable[pa.RecordBatch | pa.Table]
"""A stream: a `pa.RecordBatchReader`, or anything that yields batches."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where fragments end: after `max_rows` rows or about `max_bytes` bytes; or exactly after `boundaries` rows each,
    which is how new columns are written beside the ones of another table."""

    max_rows: int = MAX_ROWS
    max_bytes: int = MAX_BYTES
    boundaries: Sequence[int] | None = None

    def table(self, table: pa.Table, nbytes: int) -> Iterator[pa.Table]:
        """Zero-copy slices of `table`, which has so many bytes. Raises `DataMismatch` if `boundaries` have another number
        of rows."""
        if self.boundaries is None:
            yield from _slices(table, self._rows_that_fit(table, nbytes))
            return
        if sum(self.boundaries) != table.num_rows:
            raise _wrong_rows(sum(self.boundaries), table.num_rows)
        start = 0
        for rows in self.boundaries:
            yield slice_rows(table, start, rows)
            start += rows

    def batches(self, schema: pa.Schema, batches: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Fragments as soon as they are full; holds one fragment and one batch at a time."""
        if self.boundaries is None:
            pieces = (piece for batch in batches for piece in _slices(batch, self._rows_that_fit(batch, batch.nbytes)))
            yield from self._fill(schema, pieces)
        else:
            yield from _fill_exactly(schema, batches, self.boundaries)

    def _fill(self, schema: pa.Schema, pieces: Iterable[pa.Table]) -> Iterator[pa.Table]:
        held: list[pa.Table] = []
        rows = size = 0
        for piece in pieces:
            if held and (rows + piece.num_rows > self.max_rows or size + piece.nbytes > self.max_bytes):
                yield joined(schema, held)
                held, rows, size = [], 0, 0
            held.append(piece)
            rows += piece.num_rows
            size += piece.nbytes
        if held:
            yield joined(schema, held)

    def _rows_that_fit(self, table: pa.Table, size: int) -> int:
        if size <= self.max_bytes:
            return self.max_rows
        return max(1, min(self.max_rows, int(table.num_rows) * self.max_bytes // size))


def as_tables(batches: Batches, schema: pa.Schema | None) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """The schema of a stream, which may be known by its first batch only, and its batches as tables.

    Raises `DataMismatch` if there is no first batch and no schema, or (while it is read) a batch has another schema.
    """
    if isinstance(batches, pa.RecordBatchReader):
        schema = batches.schema
    tables = (batch if isinstance(batch, pa.Table) else _as_table(batch) for batch in batches)
    if schema is not None:
        return schema, _checked(schema, tables)
    first = next(tables, None)
    if first is None:
        raise DataMismatch(
            "not one batch was produced, so the columns are unknown: yield one empty batch, or return a pa.RecordBatchReader"
        )
    return first.schema, _checked(first.schema, _chain(first, tables))


def _chain(first: pa.Table, rest: Iterator[pa.Table]) -> Iterator[pa.Table]:
    yield first
    del first  # so that it is not kept in memory while the rest is read
    yield from rest


def _checked(schema: pa.Schema, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    for number, table in enumerate(tables):
        if not table.schema.equals(schema):
            raise DataMismatch(f"batch {number} has other columns than the first: {_difference(schema, table.schema)}")
        yield table


def _difference(expected: pa.Schema, found: pa.Schema) -> str:
    if expected.names != found.names:
        return f"expected {', '.join(expected.names)}; found {', '.join(found.names)}"
    pairs = zip(expected, found, strict=True)
    return next(f"column {one.name!r} was {one.type}, now {two.type}" for one, two in pairs if not one.equals(two))


def _slices(table: pa.Table, rows: int) -> Iterator[pa.Table]:
    for start in range(0, table.num_rows, rows):
        yield slice_rows(table, start, rows)


def _fill_exactly(schema: pa.Schema, batches: Iterable[pa.Table], boundaries: Sequence[int]) -> Iterator[pa.Table]:
    held: list[pa.Table] = []
    have = total = 0
    ends = iter(boundaries)
    want = next(ends, None)
    for batch in batches:
        total += batch.num_rows
        rest = batch
        while want is not None and have + rest.num_rows >= want:
            yield joined(schema, [*held, slice_rows(rest, 0, want - have)])
            rest, held, have, want = slice_rows(rest, want - have), [], 0, next(ends, None)
        if rest.num_rows:
            held.append(rest)
            have += rest.num_rows
    while want == 0 and not held:
        yield joined(schema, [])
        want = next(ends, None)
    if held or want is not None:
        raise _wrong_rows(sum(boundaries), total)


def joined(schema: pa.Schema, tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of all `tables`, which may be none, without a copy."""
    if not schema.names:
        return rows_only(schema, sum(table.num_rows for table in tables))
    return pa.concat_tables(tables) if tables else schema.empty_table()


def slice_rows(table: pa.Table, start: int, rows: int | None = None) -> pa.Table:
    """`table.slice`, which forgets the number of rows where there are no columns."""
    if table.num_columns:
        return table.slice(start, rows)
    left = max(table.num_rows - start, 0)
    return rows_only(table.schema, left if rows is None else min(rows, left))


def rows_only(schema: pa.Schema, rows: int) -> pa.Table:
    """A table that is only a number of rows; Arrow makes one by taking the columns away from another."""
    return pa.table({"": pa.nulls(rows)}, metadata=schema.metadata).select([])


def _as_table(batch: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([batch]) if batch.num_columns else rows_only(batch.schema, batch.num_rows)


def _wrong_rows(expected: int, found: int) -> DataMismatch:
    return DataMismatch(f"{expected} rows were expected, beside columns that are there already, and {found} came")
