"""One reader process as the gateway sees it: two pipes and a process id."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from gateway.reader import wire

_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
_PROGRAM = Path(__file__).with_name("process.py")


class Child:
    """One reader process. `started`: it has answered something."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self.started = False
        self._stdin, self._stdout = process.stdin, process.stdout

    @classmethod
    async def start(cls, objects_url: str, memory_bytes: int) -> Child:
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                str(_PROGRAM),
                objects_url,
                str(memory_bytes),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, request: dict[str, Any]) -> tuple[bytes, bytes]:
        self._stdin.write(wire.frame(wire.REQUEST, to_json(request)))
        await self._stdin.drain()
        return await self.receive()

    async def receive(self) -> tuple[bytes, bytes]:
        """The next frame. Raises `EOFError` or `OSError` when the process is gone."""
        kind, length = wire.HEADER.unpack(await self._stdout.readexactly(wire.HEADER.size))
        self.started = True
        return kind, await self._stdout.readexactly(length)

    def cpu_s(self) -> float | None:
        """CPU time that it has used; None when that cannot be known (any more)."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError):
            return None

    @property
    def was_ended_by_somebody(self) -> bool:
        """Whether a signal ended it that no crash and no limit of its own sends."""
        return -(self._process.returncode or 0) in _FROM_OUTSIDE

    async def ended(self) -> str:
        """How it ended, in words."""
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._process.wait()
        code = self._process.returncode
        if code is None:
            return "it closed its pipe"
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    async def kill(self) -> None:
        if self.alive:
            with suppress(ProcessLookupError):
                self._process.kill()
        self._stdin.close()
        # What it still had to say is read to the end: while a full pipe is not, asyncio does not see the process's end.
        with suppress(RuntimeError, OSError):  # somebody else is reading: then it will be read there
            while await self._stdout.read(wire.PIECE_BYTES):
                pass
        await self._process.wait()
