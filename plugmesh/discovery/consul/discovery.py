"""Discovery in Consul. This process's instances are kept there by a task that beats for them and enters them again
whenever Consul has forgotten them."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeVar

from plugmesh.contracts.instance import Beat, Registration
from plugmesh.discovery.consul.address import consul_place
from plugmesh.discovery.consul.entry import FORGET_S, PASS_S, Page
from plugmesh.discovery.consul.figures import ConsulCalls
from plugmesh.discovery.consul.watch import ConsulWatch
from plugmesh.discovery.consul.writer import ConsulWriter
from plugmesh.discovery.port import Entry, Watch
from plugmesh.errors import NotReachable, PlugmeshError
from plugmesh.figures import Figure
from plugmesh.runtime import Runtime, Worker

REGISTER_S = 10.0
LEAVE_S = 5.0
LOOK_S = 0.02
"""How often a new registration is looked for; agents need some milliseconds to pass it on."""
WRITE_S = 2.0
"""A document is written at most so often, but at once when an instance begins to drain."""
RENEW_S = FORGET_S / 10
RETRY_S = 1.0
T = TypeVar("T")
_log = logging.getLogger(__name__)


class _Kept:
    """One instance of this process, and when what of it was last told to Consul."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.written: Page | None = None
        self.written_at = self.passed_at = -math.inf
        self.entered = False
        self.session: str | None = None

    def pages_differ(self) -> bool:
        return self.page != self.written

    def write_at(self) -> float:
        """When its document must be written."""
        if not self.pages_differ():
            return math.inf
        before = self.written.beat if self.written is not None else None
        urgent = self.page.beat is not None and self.page.beat.draining != (before is not None and before.draining)
        return -math.inf if urgent else self.written_at + WRITE_S

    def due_at(self) -> float:
        """When Consul must hear of it."""
        return min(self.write_at(), self.passed_at + PASS_S) if self.entered else -math.inf


class ConsulDiscovery:
    """One process's access. Consul is first asked when something is registered, watched or checked."""

    def __init__(self, url: str, runtime: Runtime) -> None:
        self._place = consul_place(url)
        self._runtime = runtime
        self._writer = ConsulWriter(self._place)
        self._calls = ConsulCalls(runtime)
        self._worker: Worker | None = None
        self._kept: dict[str, _Kept] = {}
        self._keeper: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()
        self._renewed_at = -math.inf
        self._retry_at = -math.inf
        self._watches: list[ConsulWatch] = []

    async def check(self) -> None:
        """Ask Consul for all that is needed. Raises `ConfigurationError` and `Unauthorized`, which name the setting, and
        `NotReachable`."""
        await self._call(self._writer.check)

    def figures(self) -> Iterator[Figure]:
        """For `/metrics`."""
        return self._calls.figures()

    async def register(self, registration: Registration) -> None:
        known = self._kept.get(registration.instance)
        beat = None if known is None else known.page.beat
        kept = known or _Kept(Page(registration=registration))
        kept.page, kept.entered = Page(registration=registration, beat=beat), False
        async with self._turn:
            await self._enter(kept)
        self._kept[registration.instance] = kept
        if self._keeper is None:
            self._keeper = self._runtime.spawn(self._keep(), "consul keeper")
        self._changed.set()
        try:
            async with asyncio.timeout(REGISTER_S):
                while not await self._call(self._writer.visible, registration):
                    await self._runtime.sleep(LOOK_S)
        except TimeoutError:
            raise NotReachable(
                f"{self._place} has not shown {registration.instance} within {REGISTER_S:g} s: see the log of its agent, "
                "and the datacenter in the setting `discovery`"
            ) from None

    async def beat(self, beat: Beat) -> None:
        kept = self._kept.get(beat.instance)
        if kept is not None and kept.page.beat != beat:
            kept.page = Page(registration=kept.page.registration, beat=beat)
            self._changed.set()

    async def deregister(self, instance: str) -> None:
        self._kept.pop(instance, None)
        with suppress(PlugmeshError, TimeoutError):  # whoever is away will find out by the missing beats
            async with asyncio.timeout(LEAVE_S), self._turn:
                await self._call(self._writer.leave, instance)
                if not self._kept:
                    await self._call(self._writer.end)

    def watch(self, deliver: Callable[[str, Entry | None], None]) -> Watch:
        watch = ConsulWatch(self._place, self._runtime, deliver, self._calls)
        self._watches.append(watch)
        return watch

    async def close(self) -> None:
        """End the process's access without a word: what it registered falls silent."""
        for watch in self._watches:
            watch.close()
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        worker, self._worker = self._worker, None
        if worker is not None:
            await self._runtime.run_sync(worker.close)

    # -- keeping what was registered -----------------------------------------------------------------------------------

    async def _keep(self) -> None:
        failed = False
        while True:
            await self._until_due()
            try:
                async with self._turn:
                    await self._keep_all()
                if failed:
                    _log.info("%s answers again", self._place)
                failed = False
            except Exception as error:  # noqa: BLE001  whatever it was, nobody else keeps the instances alive
                level = logging.DEBUG if failed else logging.WARNING
                unforeseen = None if isinstance(error, PlugmeshError) else error
                _log.log(level, "%s; it is tried again", error, exc_info=unforeseen)
                failed, self._retry_at = True, self._runtime.now() + RETRY_S

    async def _until_due(self) -> None:
        """Wait until something is due; a beat that changes something may make it due sooner."""
        while True:
            self._changed.clear()
            due_at = min((kept.due_at() for kept in self._kept.values()), default=math.inf)
            wait_s = max(due_at, self._retry_at) - self._runtime.now()
            if wait_s <= 0:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(None if wait_s == math.inf else wait_s):
                    await self._changed.wait()

    async def _keep_all(self) -> None:
        if self._kept and self._runtime.now() >= self._renewed_at + RENEW_S:
            await self._call(self._writer.renew)
            self._renewed_at = self._runtime.now()
        for kept in tuple(self._kept.values()):
            if kept.session != self._writer.session:  # its document is gone
                kept.entered = False
            await self._keep_one(kept)

    async def _keep_one(self, kept: _Kept) -> None:
        now = self._runtime.now()
        if kept.entered and now >= kept.passed_at + PASS_S:
            kept.entered = await self._call(self._writer.live, kept.page.registration.instance)
            kept.passed_at = now
        if not kept.entered:
            await self._enter(kept)
        elif now >= kept.write_at():
            await self._write(kept, self._writer.write)

    async def _enter(self, kept: _Kept) -> None:
        registration = kept.page.registration
        await self._write(kept, self._writer.enter)
        kept.entered = registration is kept.page.registration
        kept.passed_at = self._runtime.now()

    async def _write(self, kept: _Kept, write: Callable[[Page], None]) -> None:
        page = kept.page
        await self._call(write, page)
        kept.written, kept.written_at, kept.session = page, self._runtime.now(), self._writer.session

    async def _call(self, function: Callable[..., T], *args: object) -> T:
        if self._worker is None:
            self._worker = self._runtime.worker("consul beats")
        return await self._calls.counted(function.__name__, self._worker.call(function, *args))
