"""How a process logs, as settings or variables say."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import ValidationError

from plugmesh.errors import ConfigurationError
from plugmesh.logs.files import LogFiles
from plugmesh.logs.lines import JsonLines, TextLines, can_show_colours
from plugmesh.settings.watching import Logs

NOTICES = "plugmesh.notice"
"""What a person in front of the process should see, at any log level."""
Lines: TypeAlias = JsonLines | TextLines
_PREFIX = "PLUGMESH_"
_SHORTEST_SECRET = 4
_CHATTY = ("alembic", "watchfiles", "websockets")
"""They tell of each step, each look and each frame."""


def log_settings(environment: Mapping[str, str], default_level: str) -> Logs:
    """What the variables say, for a process without settings. Raises `ConfigurationError`."""
    given = {
        name: environment[_PREFIX + name.upper()] for name in Logs.model_fields if _PREFIX + name.upper() in environment
    }
    try:
        return Logs.model_validate({"log_level": default_level, **given})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = _PREFIX + str(first["loc"][0]).upper()
        raise ConfigurationError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None


def log_variables(logs: Logs) -> dict[str, str]:
    """The same, for processes that this one starts: what is not as it is by itself."""
    usual = Logs()
    changed = {name: getattr(logs, name) for name in Logs.model_fields if getattr(logs, name) != getattr(usual, name)}
    return {_PREFIX + name.upper(): str(value) for name, value in changed.items()}


def configure_logs(
    logs: Logs, role: str, urls: Iterable[str] = (), words: Iterable[str] = (), notices: TextIO | None = None
) -> Lines:
    """Send everything that is logged in this process where `logs` says. `role` is what it is. Passwords of `urls`, and secret
    `words`, will be in no line. With `notices`, these are written there as they are, where nobody wants JSON. Returns what makes
    the lines.

    Raises `ConfigurationError` for a file that cannot be written.
    """
    hidden = {*secrets_in(urls), *(word for word in words if len(word) >= _SHORTEST_SECRET)}
    lines = _lines(logs, role, hidden)
    screen = logging.StreamHandler()
    screen.setFormatter(lines)
    handlers: list[logging.Handler] = [screen]
    if logs.log_file:
        file = Path(logs.log_file).expanduser()
        files = LogFiles(file, role, most_bytes=logs.log_file_bytes, days=logs.log_file_days, count=logs.log_files)
        files.setFormatter(lines)
        screen.addFilter(logging.Filter(NOTICES))  # the rest is in the file
        handlers.append(files)
    root = logging.getLogger()
    root.handlers[:] = handlers
    set_log_level(logs.log_level)
    told = logging.getLogger(NOTICES)
    told.setLevel(logging.INFO)
    if notices is not None and logs.log_format == "text":
        told.handlers[:] = [logging.StreamHandler(notices)]
        told.propagate = False
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return lines


def _lines(logs: Logs, role: str, hidden: Collection[str]) -> Lines:
    if logs.log_format == "json":
        return JsonLines(hidden, {"role": role, "host": socket.gethostname(), "pid": os.getpid()})
    return TextLines(hidden, colours=not logs.log_file and can_show_colours(sys.stderr), dated=bool(logs.log_file))


def set_log_level(level: str) -> None:
    """How much is logged from now on."""
    logging.getLogger().setLevel(level.upper())


def add_to_lines(lines: Lines, **known: Any) -> None:
    """What each JSON line of this process says from now on, such as its instance."""
    if isinstance(lines, JsonLines):
        lines.always.update(known)


def is_json(logger: logging.Logger) -> bool:
    """Whether its lines are for programs."""
    return any(isinstance(handler.formatter, JsonLines) for handler in logger.handlers)


def secrets_in(urls: Iterable[str]) -> Collection[str]:
    """Passwords in URLs, as they stand there and as they are meant."""
    found: set[str] = set()
    for url in urls:
        try:
            parts = urlsplit(url)
            words = [parts.password or "", *(value for name, value in parse_qsl(parts.query) if _is_secret(name))]
        except ValueError:
            words = [url]
        words.append(url.partition("://")[2].rpartition("@")[0].partition(":")[2])  # it may have an unquoted / ? or #
        found.update(form for word in words for form in (word, unquote(word)))
    return {word for word in found if len(word) >= _SHORTEST_SECRET}


def _is_secret(name: str) -> bool:
    name = name.lower()
    return not name.endswith("_file") and any(word in name for word in ("password", "secret", "token", "key"))
