"""This process, as others that have the same database open see it; and that it ends when the database has left it behind."""

from __future__ import annotations

import asyncio
import logging
import os
import socket

from plugmesh import __version__
from plugmesh.errors import PlugmeshError
from plugmesh.runtime import Runtime
from plugmesh.state.migrate import HEAD, check_known
from plugmesh.state.processes import Process, attend_process, leave_process
from plugmesh.state.store import State

BEAT_S, LEASE_S = 5.0, 20.0
_log = logging.getLogger(__name__)


class Attendance:
    """Keeps the row of this process. Does nothing for a database that no other process can have open."""

    def __init__(self, state: State, runtime: Runtime, role: str) -> None:
        self._state, self._runtime = state, runtime
        self._process = Process(
            id=runtime.new_id(role),
            role=role,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=__version__,
            knows=HEAD,
            started_at=runtime.wall(),
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Be seen from now on. Raises `ConfigurationError` if the database is not for this process any more."""
        if not self._state.exclusive:
            await self._beat()
            self._task = self._runtime.spawn(self._go_on(), "attendance")

    async def failed(self) -> None:
        """Wait until the database is not for this process any more; raises `ConfigurationError` then."""
        await (asyncio.Event().wait() if self._task is None else asyncio.shield(self._task))

    async def stop(self) -> None:
        """Be seen no more."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self._state.write(leave_process, self._process.id)
        except Exception as error:  # noqa: BLE001  the row is forgotten when its time is over
            _log.warning("the database could not be told that this process ends: %s", error)

    async def _beat(self) -> None:
        check_known(await self._state.write(attend_process, self._process, LEASE_S))

    async def _go_on(self) -> None:
        while True:
            await self._runtime.sleep(BEAT_S)
            try:
                found = await self._state.write(attend_process, self._process, LEASE_S)
            except PlugmeshError as error:
                _log.warning("the database could not be told that this process is there, trying again: %s", error)
            except Exception:  # noqa: BLE001  one odd answer must not end it
                _log.exception("the database could not be told that this process is there, trying again")
            else:
                check_known(found)
