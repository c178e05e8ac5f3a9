"""One attempt from its message to its result. Shared by both kinds of executor; calling the function is theirs."""

from __future__ import annotations

import hashlib
import json
import logging
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from module_sdk.context import Context
from module_sdk.decorator import code_digest
from module_sdk.errors import TransientError
from module_sdk.executor.failure import step_error
from module_sdk.executor.inputs import Given, Inputs
from module_sdk.executor.outputs import Outputs, Written
from module_sdk.invoke import Caller, Prepared
from module_sdk.launch import ExecutorSetup
from module_sdk.loading import find_module, load
from module_sdk.steplog import StepLog
from module_sdk.workspace import Workspace
from plugmesh.contracts.data import MESSAGE_LIMIT_BYTES, DataRef, FileRef, Reference
from plugmesh.contracts.messages import Assign, AttemptStats, Done, Failed, LogRef
from plugmesh.contracts.run import StepError
from plugmesh.data.reference import spill
from plugmesh.errors import PlugmeshError
from plugmesh.objects.port import ObjectStore
from plugmesh.runtime import Runtime

TIGHT_SPILL_BYTES = 1024
"""References longer than this leave a message that is too long with longer ones."""
_LISTED_COLUMNS = 200
_SHORT_CHARS = 1000
_log = logging.getLogger("module_sdk")


class CodeChanged(TransientError):
    """A module's file was changed after it was put on the mesh: start it again, with a new version.

    Transient, because a watched folder is about to replace the process.
    """

    code = "code-changed"


class Runner:
    """Loads modules once and runs their attempts."""

    def __init__(self, setup: ExecutorSetup, store: ObjectStore, runtime: Runtime) -> None:
        self._setup = setup
        self._callers: dict[str, Caller] = {}
        self.store = store
        self.runtime = runtime
        self.inputs = Inputs(store)

    def is_loaded(self, assign: Assign) -> bool:
        """Whether the module's file was imported already."""
        return f"{assign.module}@{assign.version}" in self._callers

    def caller(self, assign: Assign) -> Caller:
        """The module's caller; imports its file the first time. Raises what the file raises, `ContractError`."""
        ref = f"{assign.module}@{assign.version}"
        caller = self._callers.get(ref)
        if caller is None:
            caller = self._callers[ref] = self._load(ref)
        return caller

    def file_of(self, assign: Assign) -> str:
        """The file that a module is loaded from, "" if it is imported by name."""
        known = self._setup.sources.get(f"{assign.module}@{assign.version}")
        return "" if known is None else known[0].file

    def _load(self, ref: str) -> Caller:
        source, digest = self._setup.sources[ref]
        module = find_module(load(source), ref)
        if code_digest(module.file) != digest or module.contract.code_digest != digest:
            raise CodeChanged(
                f"{module.file} was changed after {ref} was put on the mesh: start it again, and give it a new version "
                "if its ports or params are others now"
            )
        return Caller(module)


