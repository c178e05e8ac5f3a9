"""The gateway's side of its reader processes: a few children that decode data, so that the gateway never does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from pydantic_core import from_json

from gateway.errors import Busy, Unreadable
from gateway.reader import wire
from gateway.reader.child import Child
from plugmesh.errors import LimitExceeded, ObjectMissing, PlugmeshError
from plugmesh.figures import Latency
from plugmesh.runtime import Runtime
from plugmesh.settings.settings import Settings

START_S = 20.0
"""A new process may take so much longer for its first answer: it imports Arrow, perhaps on a busy machine."""


_HARDLY = 0.2
"""A process that used a smaller part of the time as CPU time was not kept at work by its data."""


class ReaderFailure(PlugmeshError):
    """What a reader process reported: its code is that of the error there."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Reader:
    """A pool of reader processes, started when needed and ended when idle."""

    def __init__(self, runtime: Runtime, objects_url: str, settings: Settings) -> None:
        self._runtime = runtime
        self._objects_url = objects_url
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.reader_processes)
        self._streams = asyncio.Semaphore(max(1, settings.reader_processes - 1))  # one is always left for previews
        self._waiting = 0
        self.answers = Latency("plugmesh_reader_seconds", "Time until a process that decodes data answered")
        self.failures = 0
        """Processes that died or were stopped over what they were asked."""
        self._idle: list[tuple[float, Child]] = []
        self._children: set[Child] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._reaper: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def processes(self) -> int:
        """Reader processes that there are."""
        return len(self._children)

    @property
    def idle(self) -> int:
        """Reader processes that nobody uses now."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """Questions that wait for a process."""
        return self._waiting

    async def ask(self, **request: Any) -> bytes:
        """One JSON answer. Raises `ReaderFailure`, `Unreadable` (it crashed or took too long), `Busy` (also when somebody
        stopped or ended the process)."""
        await self._acquire(self._slots)
        try:
            child = await self._child()
            try:
                kind, payload = await self._bounded(child, child.ask(request))
                usable = kind == wire.ANSWER or (kind == wire.FAILED and not _is_last(payload))
            except BaseException:
                await self._discard(child)
                raise
            await self._put_back(child, usable=usable)
        finally:
            self._slots.release()
        return _raise_or(kind, payload)

    async def stream(self, **request: Any) -> AsyncGenerator[bytes, None]:
        """The pieces of a stream; errors as `ask`, the first ones before the first piece."""
        await self._acquire(self._streams)
        try:
            await self._acquire(self._slots)
            try:
                async with aclosing(self._pieces(request)) as pieces:
                    async for piece in pieces:
                        yield piece
            finally:
                self._slots.release()
        finally:
            self._streams.release()

    async def close(self) -> None:
        """End all processes."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
        for child in tuple(self._children):
            await self._discard(child)
        while self._ending:
            await asyncio.wait(self._ending)

    async def _pieces(self, request: dict[str, Any]) -> AsyncGenerator[bytes, None]:
        child = await self._child()
        usable = False
        try:
            kind, payload = await self._bounded(child, child.ask(request))
            while kind == wire.DATA:
                yield payload
                kind, payload = await self._bounded(child, child.receive())
            usable = kind == wire.END or not _is_last(payload)
        finally:  # unusable: the client left, or the child died; what it still has to say helps nobody
            await self._put_back(child, usable=usable)
        _raise_or(kind, payload)

    async def _acquire(self, semaphore: asyncio.Semaphore) -> None:
        if semaphore.locked() and self._waiting >= self._settings.reader_queue:
            raise Busy(f"{self._waiting:,} others wait for a reader process already: try again in a moment")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._settings.reader_timeout_s):
                await semaphore.acquire()
        except TimeoutError:
            raise Busy("all reader processes are busy with previews and downloads: try again in a moment") from None
        finally:
            self._waiting -= 1

    async def _child(self) -> Child:
        while self._idle:
            _, child = self._idle.pop()
            if child.alive:
                return child
            await self._discard(child)
        if self._closed:
            raise Busy("the gateway is stopping")
        child = await Child.start(self._objects_url, self._settings.reader_memory_bytes)
        self._children.add(child)
        return child

    async def _bounded(self, child: Child, answer: Any) -> tuple[bytes, bytes]:
        limit_s = self._settings.reader_timeout_s
        begun, used_s = self._runtime.now(), child.cpu_s()
        try:
            async with asyncio.timeout(limit_s if child.started else limit_s + START_S):
                found: tuple[bytes, bytes] = await answer
                self.answers.observe(self._runtime.now() - begun)
                return found
        except TimeoutError:
            self.failures += 1
            if has_hardly_run(used_s, child.cpu_s(), limit_s):
                raise Busy(
                    f"the reader process hardly ran for {limit_s:g} s, and was ended: somebody stopped it, or the machine "
                    "has too much to do: try again in a moment"
                ) from None
            raise Unreadable(
                f"decoding made no progress for {limit_s:g} s and was stopped: ask for fewer rows or columns, "
                "or raise reader_timeout_s in the gateway's settings"
            ) from None
        except (EOFError, OSError):
            self.failures += 1
            how = await child.ended()
            if child.was_ended_by_somebody:
                raise Busy(
                    f"the reader process was ended from outside ({how}), by somebody or because the machine's memory was "
                    "full: try again in a moment"
                ) from None
            raise Unreadable(
                f"the reader process died over this data ({how}): the data is damaged, or needs more than "
                f"{self._settings.reader_memory_bytes:,} bytes of memory; ask for fewer rows or columns"
            ) from None

    async def _put_back(self, child: Child, *, usable: bool) -> None:
        if not usable or self._closed:
            await self._discard(child)
            return
        self._idle.append((self._runtime.now(), child))
        if self._reaper is None or self._reaper.done():
            self._reaper = self._runtime.spawn(self._reap(), "gateway-reader-idle")

    async def _reap(self) -> None:
        while self._children:
            await self._runtime.sleep(self._settings.reader_idle_s / 2)
            oldest = self._runtime.now() - self._settings.reader_idle_s
            for entry in [entry for entry in self._idle if entry[0] <= oldest]:
                self._idle.remove(entry)
                await self._discard(entry[1])

    async def _discard(self, child: Child) -> None:
        self._children.discard(child)
        ending = self._runtime.spawn(child.kill(), "gateway-reader-end")
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        await asyncio.shield(ending)  # whoever waits may be cancelled: the process must be ended all the same


def has_hardly_run(before_s: float | None, after_s: float | None, waited_s: float) -> bool:
    """Whether so little CPU time was used in `waited_s` that the question itself cannot be what took so long."""
    return before_s is not None and after_s is not None and after_s - before_s < waited_s * _HARDLY


def _is_last(payload: bytes) -> bool:
    """Whether a process that failed so ends by itself."""
    return bool(from_json(payload)["code"] == LimitExceeded.code)


def _raise_or(kind: bytes, payload: bytes) -> bytes:
    if kind != wire.FAILED:
        return payload
    report = from_json(payload)
    if report["code"] == ObjectMissing.code:
        raise ObjectMissing(f"{report['message']} (the run's data is gone: run it again)")
    raise ReaderFailure(report["code"], report["message"])
