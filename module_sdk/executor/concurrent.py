"""The executor of `async def` modules: many attempts on one event loop."""

from __future__ import annotations

import asyncio
import inspect
import logging
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from module_sdk.errors import Cancelled
from module_sdk.executor.answer import unreadable
from module_sdk.executor.attempt import Attempt
from module_sdk.executor.descriptors import Descriptors
from module_sdk.executor.leaving import Leaving
from module_sdk.executor.output import FileSink, MemorySink, Output, Sink
from module_sdk.executor.plans import planned
from module_sdk.executor.progress import ProgressTeller
from module_sdk.executor.runner import Runner
from module_sdk.executor.told import Telling
from module_sdk.family import end_children, has_children
from module_sdk.frames import Frame, FrameReader, Kind, frame
from module_sdk.logchunks import LogChunks, pause_s
from module_sdk.steplog import StepLog
from module_sdk.testing import gather
from plugmesh.contracts.messages import AskPlan, Assign, Done, Failed, LogRef
from plugmesh.errors import PlugmeshError

if TYPE_CHECKING:
    from module_sdk.executor.tracing import Tracing

READ_BYTES = 256 * 1024
_log = logging.getLogger("module_sdk")
current_sink: ContextVar[Sink | None] = ContextVar("current_sink", default=None)
"""The log of the attempt that the running task belongs to."""


