"""Executors as real processes: a socket pair for frames, an unlinked file for the log, a pidfd for the end."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack

from module_sdk.family import children, describe_status, end_children, end_group
from module_sdk.frames import FrameReader, Kind, frame
from module_sdk.launch import ExecutorSetup, Source
from module_sdk.step_folders import remove_folders
from module_sdk.supervisor.executor import Exit, Listener

READ_BYTES = 256 * 1024
TRACE_BYTES = 16 * 1024
_TRACE_STARTS = b"Fatal Python error"
_DUMPED = re.compile(r"^(Thread 0x|Current thread 0x|  File \"|  \.\.\.)")
_NO_MEMORY = re.compile(
    rb"memory allocation of \d+ bytes failed|std::bad_alloc|MemoryError|[Cc]annot allocate memory|[Oo]ut of memory"
)


class Processes:
    """Starts executor processes for one supervisor.

    `subreaper`: this process has no other children and adopts orphans, so whatever is left behind is ended here. `traces`: they
    make spans; `tells`: they say what user code logs.
    """

    def __init__(
        self,
        objects: str,
        path: tuple[str, ...],
        sources: dict[str, tuple[Source, str]],
        *,
        subreaper: bool = False,
        traces: bool = False,
        tells: bool = False,
    ) -> None:
        self._objects, self._path, self._sources = objects, path, sources
        self._subreaper, self._traces, self._tells = subreaper, traces, tells
        self.live: set[int] = set()

    def start(self, listener: Listener, *, shared: bool) -> ProcessExecutor:
        """A new process; blocks for the milliseconds that starting one takes."""
        setup = ExecutorSetup(self._objects, self._path, self._sources, shared, self._traces, self._tells)
        executor = ProcessExecutor(listener, setup, self._ended)
        self.live.add(executor.pid)
        return executor

    def _ended(self, pid: int) -> None:
        """One ended: what it started and left behind is ours now (we are the subreaper), and ends too."""
        end_group(pid)
        self.live.discard(pid)
        if self._subreaper and len(children()) > len(self.live):
            end_children(but=self.live)


class ProcessExecutor:
    """One executor process (see `Executor`)."""

    def __init__(self, listener: Listener, setup: ExecutorSetup, ended: Callable[[int], None]) -> None:
        self.shared = setup.concurrent
        self._listener = listener
        self._ended = ended
        self._reader = FrameReader()
        self._unsent = bytearray()
        self._ready = self._killed = self._unseen = False
        self._dumped_at: int | None = None
        self._cpu_before_s = 0.0
        with ExitStack() as unless_started:
            self.log = _open_log()
            unless_started.callback(os.close, self.log)
            self._socket, theirs = socket.socketpair()
            unless_started.callback(self._socket.close)
            with theirs:
                self._process = _spawn(theirs, self.log)
            unless_started.pop_all()
        self._socket.setblocking(False)
        self._pidfd = os.pidfd_open(self._process.pid)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._read)
        self._loop.add_reader(self._pidfd, self._exited)
        self._write(frame(Kind.SETUP, 0, setup.encode()))

    @property
    def pid(self) -> int:
        """The process, and its group."""
        return self._process.pid

    def assign(self, number: int, payload: bytes) -> None:
        if self._ready:
            self._cpu_before_s = self._cpu_s()
        self._write(frame(Kind.ASSIGN, number, payload))

    def plan(self, number: int, payload: bytes) -> None:
        self._write(frame(Kind.PLAN, number, payload))

    def cancel(self, number: int) -> None:
        self._write(frame(Kind.CANCEL, number))
        self._unseen = not self._ready
        if self._ready:
            self._nudge()

    def dump(self) -> None:
        self._dumped_at = os.fstat(self.log).st_size
        self._process.send_signal(signal.SIGUSR2)

    def kill(self) -> None:
        self._killed = True
        end_group(self._process.pid)

    def retire(self) -> None:
        self._write(frame(Kind.EXIT))

    def _nudge(self) -> None:
        """A serial executor does not read while user code runs: the signal makes it look."""
        if not self.shared:
            self._process.send_signal(signal.SIGUSR1)

    def _cpu_s(self) -> float:
        """CPU time of the process so far."""
        try:
            return time.clock_gettime((~self._process.pid << 3) | 2)  # its own clock: no file is opened
        except OSError:  # it has just ended
            return 0.0

    def _write(self, data: bytes) -> None:
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:  # it is gone; its end is reported by the pidfd
            return
        if sent < len(data):
            self._unsent += data[sent:]
            self._loop.add_writer(self._socket.fileno(), self._write_more)

    def _write_more(self) -> None:
        try:
            del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            return
        except OSError:
            self._unsent.clear()
        if not self._unsent:
            self._loop.remove_writer(self._socket.fileno())

    def _read(self) -> None:
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._socket.fileno())
            return
        for kind, number, payload in self._reader.feed(data):
            if kind == Kind.READY:
                self._ready = True
                self._cpu_before_s = self._cpu_s()
                if self._unseen:  # a cancel came before it could be told by a signal
                    self._nudge()
            self._listener.on_frame(self, kind, number, payload)

    def _exited(self) -> None:
        """The process ended; what it still said comes first."""
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        _, status, used = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._drain()
        self._ended(self._process.pid)
        if status:  # it had no time to remove them
            self._loop.run_in_executor(None, remove_folders, self._process.pid)
        ended = self._exit(used)
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        self._listener.on_exit(self, ended)

    def _drain(self) -> None:
        while True:
            try:
                data = self._socket.recv(READ_BYTES)
            except OSError:
                return
            if not data:
                return
            for kind, number, payload in self._reader.feed(data):
                self._listener.on_frame(self, kind, number, payload)

    def _exit(self, used: resource.struct_rusage) -> Exit:
        size = os.fstat(self.log).st_size
        tail = os.pread(self.log, TRACE_BYTES, max(0, size - TRACE_BYTES))
        return Exit(
            describe_status(self._process.returncode),
            self._killed,
            _trace(tail) if self._dumped_at is None else _dump(self.log, self._dumped_at),
            log=self.log,
            peak_bytes=used.ru_maxrss * 1024,
            cpu_s=max(0.0, used.ru_utime + used.ru_stime - self._cpu_before_s),
            out_of_memory=_NO_MEMORY.search(tail) is not None,
            asked=self._process.returncode == -signal.SIGTERM,
        )


def _spawn(theirs: socket.socket, log: int) -> subprocess.Popen[bytes]:
    """A process of its own session: all that it starts can be killed by its group."""
    command = [sys.executable, "-P", "-m", "module_sdk.executor", str(theirs.fileno()), str(os.getpid())]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=(theirs.fileno(),),
        start_new_session=True,
    )


def _open_log() -> int:
    """An unlinked file, opened for appending: it outlives the process that writes to it, and nothing else."""
    fd, path = tempfile.mkstemp(prefix="plugmesh-log-")
    try:
        appending = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    finally:
        os.close(fd)
        os.unlink(path)
    return appending


def _trace(tail: bytes) -> str:
    """What Python's faulthandler wrote at the end of a log."""
    start = tail.rfind(_TRACE_STARTS)
    return tail[start:].decode(errors="replace").strip() if start >= 0 else ""


def _dump(log: int, start: int) -> str:
    """The stacks that were asked for, without what was logged meanwhile."""
    lines = os.pread(log, TRACE_BYTES, start).decode(errors="replace").splitlines()
    return "\n".join(line for line in lines if _DUMPED.match(line))
