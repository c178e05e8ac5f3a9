"""Settings that the API changed: in SQL first, then in force; in force again after a restart."""

from __future__ import annotations

import logging
from typing import Any

from pydantic_core import from_json, to_json

from plugmesh.errors import PlugmeshError
from plugmesh.runtime import Runtime
from plugmesh.settings.kinds import RUN_TIME
from plugmesh.settings.settings import API, Settings, marks, require_known
from plugmesh.settings.table import Table
from plugmesh.state.settings import changed_settings, drop_setting, save_setting
from plugmesh.state.store import State

_log = logging.getLogger(__name__)


class StoredSettings:
    """What the API shows and changes. `load` before use."""

    def __init__(self, settings: Settings, state: State, runtime: Runtime) -> None:
        self._settings = settings
        self._state = state
        self._runtime = runtime

    async def load(self) -> None:
        """Put stored changes in force. One that fits no more (another version stored it) is logged and left alone."""
        for name, text in (await self._state.read(changed_settings)).items():
            try:
                self._settings.change(name, from_json(text))
            except PlugmeshError as error:
                _log.warning("a stored change of the setting %s is not used: %s", name, error)

    async def put(self, name: str, value: Any, actor: str) -> dict[str, Any]:
        """Change a setting and show it. Raises `NotFound`, `Conflict`, `SettingsInvalid`."""
        checked = self._settings.check(name, value)
        await self._state.write(save_setting, name, to_json(checked).decode(), actor, self._runtime.wall())
        self._settings.change(name, checked)
        _log.info("%s changed the setting %s", actor, name)
        return self.one(name)

    async def reset(self, name: str, actor: str) -> dict[str, Any]:
        """Back to what is configured. Raises `NotFound`, `Conflict`, `SettingsInvalid`."""
        require_known(name)
        self._settings.check(name, self._settings.configured_value(name))
        await self._state.write(drop_setting, name)
        self._settings.reset(name)
        _log.info("%s reset the setting %s", actor, name)
        return self.one(name)

    def all(self) -> list[dict[str, Any]]:
        """Every setting, in the order of the table."""
        return [self.one(name) for name in Table.model_fields]

    def one(self, name: str) -> dict[str, Any]:
        """One setting. Raises `NotFound`."""
        require_known(name)
        settings, field = self._settings, Table.model_fields[name]
        return {
            "name": name,
            "value": settings.shown(name, getattr(settings, name)),
            "default": settings.shown(name, field.default),
            "configured": settings.shown(name, settings.configured_value(name)),
            "source": settings.origin(name),
            "changed": settings.origin(name) == API,
            "changeable": RUN_TIME in marks(name),
            "doc": " ".join((field.description or "").split()),
        }