class Attempt:
    """One attempt while it runs."""

    def __init__(self, runner: Runner, assign: Assign, is_cancelled: Callable[[], bool] = bool) -> None:
        self.assign = assign
        self._runner = runner
        self._is_cancelled = is_cancelled
        self._nonce = ""
        self._workspace: Workspace | None = None
        self._given: Mapping[str, Sequence[Given]] = {}
        self._caller: Caller | None = None
        self._wall, self._before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)

    @property
    def nonce(self) -> str:
        """What tells this execution from every other of the same attempt; made when something is written."""
        self._nonce = self._nonce or self._runner.runtime.new_id("x")
        return self._nonce

    def prepare(self) -> tuple[Caller, Prepared]:
        """Import the module, load the inputs, check them."""
        assign = self.assign
        caller = self._caller = self._runner.caller(assign)
        self._given = self._runner.inputs.load(assign, caller)
        workspace = self._workspace = Workspace(lambda: self._runner.store, self._key)
        values = {port: [given.value for given in found] for port, found in self._given.items()}
        context = self._context(workspace) if caller.module.signature.context is not None else None
        return caller, caller.prepare(values, assign.params, workspace, context)

    def _context(self, workspace: Workspace) -> Context:
        assign = self.assign
        return Context(
            workspace,
            run=assign.run,
            step=assign.step,
            attempt=assign.epoch,
            namespace=assign.namespace,
            params=assign.params,
            fingerprint=lambda: fingerprint(assign),
            is_cancelled=self._is_cancelled,
        )

    def finish(self, returned: Any, prepared: Prepared) -> Done:
        """Check and write what the function returned."""
        assert self._caller is not None
        assert self._workspace is not None
        collected = self._caller.collect(returned, prepared, self._workspace)
        outputs = Outputs(self._runner.store, self._caller, self.assign, self._given, self._key)
        written = outputs.write(collected)
        return self._done(written, self._stats(written))

    def fail(self, error: BaseException) -> Failed:
        """What to say of an exception."""
        assign = self.assign
        file, line = self._place()
        return Failed(
            instance=assign.instance,
            run=assign.run,
            step=assign.step,
            epoch=assign.epoch,
            error=step_error(error, f"{assign.module}@{assign.version}", file, line),
            stats=self._stats(None),
        )

    def _place(self) -> tuple[str, int | None]:
        """File and line of the function; of a file that could not be imported its name alone."""
        if self._caller is None:
            return self._runner.file_of(self.assign), None
        place = self._caller.module.signature.place
        return place.file, place.line

    def close(self) -> None:
        """Remove what it had for itself."""
        if self._workspace is not None:
            self._workspace.close()

    def encode(self, result: Done | Failed, log: StepLog | None) -> bytes:
        """The message, with the log beside it; references that make it too long go to the object store."""
        if log is not None:
            result = result.model_copy(update={"log": self._keep(log)})
        text = result.encode()
        if len(text) <= MESSAGE_LIMIT_BYTES:
            return text
        try:
            return self._shortened(result).encode()
        except PlugmeshError as error:  # the store is full
            return self.fail(error).encode()

    def _shortened(self, result: Done | Failed) -> Done | Failed:
        if isinstance(result, Failed):
            error = result.error.model_copy(update={"traceback": "", "message": result.error.message[:_SHORT_CHARS]})
            return result.model_copy(update={"error": error})
        outputs = {
            port: spill(self._runner.store, self._key(f"{port}-tight-ref"), ref, limit_bytes=TIGHT_SPILL_BYTES)
            for port, ref in result.outputs.items()
        }
        return result.model_copy(update={"outputs": outputs})

    def _done(self, written: Written, stats: AttemptStats) -> Done:
        assign = self.assign
        return Done(
            instance=assign.instance,
            run=assign.run,
            step=assign.step,
            epoch=assign.epoch,
            outputs={port: self._spilled(port, ref) for port, ref in written.outputs.items()},
            stats=stats,
        )

    def _spilled(self, port: str, ref: Reference) -> Reference:
        if not isinstance(ref, DataRef) or _is_short(ref):
            return ref
        return spill(self._runner.store, self._key(f"{port}-ref"), ref)

    def _keep(self, log: StepLog) -> LogRef | None:
        key = self._key("log") + ".jsonl"
        try:
            writer = self._runner.store.create(key)
            writer.write(log.data)
            writer.commit()
        except PlugmeshError as error:
            _log.warning("the log of %s could not be kept: %s", self.assign.attempt, error)
            return None
        return LogRef(key=key, bytes=len(log.data), lines=log.lines, truncated=log.cut)

    def _key(self, word: str) -> str:
        """A new object key of this execution."""
        return f"{self.assign.prefix}/{self.nonce}-{word}"

    def _stats(self, written: Written | None) -> AttemptStats:
        """`peak_memory_bytes` is by how much the attempt raised the highest memory this process ever had."""
        before, after = self._before, resource.getrusage(resource.RUSAGE_SELF)
        read: dict[str, tuple[str, ...]] = {}
        rows_in = bytes_read = 0
        for port, found in self._given.items():
            for one in found:
                if one.columns is not None and isinstance(one.ref, DataRef):
                    read[port] = one.columns
                    rows_in += one.ref.rows
                    bytes_read += one.bytes
        made = written or Written()
        lists = (read, made.written, made.passed)
        listed = sum(len(names) for ports in lists for names in ports.values()) <= _LISTED_COLUMNS
        return AttemptStats(
            wall_s=round(time.perf_counter() - self._wall, 6),
            cpu_s=round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 6),
            peak_memory_bytes=(after.ru_maxrss - before.ru_maxrss) * 1024,
            rows_in=rows_in,
            rows_out=made.rows,
            bytes_read=bytes_read,
            bytes_written=made.bytes_written,
            bytes_passed=made.bytes_passed,
            read=read if listed else None,
            written=made.written if listed else None,
            passed=made.passed if listed else None,
        )


def unreadable(payload: bytes, error: Exception) -> bytes:
    """The answer to an assignment of which only the ids can be read."""
    ids = json.loads(payload)
    return Failed(
        instance=ids["instance"],
        run=ids["run"],
        step=ids["step"],
        epoch=ids["epoch"],
        error=StepError(
            type="InvalidMessage", code="invalid-message", message=f"the assignment cannot be read: {error}"
        ),
    ).encode()


def fingerprint(assign: Assign) -> str:
    """The content of the inputs: hashes and row counts, never keys, which have the attempt in them."""
    digest = hashlib.sha256()
    for port in sorted(assign.inputs):
        digest.update(port.encode())
        for ref in assign.inputs[port]:
            digest.update("\x00".join(_content(ref)).encode())
    return digest.hexdigest()


def _content(ref: Reference) -> list[str]:
    if isinstance(ref, DataRef):
        spans = [
            f"{span.name}={span.hash}" for part in ref.fragments for group in part.groups for span in group.columns
        ]
        return [str(ref.rows), *sorted(spans)]
    if isinstance(ref, FileRef):
        return [ref.hash]
    return [ref.model_dump_json(exclude={"key"})]


def _is_short(ref: DataRef) -> bool:
    """Certainly shorter than what is spilled, without writing it out."""
    return len(ref.schema_ipc) < 4096 and sum(len(g.columns) for f in ref.fragments for g in f.groups) < 32
