"""From what a module returned to references: only columns that it made are written, the others are borrowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from module_sdk.executor.compose import bytes_of, compose
from module_sdk.executor.inputs import Given
from module_sdk.executor.untouched import untouched
from module_sdk.invoke import Caller, Passed, WrongReturn
from plugmesh.contracts.data import DataRef, FileRef, Reference, ValueRef
from plugmesh.contracts.messages import Assign
from plugmesh.contracts.module import OutputPort
from plugmesh.data.reference import rename, select
from plugmesh.data.schema import schema_of
from plugmesh.objects.port import ObjectStore

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
        written.rows += ref.rows
        written.rows_passed += ref.rows
        written.bytes_passed += given.bytes if not given.partial else bytes_of(ref)
        written.passed[port] = given.columns
        return given.reference if whole else self._unbind(declared, ref)

    def _table(self, written: Written, port: str, value: pa.Table | pa.RecordBatchReader) -> DataRef:
        declared = self._declared(port)
        unsent = self._unsent(declared)
        partner, kept = self._partner(declared, value, unsent)
        if partner is None:
            ref = self._write(port, value, None)
            written.written[port] = tuple(value.schema.names)
            written.bytes_written += bytes_of(ref)
        else:
            ref = self._beside(written, port, value, partner=partner, kept=kept, unsent=unsent)
        self._check_streamed(declared, value, ref)
        written.rows += ref.rows
        return self._unbind(declared, ref)

    def _check_streamed(self, declared: OutputPort, value: Any, ref: DataRef) -> None:
        """`rows="same"` of a stream can only be checked when all of it was read."""
        if hasattr(value, "num_rows") or self.caller.module.contract.traits.rows != "same":
            return
        given = self._passing_input(declared) or next(iter(self._tables()), None)
        if given is not None and isinstance(given.ref, DataRef) and given.ref.rows != ref.rows:
            raise WrongReturn(
                f'{self.caller.ref}: it promises rows="same", but its input has {given.ref.rows} rows and what it yielded '
                f"for the output {declared.name!r} has {ref.rows}: yield every row once and in order",
                declared.name,
            )

    def _beside(
        self,
        written: Written,
        port: str,
        value: Any,
        *,
        partner: Given,
        kept: Mapping[str, str],
        unsent: Sequence[str],
    ) -> DataRef:
        """New columns are written with the partner's fragments, the others are the partner's own."""
        import pyarrow as pa

        source = partner.ref
        assert isinstance(source, DataRef)
        rows = [fragment.rows for fragment in source.fragments]
        made = [name for name in value.schema.names if name not in kept]
        ref = self._write(port, value.select(made) if kept else value, rows) if made else None
        theirs = schema_of(source)
        sources: dict[str, tuple[DataRef, str]] = {name: (source, name) for name in unsent if name not in made}
        fields = {name: theirs.field(name) for name in sources}
        for name in value.schema.names:
            fields[name] = value.schema.field(name)
            sources[name] = (source, kept[name]) if name in kept else (_there(ref), name)
        order = [name for name in theirs.names if name in sources] if unsent else []
        order += [name for name in value.schema.names if name not in order]
        composed = compose(
            pa.schema([fields[name] for name in order], value.schema.metadata),
            {name: sources[name] for name in order},
            rows,
        )
        written.written[port] = tuple(made)
        written.passed[port] = tuple(name for name in order if name not in made)
        written.bytes_written += 0 if ref is None else bytes_of(ref)
        written.bytes_passed += bytes_of(composed, written.passed[port])
        written.rows_passed += composed.rows if written.passed[port] else 0
        return composed

    def _partner(
        self, declared: OutputPort, value: Any, unsent: Sequence[str]
    ) -> tuple[Given | None, Mapping[str, str]]:
        """The input whose rows the output has, and which of its columns came back untouched."""
        best: Given | None = None
        kept: Mapping[str, str] = {}
        if hasattr(value, "num_rows"):
            for given in self._tables():
                if hasattr(given.value, "num_rows"):
                    found = untouched(value, given.value, given.columns or ())
                    if len(found) > len(kept):
                        best, kept = given, found
        passing = self._passing_input(declared)
        if passing is None or passing is best or not unsent:
            return best, kept
        if self.caller.module.contract.traits.rows != "same":
            raise WrongReturn(
                f"{self.caller.ref}: columns of {declared.passes!r} that it was not handed must pass through the output "
                f'{declared.name!r}, but nothing says that the rows are the same: declare rows="same", return one of the '
                'columns unchanged, or take all columns ("...": True in the input)'
            )
        return passing, {}

    def _unsent(self, declared: OutputPort) -> tuple[str, ...]:
        """Columns that pass through the output, but were not handed to the module."""
        given = self._passing_input(declared)
        if given is None or not given.partial or not isinstance(given.ref, DataRef):
            return ()
        handed = frozenset(given.columns or ())
        return tuple(name for name in schema_of(given.ref).names if name not in handed and name not in declared.drops)

    def _passing_input(self, declared: OutputPort) -> Given | None:
        if declared.passes is None:
            return None
        return next(iter(self.inputs.get(declared.passes, ())), None)

    def _tables(self) -> list[Given]:
        return [given for values in self.inputs.values() for given in values if isinstance(given.ref, DataRef)]

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


def _there(ref: DataRef | None) -> DataRef:
    assert ref is not None
    return ref
