"""One attempt from its message to its result. Shared by both kinds of executor; calling the function is theirs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from module_sdk.context import Context
from module_sdk.executor.allocator import KEPT_BYTES, give_back
from module_sdk.executor.answer import kept_log, shortened, spilled
from module_sdk.executor.attempt_work import AttemptWork, Handed
from module_sdk.executor.failure import limit_error, step_error
from module_sdk.executor.fingerprint import fingerprint
from module_sdk.executor.inputs import Given, partial_ports
from module_sdk.executor.metered import MeteredStore
from module_sdk.executor.outputs import Outputs, Written
from module_sdk.executor.rejected_output import RejectedOutput
from module_sdk.executor.runner import Runner
from module_sdk.executor.stats import Used, attempt_stats, since
from module_sdk.invoke import Caller, Prepared
from module_sdk.limits import output_text
from module_sdk.rejected import Rejected
from module_sdk.reports import Reports, Tell
from module_sdk.row_calls import Calls
from module_sdk.steplog import StepLog
from module_sdk.wanted import wanted_of
from module_sdk.workspace import Workspace
from plugmesh.contracts.data import MESSAGE_LIMIT_BYTES, DataRef, FileRef, Reference, referenced_keys
from plugmesh.contracts.messages import Assign, AttemptStats, Done, Failed, LogRef
from plugmesh.contracts.module import REJECTED, Limits
from plugmesh.errors import Cancelled, PlugmeshError
from plugmesh.objects.port import ObjectStore, use_of

MAP_FROM_BYTES = 16 * 1024
"""A smaller input is never mapped."""
_log = logging.getLogger("module_sdk")
_step_log = logging.getLogger("step")
NO_LIMITS = Limits()


class Attempt:
    """One attempt while it runs.

    `alone`: it has the process for itself, so that the kernel's limits and the peak of its memory are its own. `teller`
    gives what takes its progress, `on_artifact` takes each file that it leaves.
    """

    def __init__(
        self,
        runner: Runner,
        assign: Assign,
        is_cancelled: Callable[[], bool] = bool,
        *,
        alone: bool = True,
        teller: Callable[[], Tell] | None = None,
        on_artifact: Callable[[FileRef], None] | None = None,
    ) -> None:
        self.assign = assign
        self._runner = runner
        self._is_cancelled = is_cancelled
        self._alone, self._teller, self._on_artifact = alone, teller, on_artifact
        self._nonce = ""
        self._keys: list[str] = []
        self._finished = 0
        self._peak_bytes = 0
        self._workspace: Workspace | None = None
        self._context: Context | None = None
        self._reports: Reports | None = None
        self._rejected: Rejected | None = None
        self._store: ObjectStore = runner.store
        self._given: Mapping[str, Sequence[Given]] = {}
        self._caller: Caller | None = None
        self.began, self._cpu = time.perf_counter(), time.process_time()
        self._use = use_of(runner.store)
        if alone:
            runner.memory.forget_peak()

    @property
    def nonce(self) -> str:
        """What tells this execution from every other of the same attempt; made when something is written."""
        self._nonce = self._nonce or self._runner.runtime.new_id("x")
        return self._nonce

    @property
    def _own_limits(self) -> Limits:
        """What the module itself says about limits."""
        return NO_LIMITS if self._caller is None else self._caller.module.contract.limits

    @property
    def _ref(self) -> str:
        return f"{self.assign.module}@{self.assign.version}"

    def prepare(self) -> tuple[Caller, Prepared]:
        """Import the module, load the inputs, check them. Raises `NoRoom`, before anything was done."""
        assign = self.assign
        caller = self._caller = self._runner.caller(assign)
        limits = assign.limits
        if self._alone:
            self._runner.ceilings.set_memory(limits)
        if limits is not None and limits.output_bytes is not None:
            problem = partial(output_text, caller.ref, limits, self._own_limits)
            self._store = MeteredStore(self._runner.store, limits.output_bytes, problem)
        self._given = self._runner.inputs.load(assign, caller)
        if self._alone:
            mapped = any(one.bytes >= MAP_FROM_BYTES for found in self._given.values() for one in found)
            self._runner.ceilings.set_files(limits, recount=mapped)
        workspace = self._workspace = Workspace(lambda: self._store, self._key, self._runner.outside, limits)
        values = {port: [given.value for given in found] for port, found in self._given.items()}
        if caller.module.signature.context is not None:
            self._context = self._make_context(workspace)
        return caller, caller.prepare(
            values, assign.params, workspace, self._context, partial=partial_ports(self._given)
        )

    def calls(self, prepared: Prepared) -> Calls[Done]:
        """The calls of the function: usually one; their result is the attempt's."""
        return Calls(self._finish, self._work, prepared)

    def _work(self) -> AttemptWork:
        """What is done around further calls."""
        assert self._caller is not None
        assert self._workspace is not None
        return AttemptWork(
            self.assign,
            self._caller,
            self._given,
            self._finish,
            inputs=self._runner.inputs,
            store=self._runner.store,
            key=self._key,
            workspace=self._workspace,
            context=self._context,
            rejected=self._rejects,
            reports=self._reports,
        )

    def _rejects(self) -> Rejected:
        """Made when it is first asked for: most attempts reject nothing, and are short."""
        if self._rejected is None:
            tables = [one.ref.rows for found in self._given.values() for one in found if isinstance(one.ref, DataRef)]
            rows_in = sum(tables) if tables else None
            self._rejected = Rejected(lambda: self._runner.store, self._key, self.assign.rejects, rows_in)
        return self._rejected

    def _make_context(self, workspace: Workspace) -> Context:
        assign = self.assign
        tell = None if self._teller is None else self._teller()
        assert self._caller is not None
        same = self._caller.module.contract.traits.rows == "same"
        self._reports = Reports(workspace, _step_log, tell, self._on_artifact, self._rejects, same_rows=same)
        return Context(
            workspace,
            run=assign.run,
            root=assign.root,
            step=assign.step,
            attempt=assign.epoch,
            namespace=assign.namespace,
            params=assign.params,
            fingerprint=lambda: fingerprint({port: [one.ref for one in ones] for port, ones in self._given.items()}),
            is_cancelled=self._is_cancelled,
            reports=self._reports,
            wanted=assign.wanted,
            filters=assign.filters,
            planned=assign.wanted is not None or assign.columns is not None,
        )

    def _finish(self, returned: Any, prepared: Prepared, handed: Handed | None = None) -> Done:
        """Check and write what the function returned to a call with these inputs (`None`: all that was given)."""
        assert self._caller is not None
        assert self._workspace is not None
        collected = self._caller.collect(returned, prepared, self._workspace)
        if self.assign.wanted:
            collected = self._used(collected, handed or self._given)
        key = partial(self._key_again, self._finished) if self._finished else self._key
        self._finished += 1
        outputs = Outputs(self._store, self._caller, self.assign, handed or self._given, key)
        written = outputs.write(collected)
        if self._rejected is not None or self.assign.rejected:
            self._add_rejected(written)
        if self._alone:
            self._runner.ceilings.lift()
        return self._done(written, self._stats(written))

    def _used(self, collected: dict[str, Any], handed: Handed) -> dict[str, Any]:
        """Without the columns that nobody uses. Where others are to be put beside what was returned, all of it is kept: it
        may be the proof that the rows are the same."""
        if any(one.partial for found in handed.values() for one in found):
            return collected
        wanted = wanted_of(self.assign.wanted)
        return {
            port: wanted[port].of(value) if port in wanted and hasattr(value, "schema") else value
            for port, value in collected.items()
        }

    def _add_rejected(self, written: Written) -> None:
        """Raises `TooManyRejected`, `StoreFull`."""
        rejected = self._rejects()
        rejected.check(written.rows)
        rows = RejectedOutput(self.assign, rejected).of_done(self._given)
        if rows is not None:
            written.outputs[REJECTED] = rows
            written.bytes_written += rejected.bytes

    def fail(self, error: BaseException) -> Failed:
        """What to say of an exception. What the attempt wrote is deleted, but for the files it left for people."""
        assign = self.assign
        if self._alone:
            self._runner.ceilings.lift()
        rejected = None if isinstance(error, Cancelled) else self._rejected_rows()
        self._delete_written(rejected)
        file, line = self._place()
        told = step_error(error, self._ref, file, line)
        exceeded = limit_error(error, self._ref, assign.limits, self._own_limits) if self._alone else None
        if exceeded is not None:
            told = told.model_copy(update=exceeded)
        return Failed(
            instance=assign.instance,
            run=assign.run,
            step=assign.step,
            epoch=assign.epoch,
            error=told,
            rejected=rejected,
            artifacts=self._artifacts(),
            stats=self._stats(None),
        )

    def _rejected_rows(self) -> Reference | None:
        """What it had rejected when it failed."""
        ref = None if self._rejected is None else RejectedOutput(self.assign, self._rejected).of_failed()
        try:
            return None if ref is None else spilled(self._runner.store, self._key, REJECTED, ref)
        except PlugmeshError as error:
            _log.warning("the rejected rows of %s could not be kept: %s", self.assign.attempt, error)
            return None

    def _artifacts(self) -> tuple[FileRef, ...]:
        return () if self._reports is None else tuple(self._reports.artifacts.values())

    def _delete_written(self, rejected: Reference | None) -> None:
        if self._workspace is not None:
            self._workspace.give_up()
        kept = {ref.key for ref in self._artifacts()}
        ref = None if rejected is None or self._rejected is None else self._rejected.finish()
        if rejected is not None and ref is not None:
            kept |= referenced_keys(rejected) | referenced_keys(ref)
        elif self._rejected is not None:
            self._rejected.drop()
        for key in self._keys:
            if key not in kept:
                with suppress(PlugmeshError):
                    self._runner.store.delete(key)
        self._keys[:] = [key for key in self._keys if key in kept]

    def _place(self) -> tuple[str, int | None]:
        """File and line of the function; of a file that could not be imported its name alone."""
        if self._caller is None:
            return self._runner.file_of(self.assign), None
        place = self._caller.module.signature.place
        return place.file, place.line

    def close(self) -> None:
        """Remove what it had for itself."""
        if self._reports is not None:
            self._reports.close()
        if self._workspace is not None:
            self._workspace.close()

    def let_go(self) -> None:
        """Give its inputs back, once its result is sent: unmapping takes time. An attempt lies in a circle of references,
        which the collector of garbage breaks only much later, and what is mapped until then cannot be recycled."""
        self._given = {}
        if self._peak_bytes > KEPT_BYTES:
            give_back()

    def encode(self, result: Done | Failed, log: StepLog | LogRef | None) -> bytes:
        """The message, with the log beside it; references that make it too long go to the object store."""
        if isinstance(log, StepLog):
            log = kept_log(self._runner.store, self._key, log, self.assign.attempt)
        if log is not None:
            result = result.model_copy(update={"log": log})
        text = result.encode()
        if len(text) <= MESSAGE_LIMIT_BYTES:
            return text
        try:
            return shortened(self._runner.store, self._key, result).encode()
        except PlugmeshError as error:  # the store is full
            return self.fail(error).encode()

    def _done(self, written: Written, stats: AttemptStats) -> Done:
        assign = self.assign
        return Done(
            instance=assign.instance,
            run=assign.run,
            step=assign.step,
            epoch=assign.epoch,
            outputs={port: spilled(self._runner.store, self._key, port, ref) for port, ref in written.outputs.items()},
            artifacts=self._artifacts(),
            stats=stats,
        )

    def _key(self, word: str) -> str:
        """A new object key of this execution."""
        key = f"{self.assign.prefix}/{self.nonce}-{word}"
        self._keys.append(key)
        return key

    def _key_again(self, again: int, word: str) -> str:
        return self._key(f"{word}-{again}")

    def _stats(self, written: Written | None) -> AttemptStats:
        cpu_s, peak_bytes = self._runner.memory.used()
        self._peak_bytes = peak_bytes
        wall_s = round(time.perf_counter() - self.began, 6)
        used = Used(wall_s, round(cpu_s - self._cpu, 6), peak_bytes)
        use = since(self._use, use_of(self._runner.store))
        return attempt_stats(self._given, written or Written(), self._rejected, used, use)
