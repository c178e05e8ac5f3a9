"""`python -P -m plugmesh.cli.commands.authoring.replaying FILE`: runs a real step again in this process, as a replay says.

The inputs are read from the mesh's object store; nothing is written there. What the module leaves in files goes to a
folder that is removed.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import pdb
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import TypeAdapter

from module_sdk.decorator import Module
from module_sdk.family import die_with_parent
from module_sdk.files import File
from module_sdk.stored_file import StoredSource
from module_sdk.testing import Reported, run
from module_sdk.trace import place_of_error
from plugmesh.cli.commands.authoring.comparing import compare, differences
from plugmesh.cli.commands.authoring.printing import Printer
from plugmesh.cli.commands.authoring.trial import exit_code, load_modules
from plugmesh.cli.display.terminal_text import plain
from plugmesh.cli.exits import ExitCode
from plugmesh.contracts.data import DataRef, FileRef, Reference
from plugmesh.contracts.module import ModuleContract, ModuleKind
from plugmesh.data.reference import rename, resolve
from plugmesh.data.schema import schema_of
from plugmesh.data.table import read_table
from plugmesh.errors import Conflict, Unauthorized
from plugmesh.join import join
from plugmesh.objects.open import open_store
from plugmesh.objects.port import ObjectStore
from plugmesh.runtime import SystemRuntime
from plugmesh.token_file import JOIN_TOKEN, local_file, read_token

JOIN_S = 10.0
_REFERENCE: TypeAdapter[Any] = TypeAdapter(Reference)
_NAME = "plugmesh.cli.commands.authoring.replaying"


@dataclass(frozen=True, slots=True)
class Replay:
    """What to run again. `document` is what the mesh says of the step, `contract` the one that it ran under,
    `accepted` where its accepted outputs were saved: a path by port. `path` goes on `sys.path`."""

    file: str
    document: Mapping[str, Any]
    url: str
    path: str
    contract: Mapping[str, Any] | None = None
    accepted: Mapping[str, str] = field(default_factory=dict)
    objects: str = ""
    force: bool = False
    debug: bool = False
    stop: bool = False
    as_json: bool = False

    def save(self, path: Path) -> list[str]:
        """Write it down; the command line that runs it."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return [sys.executable, "-P", "-m", _NAME, str(path)]


def main() -> int:
    """Run one replay; the exit code."""
    replay = Replay(**json.loads(Path(sys.argv[1]).read_text("utf-8")))
    die_with_parent(os.getppid())
    sys.path.insert(0, replay.path)
    printer = Printer(replay.as_json)
    with tempfile.TemporaryDirectory(prefix="plugmesh-replay-") as folder:
        return exit_code(lambda: _run(replay, Path(folder), printer), printer)


def _run(replay: Replay, folder: Path, printer: Printer) -> int:
    module = load_modules(replay.file, replay.document["module"])[0]
    _check(replay, module)
    store = open_store(replay.objects or asyncio.run(_objects_of(replay.url)), SystemRuntime())
    inputs = _inputs(replay.document, module, store, folder)
    params = {name: _param(value, store, folder) for name, value in replay.document["params"].items()}
    if replay.stop:
        module.function = _stopped(module.function)
    begun, said = time.perf_counter(), Reported()
    try:
        returned = run(module, inputs, said, **params)
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever the author's code raises is what is to be shown
        sys.stdout.flush()
        printer.failed(module, error)
        if replay.debug:
            _post_mortem(error, module.file)
        return ExitCode.RUN_FAILED
    seconds = time.perf_counter() - begun
    sys.stdout.flush()
    names = [port.name for port in module.contract.outputs]
    outputs = returned if len(names) > 1 else dict.fromkeys(names, returned)
    compared = {name: compare(outputs[name], Path(path)) for name, path in replay.accepted.items() if name in outputs}
    printer.made(module, outputs, seconds, compared, said)
    return ExitCode.OK


