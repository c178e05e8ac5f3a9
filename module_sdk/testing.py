"""Run a module in this process, the way the mesh runs it, without a mesh.

result = run(price_total, {"orders": orders}, tax=0.1)
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import io
import logging
import os
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from module_sdk.context import Context
from module_sdk.dataframes.adapters import from_native
from module_sdk.decorator import Module
from module_sdk.executor.ceilings import Ceilings, NoRoom
from module_sdk.executor.failure import limit_error
from module_sdk.executor.memory import Memory
from module_sdk.executor.metered import MeteredStore
from module_sdk.executor.rest import rows_of_rest
from module_sdk.executor.table_rows import taken
from module_sdk.executor.untouched import comes_back
from module_sdk.files import File
from module_sdk.invoke import Caller, Passed, Picked, Prepared
from module_sdk.limits import output_text
from module_sdk.planning import answer, names_of
from module_sdk.reports import Reports
from module_sdk.row_calls import Calls
from module_sdk.trial_work import TrialWork
from module_sdk.workspace import Workspace
from plugmesh.contracts.data import FileRef, ValueRef
from plugmesh.contracts.module import InputPort, Limits, OutputPort, PortKind
from plugmesh.contracts.plan import PlanAnswer, PlanQuestion, Predicate
from plugmesh.errors import DataError, DataMismatch, LimitExceeded
from plugmesh.objects.local import LocalStore
from plugmesh.objects.port import ObjectStore


@dataclass(slots=True)
class Reported:
    """What a module told people while it ran: the last `ctx.progress` (done, total, message), the files of
    `ctx.artifact` by name, how many rows could not be used, and those that were kept (`ctx.reject` with rows,
    `DataError(rows=…)`) as a `pyarrow.Table` with their `_reason`; `None` if none were."""

    progress: tuple[float, float | None, str] | None = None
    artifacts: dict[str, File] = field(default_factory=dict)
    rows_failed: int = 0
    rejected: Any = None


def run(module: Module[..., Any], tables: Any = None, reported: Reported | None = None, /, **params: Any) -> Any:
    """Call `module` with one frame, or with a mapping of what each input port gets, and with its params.

    Frames may be of any library, or a dict of lists; a variadic port takes a list; a file is a path; a value is
    JSON. Returns what the only output holds, or a dict by port: a `pyarrow.Table`, a `File`, or a JSON value; `None`
    without outputs. `reported` is filled in with what the module reports, also if it fails.

    Of the module's limits, memory, open files and output are held. Raises what the mesh would report: `DataMismatch`,
    `InvalidParams`, `WrongReturn`, `LimitExceeded`, or the module's own error.
    """
    return run_planned(module, None, None, tables, reported, **params)


def run_planned(
    module: Module[..., Any],
    wanted: Mapping[str, Sequence[str]] | None,
    filters: Mapping[str, Sequence[Predicate]] | None,
    tables: Any = None,
    reported: Reported | None = None,
    /,
    **params: Any,
) -> Any:
    """The same, where the mesh has planned that only the columns `wanted` of each output are used, and only rows that meet
    all `filters`: what `ctx.wanted` and `ctx.filters` say."""
    with tempfile.TemporaryDirectory(prefix="plugmesh-test-") as folder:
        harness = Harness(module, Path(folder), wanted, filters)
        try:
            outputs = harness.run(_by_port(module, tables), params)
        finally:
            harness.close(reported)
    if not outputs:
        return None
    return next(iter(outputs.values())) if len(outputs) == 1 else outputs


def plan(module: Module[..., Any], tables: Any = None, /, **params: Any) -> PlanAnswer:
    """What the module's `plan` says of the columns of these tables: what the mesh would be told of it, problems included.

    A table is a frame of any library, a `pyarrow.Schema`, or a dict of lists; a param that is a file is a path.
    """
    schemas = {}
    for port, given in _by_port(module, tables).items():
        one = given[0] if isinstance(given, list) else given
        if one is not None and module.contract.input(port) is not None:
            schemas[port] = names_of(_schema_of(one))
    contract = module.contract
    question = PlanQuestion(module=contract.name, version=contract.version, digest=contract.digest, schemas=schemas)
    return answer(module, question, params=params)


class Harness:
    """One trial of a module. `wanted` and `filters` are what a plan of the mesh would say of its outputs."""

    def __init__(
        self,
        module: Module[..., Any],
        folder: Path,
        wanted: Mapping[str, Sequence[str]] | None = None,
        filters: Mapping[str, Sequence[Predicate]] | None = None,
    ) -> None:
        self._wanted, self._filters = wanted, filters
        self.caller = Caller(module)
        self._folder = folder
        self._store: ObjectStore | None = None
        self.workspace = Workspace(self._open_store, lambda word: f"test/{word}")
        self._progress: tuple[float, float | None, str] | None = None
        same = module.contract.traits.rows == "same"
        self.reports = Reports(self.workspace, logging.getLogger("step"), self._tell, same_rows=same)

    def close(self, reported: Reported | None) -> None:
        """Say what was reported, and remove what is left."""
        self.reports.close()
        if reported is not None:
            reported.progress, reported.rows_failed = self._progress, self.reports.rows_failed
            reported.artifacts = {name: self._kept(ref) for name, ref in self.reports.artifacts.items()}
            reported.rejected = self._rejected_rows()
        self.workspace.close()

    def _tell(self, done: float, total: float | None, message: str) -> None:
        self._progress = (done, total, message)

    def _called(self, prepared: Prepared) -> Any:
        """What the function returns, under the limits of its module that this process can hold."""
        module = self.caller.module
        limits = module.contract.limits
        with _held(limits):
            try:
                return call(module, prepared)
            except Exception as error:
                exceeded = limit_error(error, self.caller.ref, limits, limits)
                if exceeded is None:
                    raise
                raise LimitExceeded(exceeded["message"]) from error

    def run(self, given: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
        """What the outputs hold, by port."""
        module = self.caller.module
        inputs = {port.name: _values(port, given.get(port.name)) for port in module.contract.inputs}
        fingerprint = partial(fingerprint_of, inputs)
        context = Context(
            self.workspace,
            params=params,
            reports=self.reports,
            fingerprint=fingerprint,
            wanted=self._wanted,
            filters=self._filters,
            planned=self._wanted is not None or self._filters is not None,
        )
        work = TrialWork(self, inputs, params, context)
        calls = Calls(work.finish, lambda: work, work.prepare(inputs))
        while (asked := calls.asked) is not None:
            try:
                returned = self._called(asked)
            except DataError as error:
                calls.failed(error)
            else:
                calls.returned(returned)
        return calls.result

    def handed(self, port: str, value: Any, params: Mapping[str, Any]) -> Any:
        """The columns that the mesh would hand over."""
        if not hasattr(value, "select"):
            return value
        self.caller.columns.check_input(port, value.schema, params)
        wanted = self.caller.columns.handed(port, params, value.column_names)
        return value if wanted is None else value.select(wanted)

    def with_unsent(
        self,
        port: OutputPort,
        found: Any,
        inputs: Mapping[str, list[Any]],
        handed: Mapping[str, list[Any]],
        params: Mapping[str, Any],
    ) -> Any:
        """With the columns that pass through, but were not handed over; the mesh puts them there by reference."""
        value = self.shown(found.table if isinstance(found, Picked) else found, inputs)
        if port.passes is None or not inputs[port.passes]:
            return value
        drops = self.caller.columns.output(port.name, params).drops
        whole, part = inputs[port.passes][0], handed[port.passes][0]
        unsent = [
            name
            for name in whole.column_names
            if name not in part.column_names and name not in value.column_names and name not in drops
        ]
        rest = whole.select(unsent)
        if unsent and not isinstance(found, Passed):
            picked = found if isinstance(found, Picked) else None
            rest = self._rows_beside(port, rest, part, value, picked, hasattr(found, "read_all"))
        for name in unsent:
            value = value.append_column(whole.schema.field(name), rest.column(name))
        order = [name for name in whole.column_names if name in value.column_names] if unsent else []
        return value.select([*order, *(name for name in value.column_names if name not in order)]) if unsent else value

    def _rows_beside(  # noqa: PLR0917  what is beside what
        self, port: OutputPort, rest: Any, part: Any, value: Any, picked: Picked | None, streamed: bool
    ) -> Any:
        """The rows of the columns that were not handed over that belong beside what was returned."""
        if not value.num_rows:
            return rest.slice(0, 0)
        rows = rows_of_rest(
            self.caller.ref,
            port,
            rest.column_names,
            same=self.caller.module.contract.traits.rows == "same",
            picked=picked,
            comes_back=lambda: not streamed and comes_back(value, part),
        )
        return rest if rows is None else taken(rest, rows)

    def shown(self, value: Any, inputs: Mapping[str, list[Any]]) -> Any:
        if isinstance(value, Passed):
            value = inputs[value.port][value.index]
        if isinstance(value, ValueRef):
            return value.value
        if isinstance(value, FileRef):
            return self._kept(value)
        return value.read_all() if hasattr(value, "read_all") else value

    def _kept(self, ref: FileRef) -> File:
        return File(ref, _Kept(ref.name, self.workspace.file(ref).read()))

    def _rejected_rows(self) -> Any:
        ref = self.reports.rejected.finish()
        if ref is None:
            return None
        from plugmesh.data.table import read_table  # takes pyarrow along

        table = read_table(self._open_store(), ref)
        return table.take(list(range(table.num_rows)))  # the file that it lies in is removed

    def _open_store(self) -> ObjectStore:
        if self._store is None:
            self._store = LocalStore(self._folder)
            limits = self.caller.module.contract.limits
            if limits.output_bytes is not None:
                problem = partial(output_text, self.caller.ref, limits, limits)
                self._store = MeteredStore(self._store, limits.output_bytes, problem)
        return self._store


class _Kept:
    """The bytes of a file that a module made; its place is gone when the test looks at them."""

    def __init__(self, name: str, data: bytes) -> None:
        self._name, self._data = name, data

    def open(self) -> BinaryIO:
        return io.BytesIO(self._data)

    def path(self) -> Path:
        path = Path(tempfile.mkdtemp(prefix="plugmesh-test-")) / Path(self._name).name
        path.write_bytes(self._data)
        return path

    def descriptor(self) -> int:
        fd = os.memfd_create("plugmesh-test")
        with open(fd, "wb", closefd=False) as file:
            file.write(self._data)
        os.lseek(fd, 0, os.SEEK_SET)
        return fd


@contextmanager
def _held(limits: Limits) -> Iterator[None]:
    """The limits that the kernel holds, for as long as this lasts. What this process has already is not counted."""
    if limits.memory_bytes is None and limits.open_files is None:
        yield
        return
    memory = Memory()
    ceilings = Ceilings(memory)
    try:
        with suppress(NoRoom):
            ceilings.set_memory(limits)
        ceilings.set_files(limits, recount=True)
        yield
    finally:
        ceilings.lift()
        memory.close()


def call(module: Module[..., Any], prepared: Prepared) -> Any:
    """Call the function; an `async def` is run to its end."""
    returned = module.function(*prepared.args, **prepared.kwargs)
    if inspect.iscoroutine(returned):
        return _finish(returned)
    if inspect.isasyncgen(returned):
        return _finish(gather(returned))
    return returned


async def gather(items: AsyncIterator[Any]) -> Any:
    """What an async generator yields, as an iterator."""
    return iter([item async for item in items])


def _finish(work: Any) -> Any:
    """Run a coroutine, also where a loop is running already (an async test)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    outcome: list[Any] = []

    def in_thread() -> None:
        try:
            outcome.extend([True, asyncio.run(work)])
        except BaseException as error:  # noqa: BLE001  raised again below, in the caller's thread
            outcome.extend([False, error])

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    if not outcome[0]:
        raise outcome[1]
    return outcome[1]


