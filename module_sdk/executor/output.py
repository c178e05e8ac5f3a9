"""What user code prints and logs, caught on its way to the step's log."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable
from typing import Any, Protocol

from module_sdk.steplog import HEAD_BYTES, TAIL_BYTES, StepLog, as_lines, give_back_room, note, read_log, record

_LOOK_EVERY_BYTES = 512 * 1024
_MOST_BYTES = 256 * 1024 * 1024
_UNENDED_CHARS = 16 * 1024
"""So much without a newline is let out as a line: a progress bar may never end its own."""
_LINES_AT_ONCE = 256
LEVELS = {"stdout": "info", "stderr": "warning"}


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
        self._unlooked = 0
        self._full = False

    def write(self, line: bytes) -> None:
        if self._full:
            return
        os.write(self._fd, line)
        self._unlooked += len(line)
        if self._unlooked > _LOOK_EVERY_BYTES:
            self._unlooked = 0
            size = os.fstat(self._fd).st_size
            # Where no room can be given back, what comes after a while is lost rather than the disk.
            self._full = not give_back_room(self._fd, size) and size > _MOST_BYTES

    def is_empty(self) -> bool:
        """Whether nothing was written since the last time."""
        return os.fstat(self._fd).st_size == 0

    def take(self) -> StepLog | None:
        """What was written since the last time; the file is empty afterwards."""
        log = read_log(self._fd)
        if log is not None:
            os.ftruncate(self._fd, 0)
        self._full = False
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
        """What was written since the last time."""
        if not self._head:
            return None
        middle = note(self._cut) if self._cut else b""
        log = as_lines(bytes(self._head) + middle + bytes(self._tail), self._cut > 0)
        self._head, self._tail, self._cut = bytearray(), bytearray(), 0
        return log


class LineStream(io.TextIOBase):
    """Stands in for `sys.stdout` or `sys.stderr`: whole lines go to the sink of whoever writes them."""

    def __init__(self, name: str, fd: int, sink: Callable[[], Sink], clock: Callable[[], float]) -> None:
        super().__init__()
        self._name, self._fd, self._sink, self._clock = name, fd, sink, clock

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def buffer(self) -> io.RawIOBase:
        """Takes bytes; a new one each time, since whoever wraps it closes it."""
        return _Bytes(self)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def write(self, text: str) -> int:
        sink = self._sink()
        *lines, rest = (sink.partial.pop(self._name, "") + text).split("\n")
        if lines:
            self._put(sink, lines)
        if len(rest) > _UNENDED_CHARS:
            self._put(sink, [rest])
        elif rest:
            sink.partial[self._name] = rest
        return len(text)

    def flush(self) -> None:
        return None

    def end_line(self) -> None:
        """Let out what has no newline: the attempt is over."""
        sink = self._sink()
        rest = sink.partial.pop(self._name, "")
        if rest:
            self._put(sink, [rest])

    def _put(self, sink: Sink, lines: list[str]) -> None:
        at, level = self._clock(), LEVELS[self._name]
        for start in range(0, len(lines), _LINES_AT_ONCE):
            sink.write(
                b"".join([record(at, level, self._name, line) for line in lines[start : start + _LINES_AT_ONCE]])
            )


class _Bytes(io.RawIOBase):
    """The `buffer` of a stream."""

    def __init__(self, stream: LineStream) -> None:
        super().__init__()
        self._stream = stream

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, data: Any) -> int:
        text = bytes(data)
        self._stream.write(text.decode(errors="replace"))
        return len(text)


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
