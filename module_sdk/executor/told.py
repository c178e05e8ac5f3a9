"""What user code logs, told to the supervisor as well, where logs are collected as JSON: there each line names its attempt.

The step's log has all of it in any case, also what is printed; this is a copy of what goes through `logging`.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from module_sdk.frames import Kind, frame
from plugmesh.contracts.messages import Assign

MOST_LINES = 1000
"""So many lines of one attempt are told; the step's log has the others."""
_LONGEST = 8 * 1024
_CLOSE_S = 1.0


@dataclass(slots=True)
class Talking:
    """The attempt whose lines they are, and how many there were."""

    number: int
    assign: Assign
    lines: int = 0


_talking: ContextVar[Talking | None] = ContextVar("talking", default=None)
"""The attempt that the running task belongs to, or the main thread."""


class Telling(logging.Handler):
    """Sends records on a thread of its own: an interrupt of user code must not cut a frame in two."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        super().__init__()
        self._send = send
        self._waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="logs", daemon=True)
        self._thread.start()
        self._last: Talking | None = None
        """For threads that user code starts: nobody else knows whose they are."""
        self.setLevel(logging.INFO)
        logging.getLogger().addHandler(self)

    def begin(self, number: int, assign: Assign) -> None:
        """What is logged in this thread or task from now on is this attempt's."""
        self._last = Talking(number, assign)
        _talking.set(self._last)

    def emit(self, record: logging.LogRecord) -> None:
        attempt = _talking.get() or self._last
        if attempt is None:
            return
        attempt.lines += 1
        if attempt.lines > MOST_LINES:
            return
        try:
            text = record.getMessage()
            if record.exc_info:
                text = f"{text}\n{logging.Formatter().formatException(record.exc_info)}"
        except Exception:  # noqa: BLE001  the step's log says what is wrong with the call
            return
        if attempt.lines == MOST_LINES:
            text = f"{text} (more lines of this attempt are in the step's log only)"
        assign = attempt.assign
        told = {
            "created": record.created,
            "level": record.levelno,
            "logger": record.name,
            "message": text[:_LONGEST],
            "run": assign.run,
            "step": assign.step,
            "attempt": assign.epoch,
        }
        self._waiting.put(frame(Kind.LOGGED, attempt.number, json.dumps(told).encode(errors="replace")))

    def close(self) -> None:
        """Send what waits."""
        self._waiting.put(None)
        self._thread.join(_CLOSE_S)
        super().close()

    def _run(self) -> None:
        while (data := self._waiting.get()) is not None:
            try:
                self._send(data)
            except OSError:  # the supervisor is gone
                return
