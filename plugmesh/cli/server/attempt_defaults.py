"""What the settings say of attempts whose flow and module say nothing."""

from __future__ import annotations

from typing import Any

from plugmesh.contracts.module import Limits
from plugmesh.settings.settings import Settings
from scheduler.assignment import AttemptDefaults

_LIMITS = {
    "attempt_memory_bytes": "memory_bytes",
    "attempt_cpu_s": "cpu_s",
    "attempt_open_files": "open_files",
    "attempt_output_bytes": "output_bytes",
    "attempt_silent_s": "silent_s",
}
_WALL = "attempt_wall_s"


class AttemptSettings:
    """Calling it gives the defaults of now; they are made anew when one of the settings changes, not at each call."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._defaults = self._read()
        for name in (*_LIMITS, _WALL):
            settings.on_change(name, self._changed)

    def __call__(self) -> AttemptDefaults:
        return self._defaults

    def _changed(self, value: Any) -> None:
        self._defaults = self._read()

    def _read(self) -> AttemptDefaults:
        settings = self._settings
        limits = Limits(**{field: getattr(settings, name) for name, field in _LIMITS.items()})
        return AttemptDefaults(limits, settings.attempt_wall_s)
