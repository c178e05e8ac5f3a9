"""Logs of a server."""

from __future__ import annotations

from plugmesh.logs.config import NOTICES, configure_logs, log_variables, set_log_level
from plugmesh.settings.kinds import SECRET
from plugmesh.settings.settings import Settings, marks
from plugmesh.settings.watching import Logs

__all__ = ["NOTICES", "configure_server_logs", "logs_of", "server_log_variables", "set_log_level"]

BECOMES_MODULES = "builtins"
"""This role becomes a process that serves modules, and has a log file only then."""


def configure_server_logs(settings: Settings, role: str) -> None:
    """Log as the settings say, and follow when the level changes. `role` is what `plugmesh serve` starts (empty: all of a mesh).

    Raises `ConfigurationError`.
    """
    secret = [getattr(settings, name) for name in type(settings).model_fields if SECRET in marks(name)]
    logs = logs_of(settings)
    if role == BECOMES_MODULES:
        logs = logs.model_copy(update={"log_file": ""})
    configure_logs(logs, role or "server", [value for value in secret if isinstance(value, str)])
    settings.on_change("log_level", set_log_level)


def server_log_variables(settings: Settings) -> dict[str, str]:
    """For the processes that a server starts, which read variables and no settings."""
    return log_variables(logs_of(settings))


def logs_of(settings: Settings) -> Logs:
    """The settings that are about logs."""
    return Logs.model_construct(**{name: getattr(settings, name) for name in Logs.model_fields})
