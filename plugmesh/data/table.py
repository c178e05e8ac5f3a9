"""Tables in the object store: written once as a column file, read back by reference, column by column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import pyarrow as pa

from plugmesh.contracts.data import ColumnGroup, ColumnSpan, DataRef, Fragment
from plugmesh.data.columns import ColumnFile, read_column
from plugmesh.data.fragments import (
    MAX_BYTES,
    MAX_ROWS,
    MAX_TABLE_BYTES,
    MAX_TABLE_ROWS,
    Batches,
    Cut,
    as_tables,
    joined,
    rows_only,
    slice_rows,
)
from plugmesh.data.pages import Pages
from plugmesh.data.schema import find_columns, make_schema_ipc, schema_of
from plugmesh.data.together import together
from plugmesh.errors import DataMismatch, ObjectCorrupt
from plugmesh.objects.port import ObjectStore, Readable

__all__ = ["make_schema_ipc", "read_batches", "read_rows", "read_table", "schema_of", "write_table"]

BATCH_ROWS = 256 * 1024
"""Most rows of a batch that `read_batches` hands out."""

Streams: TypeAlias = dict[tuple[str, int], pa.ChunkedArray]
"""By key and offset, all rows of a column that was read."""

_STREAM_BYTES = 1024  # of a column that are not its values


def write_table(
    store: ObjectStore,
    key: str,
    table: pa.Table | Batches,
    *,
    max_rows_per_fragment: int | None = None,
    max_bytes_per_fragment: int | None = None,
    boundaries: Sequence[int] | None = None,
    schema: pa.Schema | None = None,
    rows: int | None = None,
) -> DataRef:
    """Write a table, or batches as they come, as one object under `key`; nothing is left if it fails.

    A table becomes one fragment, if it is not very large; batches become fragments of about 64 MiB. `boundaries` are the
    rows of each fragment, for columns that are to be attached to another table. `schema` is for iterables of batches that
    may be empty; `rows` is about how many they will have, where that is known. A table without rows or columns makes no object.
    Raises `StoreFull`, `Conflict` (the key exists), `DataMismatch` (two columns of one name, batches that differ).
    """
    size: int | None = None
    if whole := isinstance(table, pa.Table):
        size = table.nbytes
        cut = Cut(max_rows_per_fragment or MAX_TABLE_ROWS, max_bytes_per_fragment or MAX_TABLE_BYTES, boundaries)
        schema, tables = table.schema, cut.table(table, size)
        size += _STREAM_BYTES * table.num_columns
    else:
        cut = Cut(max_rows_per_fragment or MAX_ROWS, max_bytes_per_fragment or MAX_BYTES, boundaries)
        schema, incoming = as_tables(table, schema)
        tables = cut.batches(schema, incoming)
    _check_names(schema)
    with ColumnFile(store, key, size, rows) as file:
        fragments = tuple([file.add(piece, contiguous=whole) for piece in tables])
        file.commit()
    fragments = tuple([file.finished(fragment) for fragment in fragments])
    return DataRef(
        schema_ipc=make_schema_ipc(schema), rows=sum(fragment.rows for fragment in fragments), fragments=fragments
    )


def read_table(
    store: ObjectStore, ref: DataRef, columns: Sequence[str] | None = None, *, verify: bool = False
) -> pa.Table:
    """The table, or some of its columns in the order asked for, over mapped bytes where the store maps.

    `verify` compares every byte with the reference's hashes.
    Raises `DataMismatch` (no such column), `ObjectMissing`, `ObjectCorrupt`.
    """
    schema = _projected(ref, columns)
    if len(ref.fragments) == 1:
        return _read_fragment(store, schema, ref.fragments[0], verify=verify)
    read: Streams = {}
    fragments = [_read_fragment(store, schema, fragment, verify=verify, read=read) for fragment in ref.fragments]
    return joined(schema, fragments)


def read_batches(store: ObjectStore, ref: DataRef, columns: Sequence[str] | None = None) -> pa.RecordBatchReader:
    """The same as a stream: a fragment is read when it is reached, and its pages are given back behind the reader, who may
    keep the batches all the same. Errors as `read_table`, some while reading."""
    schema = _projected(ref, columns)

    def batches() -> Iterator[pa.RecordBatch]:
        pages = Pages(store)
        for fragment in ref.fragments:
            passed = 0
            is_whole = all(group.rows is None for group in fragment.groups)
            for batch in _read_fragment(pages, schema, fragment, verify=False).to_batches(max_chunksize=BATCH_ROWS):
                yield batch
                passed += batch.num_rows
                if is_whole:
                    pages.passed(passed / fragment.rows)
            pages.leave()

    return pa.RecordBatchReader.from_batches(schema, batches())


def read_rows(
    store: ObjectStore, ref: DataRef, offset: int, limit: int, columns: Sequence[str] | None = None
) -> pa.Table:
    """At most `limit` rows from row `offset`; reads only the fragments that they lie in. Errors as `read_table`."""
    if offset < 0 or limit < 0:
        raise ValueError(f"offset {offset} and limit {limit} must not be negative")
    schema = _projected(ref, columns)
    pieces: list[pa.Table] = []
    start = 0
    for fragment in ref.fragments:
        first, end = max(offset - start, 0), min(offset + limit - start, fragment.rows)
        if first < end:
            pieces.append(slice_rows(_read_fragment(store, schema, fragment, verify=False), first, end - first))
        start += fragment.rows
    return joined(schema, pieces)


def _projected(ref: DataRef, columns: Sequence[str] | None) -> pa.Schema:
    schema = schema_of(ref)
    if columns is None:
        return schema
    find_columns(schema.names, columns)
    return pa.schema([schema.field(name) for name in columns], schema.metadata)


def _read_fragment(
    store: Readable, schema: pa.Schema, fragment: Fragment, *, verify: bool, read: Streams | None = None
) -> pa.Table:
    """`read`: what was read of the same table, for streams of which it has several parts."""
    if not schema.names:
        return rows_only(schema, fragment.rows)
    wanted = set(schema.names)
    spans = {span.name: (group, span) for group in fragment.groups for span in group.columns if span.name in wanted}
    if len(spans) > 1:
        store = together(store, spans.values())
    arrays = []
    for field in schema:
        group, span = _find_span(spans, field.name)
        if read is None or group.rows is None or group.start + fragment.rows > group.rows:
            arrays.append(read_column(store, group, span, field, fragment.rows, verify=verify))
            continue
        stream = read.get((group.key, span.offset))
        if stream is None or stream.type != field.type:
            of_all = ColumnGroup(key=group.key, columns=(span,), data=group.data)
            stream = read_column(store, of_all, span, field, group.rows, verify=verify)
            read[group.key, span.offset] = stream
        arrays.append(stream.slice(group.start, fragment.rows))
    return pa.Table.from_arrays(arrays, schema=schema)


def _find_span(spans: dict[str, tuple[ColumnGroup, ColumnSpan]], name: str) -> tuple[ColumnGroup, ColumnSpan]:
    try:
        return spans[name]
    except KeyError:
        raise ObjectCorrupt(f"the reference has a column {name!r} in its schema that a fragment lacks") from None


def _check_names(schema: pa.Schema) -> None:
    twice = [name for name, count in Counter(schema.names).items() if count > 1]
    if twice:
        raise DataMismatch(f"the table has more than one column called {twice[0]!r}: rename one of them")