class ConcurrentExecutor:
    """Reads frames on the loop; an attempt is a task, a cancel cancels it."""

    def __init__(  # noqa: PLR0917  everything it touches is given to it
        self,
        control: socket.socket,
        frames: FrameReader,
        runner: Runner,
        output: Output,
        log: FileSink,
        descriptors: Descriptors,
        tracing: Tracing | None = None,
        *,
        tells: bool = False,
    ) -> None:
        self._control, self._frames, self._tracing = control, frames, tracing
        self._runner, self._output, self._log = runner, output, log
        self._descriptors = descriptors
        self._sending = threading.Lock()
        self._progress = ProgressTeller(self._send)
        self._leaving = Leaving(partial(self._send, frame(Kind.LEAVING)))
        self._telling = Telling(self._send) if tells else None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._ended: asyncio.Future[None] | None = None

    def run(self, pending: Iterable[Frame] = ()) -> None:
        """Until the supervisor says so, or is gone. `pending`: frames that were read already."""
        asyncio.run(self._serve(pending))

    def close(self) -> None:
        """Say what was not said yet."""
        if self._telling is not None:
            self._telling.close()

    async def _serve(self, pending: Iterable[Frame]) -> None:
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        loop.add_reader(self._control.fileno(), self._read)
        self._leaving.listen()
        self._send(frame(Kind.READY))
        self._take(pending)
        await self._ended
        loop.remove_reader(self._control.fileno())

    def _read(self) -> None:
        data = self._control.recv(READ_BYTES, socket.MSG_DONTWAIT)
        if not data:
            self._end()
        self._take(self._frames.feed(data))

    def _take(self, frames: Iterable[Frame]) -> None:
        for kind, number, payload in frames:
            if kind == Kind.ASSIGN and self._leaving.asked:
                self._send(frame(Kind.AGAIN, number, payload))
            elif kind == Kind.ASSIGN:
                task = asyncio.get_running_loop().create_task(self._attempt(number, payload))
                self._tasks[number] = task
            elif kind == Kind.CANCEL and number in self._tasks:
                # Not at once: a task that has not taken its first step would end without a word.
                asyncio.get_running_loop().call_soon(self._tasks[number].cancel)
            elif kind == Kind.PLAN:
                self._plan(number, payload)
            elif kind == Kind.EXIT:
                self._end()

    def _plan(self, number: int, payload: bytes) -> None:
        """Answer a question, in a thread: attempts go on meanwhile. The file is imported here, as it is for them."""
        asked = AskPlan.model_validate_json(payload)
        with suppress(BaseException):  # it is raised again in the thread, and said there
            self._runner.caller(asked.question)

        def answer() -> None:
            current_sink.set(MemorySink())  # what it prints is no step's
            self._send(frame(Kind.PLANNED, number, planned(self._runner, asked)))

        threading.Thread(target=answer, name="plan", daemon=True).start()

    def _end(self) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    async def _attempt(self, number: int, payload: bytes) -> None:
        sink = MemorySink()
        current_sink.set(sink)
        try:
            assign = Assign.model_validate_json(payload)
        except (ValidationError, PlugmeshError) as error:
            self._send(frame(Kind.RESULT, number, unreadable(payload, error)))
            return
        alone = len(self._tasks) == 1
        if alone:
            self._runner.memory.forget_peak()
        attempt = Attempt(
            self._runner,
            assign,
            self._is_cancelled,
            alone=False,
            teller=partial(self._progress.teller, number, assign),
            on_artifact=lambda ref: self._send(frame(Kind.ARTIFACT, number, ref.model_dump_json().encode())),
        )
        chunks = LogChunks(self._runner.store, assign.prefix)
        live = asyncio.get_running_loop().create_task(_keep_log(chunks, sink))
        if self._telling is not None:
            self._telling.begin(number, assign)
        traced = None if assign.trace is None or self._tracing is None else self._tracing.begin(assign)
        try:
            result: Done | Failed = await self._work(attempt, number)
        except asyncio.CancelledError:
            result = attempt.fail(Cancelled())
        except BaseException as error:  # noqa: BLE001  whatever user code raises is the attempt's end, not ours
            result = attempt.fail(error)
        if traced is not None and self._tracing is not None:
            self._send(frame(Kind.SPANS, number, self._tracing.end(traced, result)))
        live.cancel()
        attempt.close()
        del self._tasks[number]
        self._output.end_lines()
        if not self._tasks:
            self._descriptors.mend()
            if has_children():
                end_children(but=self._runner.outside.pids)
        self._progress.end(number)
        self._send(frame(Kind.RESULT, number, attempt.encode(result, _rest(chunks, self._log_of(sink)))))
        attempt.let_go()

    def _log_of(self, sink: MemorySink) -> StepLog | None:
        """An attempt's log. What threads and C code wrote belongs to nobody; the last one to end gets it."""
        own = sink.take()
        rest = self._log.take() if not self._tasks else None
        if own is None or rest is None:
            return own or rest
        return StepLog(own.data + rest.data, own.lines + rest.lines, own.cut or rest.cut)

    async def _work(self, attempt: Attempt, number: int) -> Done:
        cold = not self._runner.is_loaded(attempt.assign)
        if cold:
            self._send(frame(Kind.PREPARING, number))
        caller, prepared = attempt.prepare()
        if cold:
            self._leaving.listen()
            self._send(frame(Kind.STARTED, number))
        calls = attempt.calls(prepared)
        while (asked := calls.asked) is not None:
            try:
                returned = await _returned(caller.module.function(*asked.args, **asked.kwargs))
            except Exception as error:  # noqa: BLE001  raised again, if it is not about rows
                calls.failed(error)
            else:
                calls.returned(returned)
        return calls.result

    def _send(self, data: bytes) -> None:
        """The supervisor always reads: this blocks for as long as it takes to do so."""
        with self._sending:  # progress is sent by a thread of its own
            self._control.sendall(data)

    @staticmethod
    def _is_cancelled() -> bool:
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0


async def _returned(found: Any) -> Any:
    """What a function gives in the end: of an `async def`, or of an async generator."""
    if inspect.isawaitable(found):
        return await found
    return await gather(found) if inspect.isasyncgen(found) else found


async def _keep_log(chunks: LogChunks, sink: MemorySink) -> None:
    """Let the log of an attempt be read while it runs, if it runs for long."""
    age_s = 0.0
    while True:
        await asyncio.sleep(pause_s(age_s))
        age_s += pause_s(age_s)
        log = sink.take()
        if log is not None:
            try:
                chunks.add(log)
            except PlugmeshError as error:
                _log.warning("a part of the log could not be kept: %s", error)


def _rest(chunks: LogChunks, log: StepLog | None) -> StepLog | LogRef | None:
    """What is left of the log, or the whole of it if a part was kept already."""
    if not chunks.count:
        return log
    try:
        if log is not None:
            chunks.add(log)
    except PlugmeshError as error:
        _log.warning("a part of the log could not be kept: %s", error)
    return chunks.ref()
