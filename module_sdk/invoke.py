"""One call of a module: from what its ports hold to arguments, and from what it returned to what its ports hold.

The executor and the test harness both go this way, so a module that passes its tests meets nothing new in the mesh.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from module_sdk.columns import Columns
from module_sdk.context import Context
from module_sdk.dataframes.adapters import adapter_for, from_native
from module_sdk.dataframes.handed import Handed
from module_sdk.dataframes.pandas_frames import RowIndex, has_all_rows, row_positions
from module_sdk.decorator import Module
from module_sdk.files import File
from module_sdk.params import ValuePort
from module_sdk.signature import PortParameter, Style
from module_sdk.workspace import FileWriter, Workspace
from plugmesh.contracts.data import VALUE_LIMIT_BYTES, FileRef, ValueRef, non_finite, value_bytes
from plugmesh.contracts.module import OutputPort, PortKind
from plugmesh.data.types import parse_type
from plugmesh.errors import DataMismatch, LimitExceeded

if TYPE_CHECKING:
    import pyarrow as pa

_WRAPPED = 50
"""Levels that are kept free for the messages and documents that a value travels in."""


@dataclass(frozen=True, slots=True)
class Passed:
    """The very object that input `port` was given as its `index`-th value came back: nothing needs to be written."""

    port: str
    index: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call ready to be made: `natives` are the objects handed over for what was `given`, by port.

    `handed` are the tables among them.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    natives: dict[str, tuple[Any, ...]]
    handed: tuple[Handed, ...]
    given: Mapping[str, Sequence[Any]]
    params: Mapping[str, Any]
    context: Context | None = None


@dataclass(frozen=True, slots=True)
class Picked:
    """A table that a module returned, and which rows of the first table of input `port` its rows are; `None`: all of them, in
    their order."""

    table: pa.Table
    port: str
    rows: pa.Int64Array | None


class WrongReturn(DataMismatch):
    """A module returned something that does not fit its outputs; correct its `return` or its `outputs=`."""

    code = "wrong-return"

    def __init__(self, message: str, port: str | None = None) -> None:
        super().__init__(message)
        self.port = port


class Caller:
    """Prepares calls of one module and reads their results; made once, used for every attempt."""

    def __init__(self, module: Module[..., Any]) -> None:
        self.module = module
        self.ref = module.contract.ref
        self._outputs = {port.name: port for port in module.contract.outputs}
        signature = module.signature
        self._ports = {port.name: port for port in signature.ports}
        self._adapters = {port.name: adapter_for(port.annotation) for port in signature.ports if _is_table(port)}
        self._numbered = frozenset(name for name in self._adapters if self._is_numbered(name))
        self.columns = Columns(module.contract, self._numbered)
        self._readers: dict[str, Callable[[Any, Workspace], Any]] = {
            port.name: self._reader(port) for port in signature.ports if not _is_table(port)
        }

    def streams(self, port: str) -> bool:
        """Whether the function takes this port's table batch by batch: it may be given as a `pa.RecordBatchReader`."""
        adapter = self._adapters.get(port)
        return adapter is not None and adapter.streams

    def prepare(
        self,
        inputs: Mapping[str, Sequence[Any]],
        params: Mapping[str, Any],
        workspace: Workspace,
        context: Context | None,
        *,
        local_files: bool = False,
        partial: Collection[str] = (),
    ) -> Prepared:
        """The arguments for `inputs` (tables, `FileRef`s or JSON values, by port). Raises `DataMismatch`,
        `InvalidParams`.

        `partial` are the inputs of which the module is not handed all columns.
        """
        natives: dict[str, tuple[Any, ...]] = {}
        handed: list[Handed] = []
        for name in self._ports:
            adapter = self._adapters.get(name)
            if adapter is None:
                natives[name] = tuple([self._readers[name](value, workspace) for value in inputs.get(name, ())])
                continue
            tables = inputs.get(name, ())
            rows = RowIndex(tables[0].num_rows) if name in partial and name in self._numbered else None
            ours = [adapter.hand_over(table, name, index, rows) for index, table in enumerate(tables)]
            natives[name] = tuple([one.native for one in ours])
            handed += ours
        kwargs = self.module.params.arguments(params, workspace.file, local_files=local_files)
        place = self.module.signature.context
        if place is not None and not place.positional:
            kwargs[place.name] = context
        args: list[Any] = []
        for name in self.module.signature.order:
            if name in self._ports:
                args.extend(self._arguments(self._ports[name], natives[name]))
            else:
                args.append(context)
        return Prepared(tuple(args), kwargs, natives, tuple(handed), inputs, params, context)

    def collect(self, returned: Any, prepared: Prepared, workspace: Workspace) -> dict[str, Any]:
        """What each output port holds: `Passed`, `Picked`, a `pa.Table` or `pa.RecordBatchReader`, a `FileRef` or a
        `ValueRef`. Raises `WrongReturn`."""
        return {
            name: self._output(self._outputs[name], value, prepared, workspace)
            for name, value in self._by_port(returned).items()
        }

    def _reader(self, port: PortParameter) -> Callable[[Any, Workspace], Any]:
        if port.kind is PortKind.FILE:
            return _read_file
        value = ValuePort(self.module.signature.place, port.name, port.annotation)
        return lambda given, _: value.read(given)

    def _arguments(self, port: PortParameter, values: tuple[Any, ...]) -> Iterable[Any]:
        if port.style is Style.STAR:
            return values
        if port.style is Style.LIST:
            return [list(values)] if values or not port.optional else [None]
        if len(values) > 1:
            raise DataMismatch(f"{self.ref}: the port {port.name!r} takes one input, but has {len(values)}")
        if not values and not port.optional:
            raise DataMismatch(f"{self.ref}: the port {port.name!r} has no input: connect it")
        return values or [None]

    def _by_port(self, returned: Any) -> Mapping[str, Any]:
        names = list(self._outputs)
        if not names:
            if returned is not None:
                raise self._wrong(f"it returned {_what(returned)}, but has no outputs: return nothing")
            return {}
        if len(names) == 1:
            port = self._outputs[names[0]]
            named = isinstance(returned, Mapping) and list(returned) == names and port.kind is not PortKind.VALUE
            return returned if named else {names[0]: returned}
        if not isinstance(returned, Mapping):
            raise self._wrong(f"it returned {_what(returned)}, expected a dict with the outputs {', '.join(names)}")
        if set(returned) != set(names):
            found = ", ".join(map(str, returned)) or "none"
            raise self._wrong(f"it returned a dict with {found}, expected the outputs {', '.join(names)}")
        return returned

    def _output(self, port: OutputPort, value: Any, prepared: Prepared, workspace: Workspace) -> Any:
        passed = self._passed(port, value, prepared)
        if port.kind is PortKind.TABLE:
            return self._checked(port, value, passed, prepared)
        if passed is not None:
            return passed
        return self._value(port, value) if port.kind is PortKind.VALUE else self._file(port, value, workspace)

    def _checked(self, port: OutputPort, value: Any, passed: Passed | None, prepared: Prepared) -> Any:
        """A table that has the columns and rows that the contract promises."""
        if port.drops:
            table = _without(
                self._table(port, value, prepared.handed), self.columns.output(port.name, prepared.params).drops
            )
            passed = None
        elif passed is None:
            table = self._table(port, value, prepared.handed)
        elif port.open:
            return passed
        else:
            table = prepared.given[passed.port][passed.index]
        given = {name: values[0] for name, values in prepared.given.items() if values and hasattr(values[0], "schema")}
        wanted = None if prepared.context is None else prepared.context.wanted(port.name)
        self.columns.check_output(port.name, table, given, prepared.params, wanted)
        if passed is not None:
            return passed
        return table if port.passes is None else self._picked(port, value, table, prepared)

    def _picked(self, port: OutputPort, value: Any, table: pa.Table, prepared: Prepared) -> pa.Table | Picked:
        """With its rows, if it is a frame that still knows which rows of the input they are."""
        for one in prepared.handed:
            if (
                one.rows is not None
                and one.port == port.passes
                and type(value).__module__.partition(".")[0] == "pandas"
            ):
                if has_all_rows(value, one.rows):
                    return Picked(table, one.port, None)
                rows = row_positions(value, one.rows)
                return table if rows is None else Picked(table, one.port, rows)
        return table

    def _is_numbered(self, port: str) -> bool:
        """Whether the rows of the frame for an input can be told apart later, and have to be: other columns pass it by."""
        passes = any(output.passes == port for output in self._outputs.values())
        return passes and self._adapters[port].picks_rows and self._ports[port].style is Style.SINGLE

    def _passed(self, port: OutputPort, value: Any, prepared: Prepared) -> Passed | None:
        """The input that came back as it was; one that was changed in place is an output like any other."""
        if port.kind is PortKind.TABLE:
            for one in prepared.handed:
                if one.native is value and self._adapters[one.port].unchanged(one):
                    return Passed(one.port, one.index)
            return None
        for name, values in prepared.natives.items():
            for index, native in enumerate(values):
                if native is value and value is not None and self._ports[name].kind is port.kind:
                    return Passed(name, index)
        return None

    def _table(
        self, port: OutputPort, value: Any, given: Sequence[Handed] = (), *, part: bool = False
    ) -> pa.Table | pa.RecordBatchReader:
        if value is None:
            raise self._wrong(
                f"it returned nothing for the output {port.name!r}, expected a table: is a `return` missing?", port.name
            )
        if isinstance(value, Iterator) and not hasattr(value, "__arrow_c_stream__"):
            return self._stream(port, value, given)
        try:
            return from_native(value, given=given, part=part)
        except DataMismatch as error:
            raise self._wrong(
                f"what it returned for the output {port.name!r} is no table: {error}", port.name
            ) from error

    def _stream(
        self, port: OutputPort, chunks: Iterator[Any], given: Sequence[Handed]
    ) -> pa.Table | pa.RecordBatchReader:
        """A reader over what a generator yields; its code runs while the reader is read."""
        import pyarrow as pa

        first = next(chunks, None)
        if first is None:
            return self._empty(port)
        head = self._chunk(port, first, given)

        def batches() -> Iterator[pa.RecordBatch]:
            yield from head
            for chunk in chunks:
                yield from self._chunk(port, chunk, given)

        return pa.RecordBatchReader.from_batches(head.schema, batches())

    def _chunk(self, port: OutputPort, chunk: Any, given: Sequence[Handed]) -> pa.RecordBatchReader:
        frame = self._table(port, chunk, given, part=True)
        return frame.to_reader() if hasattr(frame, "to_reader") else frame

    def _empty(self, port: OutputPort) -> pa.Table:
        import pyarrow as pa

        if port.open or port.passes is not None:
            raise self._wrong(
                f"it yielded nothing for the output {port.name!r}, so its columns are unknown: yield one empty table "
                "with the right columns, or declare them in outputs=",
                port.name,
            )
        types = [pa.field(name, parse_type(kind) or pa.null()) for name, kind in port.columns.items()]
        return pa.schema(types).empty_table()

    def _file(self, port: OutputPort, value: Any, workspace: Workspace) -> FileRef:
        if isinstance(value, FileWriter):
            return value.ref
        if isinstance(value, File):
            return value.ref
        if isinstance(value, Path):
            return workspace.upload(value)
        raise self._wrong(
            f"it returned {_what(value)} for the output {port.name!r}, expected a file: what ctx.create_file() gave, "
            "a File, or a pathlib.Path",
            port.name,
        )

    def _value(self, port: OutputPort, value: Any) -> ValueRef:
        try:
            size = value_bytes(value)
            reference = ValueRef(value=value)
        except ValueError as error:  # pydantic's errors are ValueErrors
            raise self._wrong(
                f"it returned {_what(value)} for the output {port.name!r}, expected a JSON value", port.name
            ) from error
        if (odd := non_finite(value)) is not None:
            raise self._wrong(
                f"it returned {_what(value)} for the output {port.name!r} with {odd} in it, which JSON has no number for: "
                "return None or text in its place",
                port.name,
            )
        if size > VALUE_LIMIT_BYTES:
            raise LimitExceeded(
                f"{self.ref}: the value at output {port.name!r} has {size} bytes of JSON, over the limit of "
                f"{VALUE_LIMIT_BYTES}: return a table or a file instead"
            )
        try:
            from_json(b"[" * _WRAPPED + reference.model_dump_json().encode() + b"]" * _WRAPPED)
        except ValueError as error:
            raise self._wrong(
                f"it returned {_what(value)} for the output {port.name!r} that cannot be read as JSON again "
                f"({str(error).partition(' at line')[0]}): return text for huge numbers, and nest less deeply",
                port.name,
            ) from error
        return reference

    def _wrong(self, problem: str, port: str | None = None) -> WrongReturn:
        place = self.module.signature.place
        return WrongReturn(f"{self.ref} ({place.file}:{place.line}): {problem}", port)


def _is_table(port: PortParameter) -> bool:
    return port.kind is PortKind.TABLE


def _without(table: pa.Table | pa.RecordBatchReader, drops: Sequence[str]) -> pa.Table | pa.RecordBatchReader:
    """What is left when the columns that do not pass are taken out; they may be there or not."""
    import pyarrow as pa

    names: list[str] = table.schema.names
    left = [name for name in names if name not in drops]
    if len(left) == len(names):
        return table
    if hasattr(table, "num_rows"):
        return table.select(left)
    schema = pa.schema([table.schema.field(name) for name in left], table.schema.metadata)
    return pa.RecordBatchReader.from_batches(schema, (batch.select(left) for batch in table))


def _read_file(value: Any, workspace: Workspace) -> File:
    if isinstance(value, FileRef):
        return workspace.file(value)
    if isinstance(value, File):
        return value
    raise DataMismatch(f"expected a file, found {_what(value)}")


def _what(value: Any) -> str:
    if value is None:
        return "nothing (None)"
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"an object of type {name}"
