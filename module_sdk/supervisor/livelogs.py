"""The logs of attempts that take long, from the file that their executor writes to chunks in the object store."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass

from module_sdk.logchunks import CHUNK_BYTES, LONG_S, LogChunks, pause_s
from module_sdk.steplog import HEAD_BYTES, TAIL_BYTES, StepLog, as_lines, give_back_room, note
from module_sdk.supervisor.attempts import Held
from plugmesh.contracts.messages import LogRef
from plugmesh.errors import PlugmeshError
from plugmesh.objects.port import ObjectStore
from plugmesh.runtime import Runtime

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Live:
    chunks: LogChunks
    lock: asyncio.Lock
    read_to: int = 0
    next_at: float = 0.0


class LiveLogs:
    """Follows the log files of running attempts. What cannot be kept is left out: a log is no reason to fail."""

    def __init__(self, runtime: Runtime, objects: ObjectStore) -> None:
        self._runtime, self._objects = runtime, objects
        self._live: dict[int, _Live] = {}

    def size(self, attempt: Held) -> int:
        """Bytes in the attempt's log file."""
        log = None if attempt.executor is None else attempt.executor.log
        return 0 if log is None else os.fstat(log).st_size

    def look(self, attempt: Held, now: float) -> None:
        """Keep what is new, if there is enough of it or enough time has passed."""
        executor = attempt.executor
        if attempt.concurrent or executor is None or executor.log is None or attempt.handed_at is None:
            return
        age_s = now - attempt.handed_at
        if age_s < LONG_S or attempt.result is not None:
            return
        live = self._live.get(attempt.number)
        if live is None:
            live = self._live[attempt.number] = _Live(self._chunks(attempt), asyncio.Lock())
        size = os.fstat(executor.log).st_size
        give_back_room(executor.log, size)
        due = size > live.read_to and (now >= live.next_at or size - live.read_to >= CHUNK_BYTES)
        if due and not live.lock.locked():
            live.next_at = now + pause_s(age_s)
            self._runtime.spawn(self._keep(live, os.dup(executor.log)), "keep log")

    async def close(self, attempt: Held, log: int | None) -> LogRef | None:
        """The attempt is over: keep the rest of its log file, which is empty afterwards. Closes the descriptor."""
        live = self._live.pop(attempt.number, None)
        if log is None:
            return None
        live = live or _Live(self._chunks(attempt), asyncio.Lock())
        await self._keep(live, log, last=True)
        return live.chunks.ref() if live.chunks.count else None

    def drop(self, attempt: Held) -> None:
        """Nobody will ask for it."""
        self._live.pop(attempt.number, None)

    def _chunks(self, attempt: Held) -> LogChunks:
        return LogChunks(self._objects, attempt.head.prefix)

    async def _keep(self, live: _Live, log: int, *, last: bool = False) -> None:
        async with live.lock:
            try:
                await self._runtime.run_sync(_add, live, log, last)
            except PlugmeshError as error:
                _log.warning("a part of a step's log could not be kept: %s", error)
            finally:
                if last:
                    os.ftruncate(log, 0)
                os.close(log)


def _add(live: _Live, log: int, last: bool) -> None:
    size = os.fstat(log).st_size
    start, cut = live.read_to, 0
    if size - start > HEAD_BYTES + TAIL_BYTES:
        if start < HEAD_BYTES:
            start = _add_piece(live, log, start, HEAD_BYTES)
        cut = size - TAIL_BYTES - start
        start = size - TAIL_BYTES
    _add_piece(live, log, start, size, cut=cut, last=last)


def _add_piece(live: _Live, log: int, start: int, stop: int, *, cut: int = 0, last: bool = False) -> int:
    """Keep whole lines from `start`; returns (and remembers) how far that went."""
    data = os.pread(log, stop - start, start)
    if cut:  # the first line is broken
        broken = data.find(b"\n") + 1
        data, start = data[broken:], start + broken
    if not last:
        data = data[: data.rfind(b"\n") + 1]
    live.read_to = start + len(data)
    lines = as_lines((note(cut) if cut else b"") + data, cut > 0)
    live.chunks.add(StepLog(lines.data, lines.lines, lines.cut))
    return live.read_to
