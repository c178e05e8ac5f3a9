"""Run a module in this process, the way the mesh runs it, without a mesh.

result = run(price_total, {"orders": orders}, tax=0.1)
"""

from __future__ import annotations

import asyncio
import inspect
import io
import tempfile
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from module_sdk.adapters import from_native
from module_sdk.context import Context
from module_sdk.decorator import Module
from module_sdk.files import File
from module_sdk.invoke import Caller, Passed, Prepared
from module_sdk.workspace import Workspace
from plugmesh.contracts.data import FileRef, ValueRef
from plugmesh.contracts.module import InputPort, OutputPort, PortKind
from plugmesh.errors import DataMismatch
from plugmesh.objects.local import LocalStore
from plugmesh.objects.port import ObjectStore


def run(module: Module[..., Any], tables: Any = None, /, **params: Any) -> Any:
    """Call `module` with one frame, or with a mapping of what each input port gets, and with its params.

    Frames may be of any library, or a dict of lists; a variadic port takes a list; a file is a path; a value is
    JSON. Returns what the only output holds, or a dict by port: a `pyarrow.Table`, a `File`, or a JSON value; `None`
    without outputs. Raises what the mesh would report: `DataMismatch`, `InvalidParams`, `WrongReturn`, or the
    module's own error.
    """
    with tempfile.TemporaryDirectory(prefix="plugmesh-test-") as folder:
        harness = _Harness(module, Path(folder))
        try:
            outputs = harness.run(_by_port(module, tables), params)
        finally:
            harness.workspace.close()
    if not outputs:
        return None
    return next(iter(outputs.values())) if len(outputs) == 1 else outputs


class _Harness:
    """One call."""

    def __init__(self, module: Module[..., Any], folder: Path) -> None:
        self._caller = Caller(module)
        self._folder = folder
        self._store: LocalStore | None = None
        self.workspace = Workspace(self._open_store, lambda word: f"test/{word}")

    def run(self, given: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
        module = self._caller.module
        inputs = {port.name: _values(port, given.get(port.name)) for port in module.contract.inputs}
        handed = {port: [self._handed(port, value, params) for value in values] for port, values in inputs.items()}
        context = Context(self.workspace, params=params)
        prepared = self._caller.prepare(handed, params, self.workspace, context, local_files=True)
        collected = self._caller.collect(call(module, prepared), prepared, self.workspace)
        return {
            port.name: self._with_unsent(port, self._shown(collected[port.name], inputs), inputs, handed)
            for port in module.contract.outputs
        }

    def _handed(self, port: str, value: Any, params: Mapping[str, Any]) -> Any:
        """The columns that the mesh would hand over."""
        if not hasattr(value, "select"):
            return value
        self._caller.columns.check_input(port, value.schema, params)
        wanted = self._caller.columns.handed(port, params)
        return value if wanted is None else value.select([name for name in value.column_names if name in wanted])

    def _with_unsent(
        self, port: OutputPort, value: Any, inputs: Mapping[str, list[Any]], handed: Mapping[str, list[Any]]
    ) -> Any:
        """With the columns that pass through, but were not handed over; the mesh puts them there by reference."""
        if port.passes is None or not inputs[port.passes]:
            return value
        whole, part = inputs[port.passes][0], handed[port.passes][0]
        unsent = [
            name for name in whole.column_names if name not in part.column_names and name not in value.column_names
        ]
        for name in unsent:
            value = value.append_column(whole.schema.field(name), whole.column(name))
        order = [name for name in whole.column_names if name in value.column_names] if unsent else []
        return value.select([*order, *(name for name in value.column_names if name not in order)]) if unsent else value

    def _shown(self, value: Any, inputs: Mapping[str, list[Any]]) -> Any:
        if isinstance(value, Passed):
            value = inputs[value.port][value.index]
        if isinstance(value, ValueRef):
            return value.value
        if isinstance(value, FileRef):
            return File(value, _Memory(value.name, self.workspace.file(value).read()))
        return value.read_all() if hasattr(value, "read_all") else value

    def _open_store(self) -> ObjectStore:
        if self._store is None:
            self._store = LocalStore(self._folder)
        return self._store


class _Memory:
    """The bytes of a file that a module made; its place is gone when the test looks at them."""

    def __init__(self, name: str, data: bytes) -> None:
        self._name, self._data = name, data

    def open(self) -> BinaryIO:
        return io.BytesIO(self._data)

    def path(self) -> Path:
        path = Path(tempfile.mkdtemp(prefix="plugmesh-test-")) / Path(self._name).name
        path.write_bytes(self._data)
        return path


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
