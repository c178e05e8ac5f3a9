"""Writing what a module yields, as it comes: of each fragment only the columns that no input has already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from module_sdk.executor.borrowing import Ranges, ends_of
from module_sdk.executor.compose import Lane, bytes_of, compose
from module_sdk.executor.inputs import Given
from module_sdk.executor.untouched import Places, Run, same_kind
from plugmesh.contracts.data import DataRef, Fragment
from plugmesh.data.schema import make_schema_ipc, schema_of
from plugmesh.objects.port import ObjectStore, remote_of

if TYPE_CHECKING:
    import pyarrow as pa

    from plugmesh.data.columns import ColumnFile

_LEAST_BYTES = 256 * 1024
"""A part of a column that is smaller is written: it costs less than a fragment in pieces."""
_MOST_RUNS = 8
_LEAST_SHARE = 4
"""Rows are borrowed as long as at least a quarter of those before them came back too: what is borrowed is kept for as long."""
_MOST_STREAMS = 50_000
"""Columns times fragments of inputs that are looked up."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """A table that was written as it came. `passed` are columns of which nothing was written."""

    ref: DataRef
    written: tuple[str, ...]
    passed: tuple[str, ...]

    @property
    def bytes_written(self) -> int:
        """Those of the columns that are new, as a whole or in part."""
        return bytes_of(self.ref, self.written)


def write_stream(
    store: ObjectStore, key: str, reader: pa.RecordBatchReader, given: Sequence[Given], rows: int | None
) -> Streamed:
    """Write batches under `key`; `rows` is about how many there will be. Errors as `write_table`."""
    from plugmesh.data.table import write_table  # takes pyarrow along

    names: tuple[str, ...] = tuple(reader.schema.names)
    sources = [
        (one, found) for one in given if _can_be_looked_up(store, one) and (found := _same_columns(one, reader.schema))
    ]
    if not sources or len(set(names)) < len(names):
        return Streamed(write_table(store, key, reader, rows=rows), names, ())
    return _Writer(store, sources, reader.schema).write(key, reader, rows)


def _can_be_looked_up(store: ObjectStore, given: Given) -> bool:
    """Whether a stream that is read a second time is where it was: else all of it would be in memory, and elsewhere."""
    remote = remote_of(store)
    return remote is None or remote.is_mapped or hasattr(given.value, "num_rows")


def _same_columns(given: Given, schema: pa.Schema) -> list[str]:
    """The columns that came back by name and type, if it is not too much to look them up."""
    if not isinstance(given.ref, DataRef) or given.columns is None:
        return []
    theirs = schema_of(given.ref)
    found = [
        name for name in given.columns if name in schema.names and same_kind(theirs.field(name), schema.field(name))
    ]
    return found if len(found) * len(given.ref.fragments) <= _MOST_STREAMS else []


class _Writer:
    def __init__(self, store: ObjectStore, sources: Sequence[tuple[Given, list[str]]], schema: pa.Schema) -> None:
        from plugmesh.data.table import read_table  # takes pyarrow along

        self._schema = schema
        self._names = {name for _, names in sources for name in names}
        self._refs = [one.ref for one, _ in sources if isinstance(one.ref, DataRef)]
        # Of a stream the same maps again, no byte of which is read.
        tables = [
            one.value.select(names) if hasattr(one.value, "num_rows") else read_table(store, ref, names)
            for (one, names), ref in zip(sources, self._refs, strict=True)
        ]
        self._store, self._places = store, Places(tables)
        self._written: dict[str, None] = {}
        self._rows = 0

    def write(self, key: str, reader: pa.RecordBatchReader, rows: int | None) -> Streamed:
        from plugmesh.data.columns import ColumnFile  # takes pyarrow along
        from plugmesh.data.fragments import Cut, as_tables  # takes pyarrow along

        schema, batches = as_tables(reader, None)
        fragments: list[Fragment] = []
        with ColumnFile(self._store, key, None, rows) as file:
            for piece in Cut().batches(schema, batches):
                self._rows += piece.num_rows
                fragments += self._piece(file, piece)
            file.commit()
        fragments = [file.finished(fragment) for fragment in fragments]
        ref = DataRef(schema_ipc=make_schema_ipc(schema), rows=self._rows, fragments=tuple(fragments))
        passed = tuple(name for name in schema.names if name not in self._written) if ref.rows else ()
        return Streamed(ref, tuple(name for name in schema.names if name not in passed), passed)

    def _piece(self, file: ColumnFile, piece: pa.Table) -> Sequence[Fragment]:
        columns = self._borrowed(piece)
        new = [name for name in piece.column_names if name not in columns]
        self._written |= dict.fromkeys(new)
        if not columns:
            return [file.add(piece)]
        if new:
            ours = Lane.whole(DataRef(schema_ipc="", rows=piece.num_rows, fragments=(file.add(piece.select(new)),)))
            columns |= {name: (ours, name) for name in new}
        cuts = {end for lane, _ in columns.values() for end in ends_of(lane)}
        ordered = {name: columns[name] for name in piece.column_names}
        return compose(self._schema, ordered, sorted(cuts)).fragments

    def _borrowed(self, piece: pa.Table) -> dict[str, tuple[Lane, str]]:
        lanes: dict[Ranges, Lane] = {}
        columns: dict[str, tuple[Lane, str]] = {}
        for index, name in enumerate(piece.column_names):
            column = piece.column(index)
            if name not in self._names or column.nbytes < _LEAST_BYTES:
                continue
            runs = self._places.runs(name, column, piece.schema.field(index))
            if runs is not None and self._is_worth_it(runs):
                ranges = tuple([(run.source, run.start, run.rows) for run in runs])
                lane = lanes.setdefault(ranges, Lane(tuple([(self._refs[s], first, n) for s, first, n in ranges])))
                columns[name] = lane, runs[0].name
        return columns

    def _is_worth_it(self, runs: Sequence[Run]) -> bool:
        return len(runs) <= _MOST_RUNS and max(run.start + run.rows for run in runs) <= _LEAST_SHARE * self._rows
