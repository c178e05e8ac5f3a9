"""`python -P -m plugmesh.data.outside.forker CONTROL_FD`: a warm process that forks one child for each file.

It has imported Arrow and the decoders, but never used them, so that there are no threads that a fork would lose. It
decodes nothing itself, ends with the process that started it, and ends the children of those who asked no more.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import resource
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from importlib.abc import MetaPathFinder

import pyarrow  # noqa: F401  so that no child has to

from plugmesh.data.outside import child, wire
from plugmesh.data.outside.job import Job

IDLE_S = 20.0
"""Without work for so long it ends; the next file starts another one. While it is there, its executor has to look after each
attempt whether it is the only child (0.1 ms)."""
BROKEN = 70
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""Signals to a process group, which are for the one who asks: it ends this one."""
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class _Child:
    pid: int
    pidfd: int
    link: socket.socket


class Forker:
    """Reads jobs, forks, reaps."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: dict[int, _Child] = {}
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)

    def run(self) -> None:
        """Until the asking process is gone, or has had nothing to ask for long."""
        while True:
            ready = self._poll.poll(None if self._children else IDLE_S * 1000)
            if not ready:
                return
            for fd, _ in ready:
                if fd == self._control.fileno():
                    if not self._take():
                        self._end_all()
                        return
                else:
                    self._look(fd)

    def _take(self) -> bool:
        packet, fds, _, _ = socket.recv_fds(self._control, wire.MOST_BYTES, wire.DESCRIPTORS)
        found = wire.parsed(packet)
        if found is None:
            return False
        job = Job.of(found[1])
        link, file, shared, said = fds
        with suppress(ImportError):  # the child says so
            importlib.import_module(job.decoder.partition(":")[0])
        forker = os.getpid()
        pid = os.fork()
        if pid == 0:
            _run_child(forker, job, link, file, shared, said)
        for fd in (file, shared, said):
            os.close(fd)
        one = _Child(pid, os.pidfd_open(pid), socket.socket(fileno=link))
        self._children[one.pidfd] = self._children[link] = one
        self._poll.register(one.pidfd, select.POLLIN)
        self._poll.register(link, 0)  # tells only that the other end is closed
        return True

    def _look(self, fd: int) -> None:
        one = self._children.get(fd)
        if one is None:
            return
        if fd == one.link.fileno():
            self._poll.unregister(fd)
            with suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)
            return
        self._reap(one)

    def _reap(self, one: _Child) -> None:
        _, status, used = os.wait4(one.pid, 0)
        told = [os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss * 1024]
        with suppress(OSError):
            wire.send(one.link, wire.ENDED, told)
        self._poll.unregister(one.pidfd)
        with suppress(KeyError):
            self._poll.unregister(one.link.fileno())
        del self._children[one.pidfd], self._children[one.link.fileno()]
        os.close(one.pidfd)
        one.link.close()

    def _end_all(self) -> None:
        for one in set(self._children.values()):
            os.kill(one.pid, signal.SIGKILL)
            os.waitpid(one.pid, 0)


class _WithoutPandas(MetaPathFinder):
    """Arrow imports pandas (0.3 s) to see whether a list is one of its columns. Whoever needs it has imported it by now."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("a decoder that needs pandas imports it at the top of its module", name=name)


def _run_child(forker: int, job: Job, link: int, file: int, shared: int, said: int) -> None:  # noqa: PLR0917  what came
    """Never returns."""
    code = BROKEN
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != forker:
            os._exit(0)
        for number in IGNORED:
            signal.signal(number, signal.SIG_DFL)
        sys.meta_path.insert(0, _WithoutPandas())
        os.dup2(said, 1)
        os.dup2(said, 2)
        code = child.decode(job, socket.socket(fileno=link), file, shared)
    except (BrokenPipeError, ConnectionError):  # nobody asks any more
        code = 0
    except BaseException:  # noqa: BLE001  whatever it is, this process must not go on as the forker
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Start with the path of the one who asks, which comes first."""
    control = socket.socket(fileno=int(sys.argv[1]))
    found = wire.receive(control)
    if found is None:
        return
    sys.path[:] = found[1]
    for which in (resource.RLIMIT_DATA, resource.RLIMIT_NOFILE):  # those of the attempt that was the first to need it
        hard = resource.getrlimit(which)[1]
        resource.setrlimit(which, (hard, hard))
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    Forker(control).run()


if __name__ == "__main__":
    main()