def _by_port(module: Module[..., Any], tables: Any) -> Mapping[str, Any]:
    """What was given, by port; a single frame is for the only port."""
    ports = [port.name for port in module.contract.inputs]
    if tables is None:
        return {}
    if isinstance(tables, Mapping) and (not tables or any(name in ports for name in tables)):
        unknown = [name for name in tables if name not in ports]
        if unknown:
            raise DataMismatch(
                f"{module.contract.ref} has no input {unknown[0]!r}; it has: {', '.join(ports) or 'none'}"
            )
        return tables
    if len(ports) != 1:
        raise DataMismatch(
            f"{module.contract.ref} has the inputs {', '.join(ports) or 'none'}: give a dict by port, "
            f"not one {type(tables).__name__}"
        )
    return {ports[0]: tables}


def fingerprint_of(inputs: Mapping[str, Sequence[Any]]) -> str:
    """What the inputs hold, for `Context.sink_key`: a trial on other rows has other effects."""
    digest = hashlib.sha256()
    for port in sorted(inputs):
        digest.update(port.encode())
        for value in inputs[port]:
            if isinstance(value, File):
                digest.update(value.read())
            elif hasattr(value, "to_batches"):
                digest.update(value.schema.serialize())
                for batch in value.combine_chunks().to_batches():
                    digest.update(batch.serialize())
            else:
                digest.update(repr(value).encode())
    return digest.hexdigest()


def _schema_of(given: Any) -> Any:
    if type(given).__name__ == "Schema":
        return given
    if isinstance(given, Mapping):
        import pyarrow as pa

        return pa.table(dict(given)).schema
    return from_native(given).schema


def _values(port: InputPort, given: Any) -> list[Any]:
    if given is None:
        return []
    return [_value(port, one) for one in (given if port.variadic else [given])]


def _value(port: InputPort, given: Any) -> Any:
    if port.kind is PortKind.FILE:
        return given if isinstance(given, File) else File.local(given)
    if port.kind is PortKind.VALUE:
        return given
    if isinstance(given, Mapping):
        import pyarrow as pa

        return pa.table(dict(given))
    table = from_native(given)
    return table.read_all() if hasattr(table, "read_all") else table
