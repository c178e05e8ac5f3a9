"""The only table input of an attempt, so that a module can be called again without some of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from module_sdk.executor.inputs import Given, Inputs
from module_sdk.invoke import Caller, Prepared
from module_sdk.rejected import Rejected
from module_sdk.rejected_rows import REASON
from plugmesh.contracts.data import DataRef
from plugmesh.contracts.messages import Assign
from plugmesh.data.reference import rename
from plugmesh.data.schema import make_schema_ipc, schema_of
from plugmesh.objects.port import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa


class TableRows:
    """`module_sdk.row_calls.RowInput` over a reference. What is left of a table is written, with all its columns: so that
    those which the module does not read pass through as ever. `prepare` makes a call of other inputs."""

    def __init__(  # noqa: PLR0917  everything it touches is given to it
        self,
        store: ObjectStore,
        inputs: Inputs,
        assign: Assign,
        caller: Caller,
        port: str,
        given: Given,
        *,
        key: Callable[[str], str],
        rejected: Rejected,
        prepare: Callable[[str, Given], Prepared],
    ) -> None:
        assert isinstance(given.ref, DataRef)
        self._store, self._inputs, self._assign, self._caller = store, inputs, assign, caller
        self._port, self._given, self._ref = port, given, given.ref
        self._key, self._rejected, self._prepare = key, rejected, prepare
        self._written = 0
        self.rows = given.ref.rows
        self.value = given.value

    def part(self, start: int, rows: int) -> Prepared:
        """Without a copy. Only for a module that takes whole tables."""
        value = self._given.value.slice(start, rows)
        given = Given(self._given.reference, self._ref, value, self._given.columns, self._given.bytes, True)
        return self._prepare(self._port, given)

    def only(self, mask: pa.BooleanArray) -> Prepared:
        """Writes them, and hands them over as another input would be."""
        from plugmesh.data.table import write_table  # takes pyarrow along

        self._written += 1
        key = self._key(f"left-{self._written}")
        ref = write_table(self._store, key, self._pieces(mask), schema=schema_of(self._ref))
        return self._prepare(
            self._port, self._inputs.again(self._assign, self._caller, self._port, self._unbound(ref), ref)
        )

    def reject(self, mask: pa.BooleanArray, reason: str) -> None:
        """With all their columns. Raises `TooManyRejected`, `StoreFull`."""
        for piece in self._pieces(mask):
            self._rejected.keep(piece, reason)
        self._rejected.check()

    def _unbound(self, ref: DataRef) -> DataRef:
        """With the names that the columns had before the node bound them to the module's."""
        names = schema_of(ref).names
        back = {ours: theirs for ours, theirs in self._assign.bind.items() if ours in names}
        return rename(ref, back) if back else ref

    def _pieces(self, mask: pa.BooleanArray) -> Iterator[pa.Table]:
        from plugmesh.data.table import read_table  # takes pyarrow along

        start = 0
        for fragment in self._ref.fragments:
            ref = DataRef(schema_ipc=self._ref.schema_ipc, rows=fragment.rows, fragments=(fragment,))
            piece = chosen(read_table(self._store, ref), mask.slice(start, fragment.rows))
            start += fragment.rows
            if piece.num_rows:
                yield piece


def none_of(ref: DataRef | None) -> DataRef:
    """A table without rows that has the columns of `ref` and `_reason`, as rejected rows of it would have."""
    import pyarrow as pa

    fields = [] if ref is None else [field for field in schema_of(ref) if field.name != REASON]
    return DataRef(
        schema_ipc=make_schema_ipc(pa.schema([*fields, pa.field(REASON, pa.string())])), rows=0, fragments=()
    )


def chosen(table: pa.Table, mask: Any) -> pa.Table:
    """The rows for which the mask is true."""
    import pyarrow as pa

    try:
        return table.filter(mask)
    except pa.ArrowNotImplementedError:  # views and run ends: Arrow can slice them, and no more
        return pa.concat_tables([table.slice(0, 0), *(table.slice(start, rows) for start, rows in _stretches(mask))])


def taken(table: pa.Table, rows: pa.Int64Array) -> pa.Table:
    """These rows, in this order; a number may be there several times."""
    import pyarrow as pa

    try:
        return table.take(rows)
    except pa.ArrowNotImplementedError:  # views and run ends: Arrow can slice them, and no more
        return pa.concat_tables([table.slice(0, 0), *(table.slice(row, 1) for row in rows.to_pylist())])


def _stretches(mask: Any) -> Iterator[tuple[int, int]]:
    """Where rows that follow each other are true: from which, and how many."""
    start = -1
    for number, wanted in enumerate([*mask.to_pylist(), False]):
        if wanted and start < 0:
            start = number
        elif not wanted and start >= 0:
            yield start, number - start
            start = -1
