"""The asking side: files are decoded by children of one warm process, which is started when it is first needed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from plugmesh.data.outside import wire
from plugmesh.data.outside.decoding import raised_error, reader_of, unreadable
from plugmesh.data.outside.job import Job
from plugmesh.data.outside.mapped import mapped
from plugmesh.data.outside.verdict import Ending, verdict
from plugmesh.errors import DecoderEnded, FileUnreadable

if TYPE_CHECKING:
    import pyarrow as pa

_START = "from plugmesh.data.outside.forker import main; main()"
_SAID_BYTES = 4096

Told = Callable[[Any], None]
"""Takes what a decoder tells (`Source.tell`); what it raises ends the decoding."""


class Outside:
    """The process that decodes for this one. Any thread; several files at a time. Ends with `close`, or with the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    @property
    def pids(self) -> tuple[int, ...]:
        """Processes that are kept for the next file."""
        process = self._process
        return () if process is None or process.poll() is not None else (process.pid,)

    def close(self) -> None:
        """End the process, and with it what is decoded just now."""
        with self._lock:
            self._end()

    def send(self, job: Job, fds: tuple[int, ...]) -> None:
        """Hand a job to the process, which is started if there is none. Raises `DecoderEnded`."""
        with self._lock:
            for _ in range(2):
                try:
                    return wire.send(self._running(), wire.JOB, job.document(), fds)
                except OSError:  # it has ended just now: it had nothing to do for long
                    self._end()
        raise _gone(job)

    def _running(self) -> socket.socket:
        if self._control is not None and self.pids:
            return self._control
        self._end()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._control = ours
        wire.send(ours, wire.JOB, sys.path)
        return ours

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._control = self._process = None


class Decodings:
    """What is decoded for one attempt: it ends with `close`, whoever still has a reader."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._open: WeakSet[_Decoding] = WeakSet()

    def decode(self, job: Job, fd: int, told: Told) -> pa.RecordBatchReader:
        """The batches of the file that is open as `fd`, which may be closed afterwards. The schema is there when this
        returns. Raises, here or while it is read, what the decoder raises, `FileUnreadable` and `DecoderEnded`."""
        while True:
            begun = bool(self._outside.pids)
            decoding = _Decoding(job, told)
            self._open.add(decoding)
            try:
                return reader_of(decoding.start(self._outside, fd))
            except DecoderEnded:
                if (
                    decoding.heard or not begun
                ):  # else the process, which was there, has not taken it: it was about to end
                    raise

    def close(self) -> None:
        """End what is not over."""
        for decoding in list(self._open):
            decoding.end()


class _Decoding:
    """One file: the packets of its child become a schema and batches."""

    def __init__(self, job: Job, told: Told) -> None:
        self._job, self._told = job, told
        self._shared = tempfile.TemporaryFile(prefix="plugmesh-decode-")  # noqa: SIM115  lives as long as this
        self._said = os.memfd_create("plugmesh-decode-said")
        self._link, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._given_back: deque[int] = deque()
        self.heard = False
        """Whether somebody has answered."""

    def start(self, outside: Outside, fd: int) -> Iterator[pa.Schema | pa.RecordBatch]:
        """Begin; the schema, then the batches."""
        try:
            with self._theirs:
                outside.send(self._job, (self._theirs.fileno(), fd, self._shared.fileno(), self._said))
        except BaseException:
            self._close()
            raise
        return self._batches()

    def end(self) -> None:
        """Nobody wants the rest: the child is ended."""
        try:
            self._link.shutdown(socket.SHUT_RDWR)
        except OSError:  # it is over
            return

    def _batches(self) -> Iterator[pa.Schema | pa.RecordBatch]:
        schema: pa.Schema | None = None
        try:
            while (found := wire.receive(self._link)) is not None:
                self.heard, (kind, value) = True, found
                if kind == wire.BATCH:
                    stream = self._stream(*value)
                    yield stream.schema if schema is None else stream.read_next_batch()
                    schema = stream.schema
                    del stream
                    self._next()
                elif kind == wire.TOLD:
                    self._told(value)
                elif kind == wire.FAILED:
                    raise raised_error(value)
                elif kind == wire.END:
                    return
                elif kind == wire.ENDED:
                    status, cpu_s, peak_bytes = value
                    raise verdict(self._job, Ending(status, cpu_s, peak_bytes, self._last_words()))
            raise _gone(self._job)
        finally:
            self._close()

    def _stream(self, offset: int, size: int) -> pa.RecordBatchReader:
        import pyarrow as pa

        if not 0 <= offset < offset + size <= os.fstat(self._shared.fileno()).st_size:
            raise FileUnreadable(unreadable(self._job.name, "the decoder does not know what it has written"))
        buffer = mapped(self._shared.fileno(), offset, size, partial(self._given_back.append, offset))
        return pa.ipc.open_stream(buffer)

    def _next(self) -> None:
        offsets = [self._given_back.popleft() for _ in range(len(self._given_back))]
        try:
            wire.send(self._link, wire.NEXT, offsets)
        except OSError:  # it has ended: what it said last is still to be read
            return

    def _last_words(self) -> str:
        size = os.fstat(self._said).st_size
        return os.pread(self._said, _SAID_BYTES, max(0, size - _SAID_BYTES)).decode(errors="replace")

    def _close(self) -> None:
        self._link.close()
        self._shared.close()
        os.close(self._said)


def _gone(job: Job) -> DecoderEnded:
    return DecoderEnded(
        f"the process that decoded {job.name!r} is gone, and the one that had started it: the step is tried again"
    )
