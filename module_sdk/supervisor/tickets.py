"""The ticket that executors show where objects come through the gateway: it lies in a file, and is replaced in time."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Protocol, runtime_checkable

from plugmesh.errors import NotReachable, PlugmeshError
from plugmesh.objects.paths import with_token_file
from plugmesh.objects.port import ObjectStore
from plugmesh.private_file import create_private
from plugmesh.runtime import Runtime

RENEW_S = 60.0
"""A replaced join token ends all tickets: so each is replaced long before it is over."""
_RENEWALS = 3
_log = logging.getLogger("plugmesh")


@runtime_checkable
class TicketOffice(Protocol):
    """A store that gives out tickets: objects come through a gateway."""

    def ticket(self, instance: str) -> tuple[str, float]:
        """What executors of `instance` may show, and for how many seconds; empty: nothing is asked for."""
        ...


class Tickets:
    """The tickets of one instance's executors, for whom `url` is where objects are."""

    def __init__(self, runtime: Runtime, store: ObjectStore, instance: str, url: str) -> None:
        self._runtime, self._store, self.instance = runtime, store, instance
        self.url = url
        self._folder: Path | None = None
        self._task: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Get the first one, if objects come through a gateway; waits for it. Raises `Unauthorized`."""
        if not isinstance(self._store, TicketOffice):
            return
        office = self._store
        ticket, valid_s = await self._first(office)
        if not ticket:  # this mesh asks for none
            return
        self._folder = Path(tempfile.mkdtemp(prefix="plugmesh-ticket-"))
        self.url = with_token_file(self.url, self._file(self._folder))
        await self._write(self._folder, ticket)
        self._task = self._runtime.spawn(self._renew(office, self._folder, valid_s), "object tickets")

    async def close(self) -> None:
        """Take the ticket away."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._writing is not None:
            await asyncio.wait([self._writing])
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _first(self, office: TicketOffice) -> tuple[str, float]:
        while True:
            try:
                return await self._runtime.run_sync(office.ticket, self.instance)
            except NotReachable as error:
                _log.warning("there is no ticket for objects yet, trying again: %s", error)

    async def _renew(self, office: TicketOffice, folder: Path, valid_s: float) -> None:
        while True:
            await self._runtime.sleep(min(RENEW_S, valid_s / _RENEWALS))
            try:
                ticket, valid_s = await self._runtime.run_sync(office.ticket, self.instance)
                await self._write(folder, ticket)
            except (PlugmeshError, OSError) as error:
                _log.warning("the executors' ticket for objects could not be replaced, trying again: %s", error)

    async def _write(self, folder: Path, ticket: str) -> None:
        """Beside the event loop: on a busy disk it takes seconds. Who cancels this leaves `_writing` at work."""
        fresh = folder / self._runtime.new_id("fresh")
        put = self._runtime.run_sync(self._put, fresh, self._file(folder), ticket)
        self._writing = self._runtime.spawn(put, "object ticket")
        await asyncio.shield(self._writing)

    @staticmethod
    def _put(fresh: Path, file: Path, ticket: str) -> None:
        if not file.parent.is_dir():  # whoever clears away old files took it
            file.parent.mkdir(mode=0o700)
        create_private(fresh, ticket, "the executors' ticket for objects")
        os.replace(fresh, file)

    @staticmethod
    def _file(folder: Path) -> Path:
        return folder / "ticket"
