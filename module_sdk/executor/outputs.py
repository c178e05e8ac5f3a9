"""From what a module returned to references: only columns that it made are written, the others are borrowed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from module_sdk.executor.borrowing import Borrowing, ends_of, most_fragments
from module_sdk.executor.compose import Lane, bytes_of, compose
from module_sdk.executor.inputs import Given
from module_sdk.executor.rest import rows_of_rest
from module_sdk.executor.streamed import write_stream
from module_sdk.executor.table_rows import taken
from module_sdk.invoke import Caller, Passed, Picked, WrongReturn
from module_sdk.wanted import Wanted
from plugmesh.contracts.data import DataRef, FileRef, Reference, ValueRef
from plugmesh.contracts.messages import Assign
from plugmesh.contracts.module import OutputPort
from plugmesh.data.reference import rename, select
from plugmesh.data.schema import schema_of
from plugmesh.objects.port import ObjectStore
from plugmesh.planner.names import chosen

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(slots=True)
class Written:
    """The references of an attempt's outputs, and what it cost; columns are listed by port."""

    outputs: dict[str, Reference] = field(default_factory=dict)
    written: dict[str, tuple[str, ...]] = field(default_factory=dict)
    passed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rows: int = 0
    rows_passed: int = 0
    bytes_written: int = 0
    bytes_passed: int = 0


