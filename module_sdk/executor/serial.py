"""The executor of ordinary functions: one attempt at a time, in the main thread."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from module_sdk.errors import Cancelled
from module_sdk.executor.answer import unreadable
from module_sdk.executor.attempt import Attempt
from module_sdk.executor.ceilings import NoRoom
from module_sdk.executor.descriptors import Descriptors
from module_sdk.executor.leaving import Leaving
from module_sdk.executor.output import FileSink, Output
from module_sdk.executor.plans import planned
from module_sdk.executor.progress import ProgressTeller
from module_sdk.executor.runner import Runner
from module_sdk.executor.surroundings import Surroundings
from module_sdk.executor.told import Telling
from module_sdk.family import end_children, has_children
from module_sdk.frames import Frame, FrameReader, Kind, frame
from module_sdk.logchunks import LONG_S
from module_sdk.row_calls import Calls
from plugmesh.contracts.data import FileRef
from plugmesh.contracts.messages import AskPlan, Assign, Done, Failed
from plugmesh.errors import PlugmeshError

if TYPE_CHECKING:
    from module_sdk.executor.tracing import Tracing

READ_BYTES = 256 * 1024


class SerialExecutor:
    """Reads frames, runs attempts, answers. User code is interrupted by a signal that says: look at your frames."""

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
        self._pid = os.getpid()
        self._sending = threading.Lock()
        self._progress = ProgressTeller(self._send)
        self._leaving = Leaving(partial(self._send, frame(Kind.LEAVING)))
        self._telling = Telling(self._send) if tells else None
        self._pending: deque[Frame] = deque()
        self._current = 0
        self._fresh = True
        self._in_user_code = False
        self._cancelled = self._looking = self._look_again = self._signalled = False
        self._flush_c = ctypes.CDLL(None).fflush

    def run(self, pending: Iterable[Frame] = ()) -> None:
        """Until the supervisor says so, or is gone. `pending`: frames that were read already."""
        self._pending.extend(pending)
        signal.signal(signal.SIGUSR1, self._interrupted)
        self._leaving.listen()
        self._surroundings = Surroundings()
        self._send(frame(Kind.READY))
        while (found := self._next()) is not None:
            kind, number, payload = found
            if kind == Kind.ASSIGN:
                if not self._attempt(number, payload):
                    return
            elif kind == Kind.PLAN:
                if not self._plan(number, payload):
                    return
            elif kind == Kind.EXIT:
                return

    def close(self) -> None:
        """Say what was not said yet."""
        if self._telling is not None:
            self._telling.close()

    def _send(self, data: bytes) -> None:
        with self._sending:  # progress is sent by a thread of its own
            self._control.sendall(data)

    def _next(self) -> Frame | None:
        while not self._pending:
            data = self._control.recv(READ_BYTES)
            if not data:
                return None
            self._pending.extend(self._frames.feed(data))
        return self._pending.popleft()

    def _attempt(self, number: int, payload: bytes) -> bool:
        """Run and answer; False if this process is not fit for another one."""
        if self._leaving.asked:
            self._send(frame(Kind.AGAIN, number, payload))
            return False
        self._current, self._cancelled = number, False
        try:
            assign = Assign.model_validate_json(payload)
        except (ValidationError, PlugmeshError) as error:
            self._send(frame(Kind.RESULT, number, unreadable(payload, error)))
            return True
        attempt = Attempt(
            self._runner,
            assign,
            self._is_cancelled,
            teller=partial(self._progress.teller, number, assign),
            on_artifact=lambda ref: self._artifact(number, ref),
        )
        if self._telling is not None:
            self._telling.begin(number, assign)
        traced = None if assign.trace is None or self._tracing is None else self._tracing.begin(assign)
        try:
            result: Done | Failed = self._work(attempt, number)
        except BaseException as error:  # noqa: BLE001  whatever user code raises is the attempt's end, not ours
            if isinstance(error, NoRoom) and not self._fresh:
                self._send(frame(Kind.AGAIN, number, payload))
                return False
            result = attempt.fail(error)
        if os.getpid() != self._pid:  # a fork that user code did not end itself
            os._exit(0)
        self._fresh = False
        if traced is not None and self._tracing is not None:
            self._send(frame(Kind.SPANS, number, self._tracing.end(traced, result)))
        return self._answer(number, attempt, result)

    def _answer(self, number: int, attempt: Attempt, result: Done | Failed) -> bool:
        fit = self._surroundings.restore()
        self._descriptors.mend()
        attempt.close()
        if has_children():
            end_children(but=self._runner.outside.pids)
        self._output.end_lines()
        self._flush_c(None)
        self._progress.end(number)
        # The limit of the files that it left open would be the next attempt's.
        full = isinstance(result, Failed) and result.error.code == "open-files-limit"
        fit = (
            fit
            and not full
            and not self._leaving.asked
            and self._runner.ceilings.are_lifted()
            and self._descriptors.intact()
        )
        if not fit:
            self._send(frame(Kind.LEAVING))
        # The supervisor has begun to keep the log of an attempt that took so long, and goes on with it.
        long = time.perf_counter() - attempt.began >= LONG_S and not self._log.is_empty()
        text = attempt.encode(result, None if long else self._log.take())
        self._send(frame(Kind.UNLOGGED if long else Kind.RESULT, number, text))
        attempt.let_go()
        return fit

    def _plan(self, number: int, payload: bytes) -> bool:
        """Answer a question; False if this process is not fit for anything else."""
        text = planned(self._runner, AskPlan.model_validate_json(payload), self._loaded)
        if os.getpid() != self._pid:  # a fork that user code did not end itself
            os._exit(0)
        fit = self._surroundings.restore()
        self._descriptors.mend()
        if has_children():
            end_children(but=self._runner.outside.pids)
        self._output.end_lines()
        self._flush_c(None)
        self._log.take()  # what it printed is no step's
        fit = fit and not self._leaving.asked and self._descriptors.intact()
        if not fit:
            self._send(frame(Kind.LEAVING))
        self._send(frame(Kind.PLANNED, number, text))
        return fit

    def _loaded(self) -> None:
        """An author's file was imported, which may set this process up."""
        signal.signal(signal.SIGUSR1, self._interrupted)
        self._leaving.listen()
        self._surroundings.remember()

    def _artifact(self, number: int, ref: FileRef) -> None:
        self._send(frame(Kind.ARTIFACT, number, ref.model_dump_json().encode()))

    def _work(self, attempt: Attempt, number: int) -> Done:
        cold = not self._runner.is_loaded(attempt.assign)
        if cold:
            self._send(frame(Kind.PREPARING, number))
        self._in_user_code = True
        try:
            if self._signalled or self._pending:
                self._signalled = False
                self._look()  # for a cancel that came before now
            caller, prepared = attempt.prepare()
            if cold:
                self._loaded()
                self._send(frame(Kind.STARTED, number))
            return self._call(caller.module.function, attempt.calls(prepared))
        finally:
            self._in_user_code = False

    @staticmethod
    def _call(function: Callable[..., Any], calls: Calls[Done]) -> Done:
        while (asked := calls.asked) is not None:
            try:
                returned = function(*asked.args, **asked.kwargs)
            except Exception as error:  # noqa: BLE001  raised again, if it is not about rows
                calls.failed(error)
            else:
                calls.returned(returned)
        return calls.result

    def _interrupted(self, signum: int, at: FrameType | None) -> None:
        if self._in_user_code:
            self._look()
        else:
            self._signalled = True

    def _look(self) -> None:
        """Look for a cancel of the current attempt among what has arrived; everything else waits its turn."""
        if self._looking:  # interrupted by the signal while at it
            self._look_again = True
            return
        self._looking = self._look_again = True
        while self._look_again:
            self._look_again = False
            self._receive_waiting()
        self._looking = False
        if not self._cancelled and any(found[:2] == (Kind.CANCEL, self._current) for found in self._pending):
            self._cancelled = True
            raise Cancelled

    def _receive_waiting(self) -> None:
        try:
            while data := self._control.recv(READ_BYTES, socket.MSG_DONTWAIT):
                self._pending.extend(self._frames.feed(data))
        except BlockingIOError:
            return

    def _is_cancelled(self) -> bool:
        return self._cancelled
