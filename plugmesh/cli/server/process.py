"""Processes that outlive the one that started them: naming one safely, finding it again, waiting for its end (Linux)."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process for good: a number is used again, but not with the same start time in the same boot.

    `started` is in clock ticks since the boot `boot`.
    """

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """The process that has this number now; `None` if there is none, or only its unreaped remains."""
        try:
            text = (_PROC / str(pid) / "stat").read_text()
        except (OSError, UnicodeDecodeError):
            return None
        fields = text[text.rindex(")") + 2 :].split()  # the command before it may hold anything
        state, started = fields[0], int(fields[19])
        return None if state in "ZX" else cls(pid, started, boot_id())

    @property
    def alive(self) -> bool:
        """It still runs."""
        return ProcessId.of(self.pid) == self

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens if it has ended."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def ended(self) -> None:
        """Return when it has ended. It need not be a child of this process."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()
        try:
            if not self.alive:  # the handle may be another process's by now
                return
            loop.add_reader(handle, _resolve, over)
            await over
        finally:
            loop.remove_reader(handle)
            os.close(handle)


def boot_id() -> str:
    """This boot of the machine."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def find_marked(variable: str, value: str) -> list[int]:
    """The processes that were started with this environment variable; what they started themselves is left out."""
    wanted = f"{variable}={value}".encode()
    found = {
        pid: _parent(pid) for pid in map(int, filter(str.isdecimal, os.listdir(_PROC))) if wanted in _environment(pid)
    }
    return [pid for pid, parent in found.items() if parent not in found and pid != os.getpid()]


def _environment(pid: int) -> list[bytes]:
    try:
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or belongs to somebody else
        return []


def _parent(pid: int) -> int:
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return 0
    return int(text[text.rindex(")") + 2 :].split()[1])


def _resolve(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)
