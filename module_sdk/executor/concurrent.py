"""The executor of `async def` modules: many attempts on one event loop."""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

from pydantic import ValidationError

from module_sdk.errors import Cancelled
from module_sdk.executor.output import FileSink, MemorySink, Output, Sink
from module_sdk.executor.runner import Attempt, Runner, unreadable
from module_sdk.family import end_children, has_children
from module_sdk.frames import Frame, FrameReader, Kind, frame
from module_sdk.steplog import StepLog
from module_sdk.testing import gather
from plugmesh.contracts.messages import Assign, Done, Failed
from plugmesh.errors import PlugmeshError

READ_BYTES = 256 * 1024
current_sink: ContextVar[Sink | None] = ContextVar("current_sink", default=None)
"""The log of the attempt that the running task belongs to."""


class ConcurrentExecutor:
    """Reads frames on the loop; an attempt is a task, a cancel cancels it."""

    def __init__(
        self, control: socket.socket, frames: FrameReader, runner: Runner, output: Output, log: FileSink
    ) -> None:
        self._control, self._frames = control, frames
        self._runner, self._output, self._log = runner, output, log
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._ended: asyncio.Future[None] | None = None

    def run(self, pending: Iterable[Frame] = ()) -> None:
        """Until the supervisor says so, or is gone. `pending`: frames that were read already."""
        asyncio.run(self._serve(pending))

    async def _serve(self, pending: Iterable[Frame]) -> None:
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        loop.add_reader(self._control.fileno(), self._read)
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
            if kind == Kind.ASSIGN:
                task = asyncio.get_running_loop().create_task(self._attempt(number, payload))
                self._tasks[number] = task
            elif kind == Kind.CANCEL and number in self._tasks:
                self._tasks[number].cancel()
            elif kind == Kind.EXIT:
                self._end()

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
        attempt = Attempt(self._runner, assign, self._is_cancelled)
        try:
            result: Done | Failed = await self._work(attempt, number)
        except asyncio.CancelledError:
            result = attempt.fail(Cancelled())
        except BaseException as error:  # noqa: BLE001  whatever user code raises is the attempt's end, not ours
            result = attempt.fail(error)
        attempt.close()
        del self._tasks[number]
        self._output.end_lines()
        if not self._tasks and has_children():
            end_children()
        self._send(frame(Kind.RESULT, number, attempt.encode(result, self._log_of(sink))))

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
            self._send(frame(Kind.STARTED, number))
        returned: Any = caller.module.function(*prepared.args, **prepared.kwargs)
        if inspect.isawaitable(returned):
            returned = await returned
        elif inspect.isasyncgen(returned):
            returned = await gather(returned)
        return attempt.finish(returned, prepared)

    def _send(self, data: bytes) -> None:
        """The supervisor always reads: this blocks for as long as it takes to do so."""
        self._control.sendall(data)

    @staticmethod
    def _is_cancelled() -> bool:
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