def _check(replay: Replay, module: Module[..., Any]) -> None:
    """Raises `Conflict` for another contract, and for a sink, whose effect would be repeated."""
    ran = None if replay.contract is None else ModuleContract.model_validate(replay.contract)
    found = [] if ran is None else differences(ran.promise, module.contract.promise)
    place = f"{module.file}:{module.signature.place.line}"
    if found and not replay.force:
        listed = "\n  ".join(found)
        raise Conflict(f"{place} is not the contract that this step ran under (--force goes on):\n  {listed}")
    if module.contract.kind is ModuleKind.SINK and not replay.force:
        raise Conflict(
            f"{module.contract.ref} is a sink: running it again repeats what it does outside the mesh (--force goes on)"
        )
    if ran is not None and not found and ran.code_digest != module.contract.code_digest:
        print(plain(f"{module.file} is not the code that ran: it was changed since"), file=sys.stderr)


async def _objects_of(url: str) -> str:
    """Where the mesh keeps its objects, as it tells whoever joins. Raises `NotReachable`, `Unauthorized`."""
    file = local_file(url, os.environ, JOIN_TOKEN)
    token = str if file is None else partial(read_token, file)
    try:
        joined = await join(url, SystemRuntime(), timeout_s=JOIN_S, token=token)
    except Unauthorized as error:
        raise Unauthorized(
            "this mesh tells only those who show its join token where its objects are: say so with --objects URL, or set "
            "PLUGMESH_DATA to its data folder, if that is on this machine"
        ) from error
    try:
        return joined.objects_url
    finally:
        await joined.close()


def _inputs(document: Mapping[str, Any], module: Module[..., Any], store: ObjectStore, folder: Path) -> dict[str, Any]:
    bound = {theirs: ours for ours, theirs in document["bind"].items()}
    found: dict[str, Any] = {}
    for port in module.contract.inputs:
        values = [_value(reference, bound, store, folder) for reference in document["inputs"].get(port.name, ())]
        if values:
            found[port.name] = values if port.variadic else values[0]
    return found


def _value(document: Any, bound: Mapping[str, str], store: ObjectStore, folder: Path) -> Any:
    reference = resolve(store, _REFERENCE.validate_python(document))
    if isinstance(reference, FileRef):
        return File(reference, StoredSource(store, reference, lambda: folder))
    if not isinstance(reference, DataRef):
        return reference.value
    there = {theirs: ours for theirs, ours in bound.items() if theirs in schema_of(reference).names}
    return read_table(store, rename(reference, there) if there else reference, None)


def _param(value: Any, store: ObjectStore, folder: Path) -> Any:
    """A param; a file becomes a local one."""
    if not (isinstance(value, dict) and value.get("kind") == "file"):
        return value
    reference = FileRef.model_validate(value)
    target = folder / Path(reference.name).name
    with StoredSource(store, reference, lambda: folder).open() as stream, target.open("wb") as copy:
        shutil.copyfileobj(stream, copy)
    return str(target)


def _stopped(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with the debugger's breakpoint on its first line."""
    code = inspect.unwrap(function).__code__
    first = min(line for _, _, line in code.co_lines() if line is not None and line > code.co_firstlineno)

    def called(*args: Any, **kwargs: Any) -> Any:
        debugger = pdb.Pdb()
        debugger.reset()
        debugger.set_break(code.co_filename, first)
        debugger.set_continue()  # until there
        sys.settrace(debugger.trace_dispatch)
        return function(*args, **kwargs)

    return called


def _post_mortem(error: BaseException, file: str) -> None:
    """The debugger at the author's line: what a library did below it is cut off."""
    place = place_of_error(error, file)
    found: TracebackType | None = error.__traceback__
    last = None
    while found is not None:
        if f"{found.tb_frame.f_code.co_filename}:{found.tb_lineno}" == place:
            last = found
        found = found.tb_next
    if last is None:
        pdb.post_mortem(error.__traceback__)
        return
    last.tb_next = None
    debugger = pdb.Pdb()
    debugger.reset()
    debugger.interaction(None, error.__traceback__)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
