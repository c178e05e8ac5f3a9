"""Settings that the API of another process changed: in force here as well within seconds."""

from __future__ import annotations

import asyncio
import logging

from pydantic_core import from_json

from plugmesh.errors import PlugmeshError
from plugmesh.runtime import Runtime
from plugmesh.settings.settings import API, Settings
from plugmesh.settings.table import Table
from plugmesh.state.settings import changed_settings
from plugmesh.state.store import State

FOLLOW_S = 5.0
_log = logging.getLogger(__name__)


class SettingsFollower:
    """Reads the table of changes now and then. For processes whose database others have open, too."""

    def __init__(self, settings: Settings, state: State, runtime: Runtime) -> None:
        self._settings, self._state, self._runtime = settings, state, runtime
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; what is stored now was loaded before."""
        self._task = self._runtime.spawn(self._follow(), "settings")

    async def stop(self) -> None:
        """End at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self) -> None:
        """Put in force what has changed. Raises what the database raises."""
        stored = await self._state.read(changed_settings)
        for name, text in stored.items():
            if name not in Table.model_fields:
                continue
            value = from_json(text)
            try:
                if self._settings.check(name, value) != getattr(self._settings, name):
                    self._settings.change(name, value)
            except PlugmeshError as error:
                _log.warning("a stored change of the setting %s is not used: %s", name, error)
        for name in Table.model_fields:
            if name not in stored and self._settings.origin(name) == API:
                self._settings.reset(name)

    async def _follow(self) -> None:
        while True:
            await self._runtime.sleep(FOLLOW_S)
            try:
                await self.look()
            except PlugmeshError as error:
                _log.warning("the changed settings could not be read; trying again: %s", error)
            except Exception:  # noqa: BLE001  one odd answer must not end it
                _log.exception("the changed settings could not be read; trying again")
