"""What user code prints and logs, caught on its way to the step's log."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable
from typing import Protocol

from module_sdk.steplog import HEAD_BYTES, TAIL_BYTES, StepLog, as_lines, compact, note, read_log, record

_LOOK_EVERY_BYTES = 512 * 1024


class Sink(Protocol):
    """Where lines go. `partial`: by stream, what was written after the last newline."""

    partial: dict[str, str]

    def write(self, line: bytes) -> None:
        """Keep one record."""
        ...


class FileSink:
    """A file that the supervisor shares: what is in it survives this process. One attempt at a time."""

    def __init__(self, fd: int) -> None:
        self.partial: dict[str, str] = {}
        self._fd = fd
        self._cut = 0
        self._unlooked = 0

    def write(self, line: bytes) -> None:
        os.write(self._fd, line)
        self._unlooked += len(line)
        if self._unlooked > _LOOK_EVERY_BYTES:
            self._unlooked = 0
            self._cut += compact(self._fd)

    def take(self) -> StepLog | None:
        """What was written since the last time; the file is empty afterwards."""
        log = read_log(self._fd, self._cut)
        if log is not None:
            os.ftruncate(self._fd, 0)
            self._cut = 0
        return log


class MemorySink:
    """One attempt's lines where several run in one process."""

    def __init__(self) -> None:
        self.partial: dict[str, str] = {}
        self._head, self._tail = bytearray(), bytearray()
        self._cut = 0

    def write(self, line: bytes) -> None:
        if len(self._head) < HEAD_BYTES:
            self._head += line
            return
        self._tail += line
        if len(self._tail) > 2 * TAIL_BYTES:
            start = self._tail.find(b"\n", len(self._tail) - TAIL_BYTES) + 1
            self._cut += start
            del self._tail[:start]

    def take(self) -> StepLog | None:
        """All lines."""
        if not self._head:
            return None
        middle = note(self._cut) if self._cut else b""
        return as_lines(bytes(self._head) + middle + bytes(self._tail), self._cut > 0)


class LineStream(io.TextIOBase):
    """Stands in for `sys.stdout` or `sys.stderr`: whole lines go to the sink of whoever writes them."""

    def __init__(self, name: str, fd: int, sink: Callable[[], Sink], clock: Callable[[], float]) -> None:
        super().__init__()
        self._name, self._fd, self._sink, self._clock = name, fd, sink, clock

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def write(self, text: str) -> int:
        sink = self._sink()
        *lines, rest = (sink.partial.pop(self._name, "") + text).split("\n")
        for line in lines:
            self._put(sink, line)
        if rest:
            sink.partial[self._name] = rest
        return len(text)

    def flush(self) -> None:
        return None

    def end_line(self) -> None:
        """Let out what has no newline: the attempt is over."""
        sink = self._sink()
        rest = sink.partial.pop(self._name, "")
        if rest:
            self._put(sink, rest)

    def _put(self, sink: Sink, line: str) -> None:
        sink.write(record(self._clock(), "info", self._name, line))


class _LogHandler(logging.Handler):
    """`logging` of user code and libraries."""

    def __init__(self, sink: Callable[[], Sink]) -> None:
        super().__init__()
        self._sink = sink
        self.setFormatter(logging.Formatter("%(name)s: %(message)s"))

    def emit(self, entry: logging.LogRecord) -> None:
        try:
            line = record(entry.created, entry.levelname.lower(), "log", self.format(entry))
        except Exception:  # noqa: BLE001  a log call with wrong arguments must not fail the step
            self.handleError(entry)
            return
        self._sink().write(line)


class Output:
    """This process's stdout, stderr and logging, once `install` was called."""

    def __init__(self, sink: Callable[[], Sink], clock: Callable[[], float]) -> None:
        self._streams = [LineStream("stdout", 1, sink, clock), LineStream("stderr", 2, sink, clock)]
        self._handler = _LogHandler(sink)

    def install(self) -> None:
        """Catch everything from now on."""
        sys.stdout, sys.stderr = self._streams
        root = logging.getLogger()
        root.addHandler(self._handler)
        root.setLevel(logging.INFO)

    def end_lines(self) -> None:
        """Let out lines that have no newline yet."""
        for stream in self._streams:
            stream.end_line()