@dataclass(frozen=True, slots=True)
class Outputs:
    """Writes the outputs of one attempt. `key` makes a new object key that ends in a word."""

    store: ObjectStore
    caller: Caller
    assign: Assign
    inputs: Mapping[str, Sequence[Given]]
    key: Callable[[str], str]

    def write(self, collected: Mapping[str, Any]) -> Written:
        """Raises `WrongReturn`, `DataMismatch`, `StoreFull`."""
        written = Written()
        for port, value in collected.items():
            written.outputs[port] = self._one(written, port, value)
        return written

    def _one(self, written: Written, port: str, value: Any) -> Reference:
        if isinstance(value, Passed):
            return self._pass(written, port, self.inputs[value.port][value.index], value.port)
        if isinstance(value, Picked):
            return self._table(written, port, value.table, value)
        if isinstance(value, FileRef):
            written.bytes_written += value.bytes
            return value
        if isinstance(value, ValueRef):
            return value
        return self._table(written, port, value)

    def _pass(self, written: Written, port: str, given: Given, source: str) -> Reference:
        """An input that came back as it was: its reference goes on, if the output's promises hold for it."""
        if not isinstance(given.ref, DataRef) or given.columns is None:
            return given.reference
        declared = self._declared(port)
        whole = not given.partial or declared.passes == source
        ref = given.ref if whole else select(given.ref, given.columns)
        used = self._used(port, ref)
        whole = whole and used is ref
        written.rows += ref.rows
        written.rows_passed += ref.rows
        written.bytes_passed += given.bytes if not given.partial and used is ref else bytes_of(used)
        written.passed[port] = given.columns if used is ref else tuple(schema_of(used).names)
        return given.reference if whole else self._unbind(declared, used)

    def _used(self, port: str, ref: DataRef) -> DataRef:
        """Without the columns that the plan says nobody uses: whatever a module returns, its output has the same ones."""
        wanted = None if self.assign.wanted is None else self.assign.wanted.get(port)
        if wanted is None:
            return ref
        names = schema_of(ref).names
        used = chosen(names, wanted) or names[:1]
        return ref if len(used) == len(names) else select(ref, used)

    def _table(self, written: Written, port: str, value: Any, picked: Picked | None = None) -> DataRef:
        declared = self._declared(port)
        rest = None if declared.passes is None else self._rest(declared, value.schema.names)
        if rest is None and self.assign.wanted is not None and port in self.assign.wanted:
            value = Wanted(self.assign.wanted[port]).of(value)
        if hasattr(value, "num_rows"):
            made = self._beside(declared, value, rest, picked)
        else:
            made = self._streamed(declared, value, rest)
        ref = made.ref
        written.written[port] = made.written
        if made.passed:
            written.passed[port] = made.passed
            written.bytes_passed += bytes_of(ref, made.passed)
            written.rows_passed += ref.rows
        written.bytes_written += made.bytes_written
        written.rows += ref.rows
        return self._unbind(declared, self._used(port, ref))

    def _streamed(self, declared: OutputPort, value: pa.RecordBatchReader, rest: _Rest | None) -> _Made:
        """A stream is written as it comes. What it promised can only be checked when all of it was read."""
        if rest is not None:
            rows_of_rest(self.caller.ref, declared, rest.names, same=self._same)
        same = self._same_rows(declared)
        expected = same.ref.rows if same is not None and isinstance(same.ref, DataRef) else None
        given = [one for found in self.inputs.values() for one in found]
        streamed = write_stream(self.store, self.key(declared.name), value, given, expected)
        ref = streamed.ref
        self._check_streamed(declared, ref)
        if rest is None:
            return _Made(ref, streamed.written, streamed.passed, streamed.bytes_written)
        lane, ours = Lane.whole(rest.ref), Lane.whole(ref)
        names: tuple[str, ...] = tuple(value.schema.names)
        columns = {name: (lane, name) for name in rest.names} | {name: (ours, name) for name in names}
        # Written as it came: to wait for the end of a long fragment beside it would take the memory for that.
        made = self._composed(
            value.schema, columns, sorted({*ends_of(lane), *ends_of(ours)}), rest, ref=ref, made=names
        )
        passed = (*made.passed, *streamed.passed)
        return made._replace(written=streamed.written, passed=passed, bytes_written=streamed.bytes_written)

    def _check_streamed(self, declared: OutputPort, ref: DataRef) -> None:
        given = self._same_rows(declared)
        if given is not None and isinstance(given.ref, DataRef) and given.ref.rows != ref.rows:
            raise WrongReturn(
                f'{self.caller.ref}: it promises rows="same", but its input has {given.ref.rows} rows and what it yielded '
                f"for the output {declared.name!r} has {ref.rows}: yield every row once and in order",
                declared.name,
            )

    def _beside(self, declared: OutputPort, value: pa.Table, rest: _Rest | None, picked: Picked | None) -> _Made:
        """New columns are written with the fragments of those that are borrowed; as one, if these are very many."""
        borrowing = self._borrowing(value)
        if rest is not None:
            rest = self._with_rows(declared, value, rest, picked, borrowing)
        lane = None if rest is None or rest.table is not None else Lane.whole(rest.ref)
        borrowed = borrowing.borrow(lane)
        columns, cuts = borrowed.columns, borrowed.cuts
        new = value.select([name for name in value.schema.names if name not in columns]) if columns else value
        if rest is None and not columns:
            all_new = self._write(declared.name, new, None)
            return _Made(all_new, tuple(new.schema.names), (), bytes_of(all_new))
        if rest is not None and rest.table is not None:
            new = _side_by_side(new, rest.table)
        elif rest is not None and lane is not None:
            columns |= {name: (lane, name) for name in rest.names}
        ref: DataRef | None = None
        if new.num_columns and value.num_rows:
            few = 0 < len(cuts) <= most_fragments(value.num_rows)
            ref = self._write(declared.name, new, [end - start for start, end in pairwise([0, *cuts])] if few else None)
            ours = Lane.whole(ref)
            columns |= {name: (ours, name) for name in new.schema.names}
            cuts = cuts if few else sorted({*cuts, *ends_of(ours)})
        made = () if ref is None else tuple(new.schema.names)
        return self._composed(value.schema, columns, cuts, rest, ref=ref, made=made)

    def _composed(
        self,
        schema: pa.Schema,
        columns: Mapping[str, tuple[Lane, str]],
        cuts: Sequence[int],
        rest: _Rest | None,
        *,
        ref: DataRef | None,
        made: tuple[str, ...],
    ) -> _Made:
        """Where columns pass by, in the order that the input has them; new ones behind. `ref` has those that were `made`."""
        import pyarrow as pa

        fields = {field.name: field for field in schema}
        order = list(fields)
        if rest is not None:
            theirs = rest.schema
            fields |= {name: theirs.field(name) for name in rest.names}
            first = {name: None for name in theirs.names if name in fields}
            order = [*first, *(name for name in order if name not in first)]
        whole = pa.schema([fields[name] for name in order], schema.metadata)
        composed = compose(whole, {name: columns[name] for name in order if name in columns}, cuts)
        new = frozenset(made)
        passed = tuple([name for name in order if name in columns and name not in new])
        return _Made(composed, made, passed, 0 if ref is None else bytes_of(ref))

    def _with_rows(
        self, declared: OutputPort, value: pa.Table, rest: _Rest, picked: Picked | None, borrowing: Borrowing
    ) -> _Rest:
        """The columns that pass by, with the rows that belong beside those that were returned."""
        if not value.num_rows:
            return rest._replace(table=_no_rows(rest))
        source = next((index for index, one in enumerate(self._tables()) if one is rest.given), -1)
        rows = rows_of_rest(
            self.caller.ref,
            declared,
            rest.names,
            same=self._same,
            picked=picked,
            comes_back=lambda: borrowing.proves_rows(source),
        )
        if rows is None:
            return rest
        from plugmesh.data.table import read_table  # takes pyarrow along

        return rest._replace(table=taken(read_table(self.store, rest.ref, rest.names), rows))

    def _borrowing(self, value: pa.Table) -> Borrowing:
        given = self._tables()
        refs = [one.ref for one in given if isinstance(one.ref, DataRef)]
        return Borrowing(value, [one.value for one in given], refs, given[0].places if len(given) == 1 else None)

    def _rest(self, declared: OutputPort, returned: Collection[str]) -> _Rest | None:
        """Columns that pass through the output, but were not handed to the module."""
        given = self._passing_input(declared)
        if given is None or not given.partial or not isinstance(given.ref, DataRef):
            return None
        out = {*(given.columns or ()), *declared.drops, *returned}
        wanted = None if self.assign.wanted is None else self.assign.wanted.get(declared.name)
        schema = schema_of(given.ref)
        names = tuple([name for name in chosen(schema.names, wanted) if name not in out])
        return _Rest(given, given.ref, schema, names) if names else None

    def _passing_input(self, declared: OutputPort) -> Given | None:
        if declared.passes is None:
            return None
        return next(iter(self.inputs.get(declared.passes, ())), None)

    def _tables(self) -> list[Given]:
        """The tables that were handed over whole, not as streams."""
        return [given for values in self.inputs.values() for given in values if hasattr(given.value, "num_rows")]

    def _same_rows(self, declared: OutputPort) -> Given | None:
        """The input that has as many rows, if the module promises that."""
        if not self._same:
            return None
        tables = (one for found in self.inputs.values() for one in found if isinstance(one.ref, DataRef))
        return self._passing_input(declared) or next(tables, None)

    @property
    def _same(self) -> bool:
        return self.caller.module.contract.traits.rows == "same"

    def _declared(self, port: str) -> OutputPort:
        return self.caller.columns.output(port, self.assign.params)

    def _write(self, port: str, value: pa.Table | pa.RecordBatchReader, rows: Sequence[int] | None) -> DataRef:
        from plugmesh.data.table import write_table  # takes pyarrow along

        return write_table(self.store, self.key(port), value, boundaries=rows)

    def _unbind(self, declared: OutputPort, ref: DataRef) -> DataRef:
        """Columns that were bound to the module's names get their own back, unless the module declares them as its."""
        if not self.assign.bind:
            return ref
        names = schema_of(ref).names
        back = {
            ours: theirs for ours, theirs in self.assign.bind.items() if ours in names and ours not in declared.columns
        }
        return rename(ref, back) if back else ref


class _Rest(NamedTuple):
    """Columns of an input that was handed over in part. `schema` is that of all of it. `table`: they have other rows than
    there, and are these."""

    given: Given
    ref: DataRef
    schema: pa.Schema
    names: tuple[str, ...]
    table: pa.Table | None = None


class _Made(NamedTuple):
    ref: DataRef
    written: tuple[str, ...]
    passed: tuple[str, ...]
    bytes_written: int


def _side_by_side(one: pa.Table, two: pa.Table) -> pa.Table:
    import pyarrow as pa

    return pa.table([*one.columns, *two.columns], schema=pa.schema([*one.schema, *two.schema], one.schema.metadata))


def _no_rows(rest: _Rest) -> pa.Table:
    import pyarrow as pa

    return pa.schema([rest.schema.field(name) for name in rest.names]).empty_table()
