"""The executor of ordinary functions: one attempt at a time, in the main thread."""

from __future__ import annotations

import ctypes
import signal
import socket
from collections import deque
from collections.abc import Iterable
from types import FrameType

from pydantic import ValidationError

from module_sdk.errors import Cancelled
from module_sdk.executor.output import FileSink, Output
from module_sdk.executor.runner import Attempt, Runner, unreadable
from module_sdk.family import end_children, has_children
from module_sdk.frames import Frame, FrameReader, Kind, frame
from plugmesh.contracts.messages import Assign, Done, Failed
from plugmesh.errors import PlugmeshError

READ_BYTES = 256 * 1024


class SerialExecutor:
    """Reads frames, runs attempts, answers. User code is interrupted by a signal that says: look at your frames."""

    def __init__(
        self, control: socket.socket, frames: FrameReader, runner: Runner, output: Output, log: FileSink
    ) -> None:
        self._control, self._frames = control, frames
        self._runner, self._output, self._log = runner, output, log
        self._pending: deque[Frame] = deque()
        self._current = 0
        self._in_user_code = False
        self._cancelled = self._looking = self._look_again = self._signalled = False
        self._flush_c = ctypes.CDLL(None).fflush

    def run(self, pending: Iterable[Frame] = ()) -> None:
        """Until the supervisor says so, or is gone. `pending`: frames that were read already."""
        self._pending.extend(pending)
        signal.signal(signal.SIGUSR1, self._interrupted)
        self._control.sendall(frame(Kind.READY))
        while (found := self._next()) is not None:
            kind, number, payload = found
            if kind == Kind.ASSIGN:
                self._control.sendall(frame(Kind.RESULT, number, self._attempt(number, payload)))
            elif kind == Kind.EXIT:
                return

    def _next(self) -> Frame | None:
        while not self._pending:
            data = self._control.recv(READ_BYTES)
            if not data:
                return None
            self._pending.extend(self._frames.feed(data))
        return self._pending.popleft()

    def _attempt(self, number: int, payload: bytes) -> bytes:
        self._current, self._cancelled = number, False
        try:
            assign = Assign.model_validate_json(payload)
        except (ValidationError, PlugmeshError) as error:
            return unreadable(payload, error)
        attempt = Attempt(self._runner, assign, self._is_cancelled)
        try:
            result: Done | Failed = self._work(attempt, number)
        except BaseException as error:  # noqa: BLE001  whatever user code raises is the attempt's end, not ours
            result = attempt.fail(error)
        attempt.close()
        if has_children():
            end_children()
        self._output.end_lines()
        self._flush_c(None)
        return attempt.encode(result, self._log.take())

    def _work(self, attempt: Attempt, number: int) -> Done:
        cold = not self._runner.is_loaded(attempt.assign)
        if cold:
            self._control.sendall(frame(Kind.PREPARING, number))
        self._in_user_code = True
        try:
            if self._signalled or self._pending:
                self._signalled = False
                self._look()  # for a cancel that came before now
            caller, prepared = attempt.prepare()
            if cold:
                self._control.sendall(frame(Kind.STARTED, number))
            returned = caller.module.function(*prepared.args, **prepared.kwargs)
            return attempt.finish(returned, prepared)
        finally:
            self._in_user_code = False

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
