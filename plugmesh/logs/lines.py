"""What a log line looks like. Neither kind has a secret in it."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from plugmesh.hidden_text import MASK, hidden_in
from plugmesh.logs.ids import ids_of

_COLOURS = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31;1m", "CRITICAL": "\x1b[31;1m", "DEBUG": "\x1b[2m"}
_TIME, _DATE_AND_TIME = "%H:%M:%S", "%Y-%m-%d %H:%M:%S"
_PLAIN = "\x1b[0m"


class _Lines(logging.Formatter):
    """`secrets` are words that must not be in a line, wherever they come from."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        super().__init__()
        self._secrets = sorted(secrets, key=len, reverse=True)

    def _hidden(self, text: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        return hidden_in(text)

    def _exception(self, record: logging.LogRecord) -> str:
        """Plain tracebacks: those that show local variables show people's data."""
        text = "" if record.exc_info is None or record.exc_info[0] is None else self.formatException(record.exc_info)
        stack = self.formatStack(record.stack_info) if record.stack_info else ""
        return self._hidden("\n".join(filter(None, (text or record.exc_text or "", stack))))


class TextLines(_Lines):
    """For people. In a file, where they are looked for later, lines have a date."""

    def __init__(self, secrets: Collection[str] = (), *, colours: bool = False, dated: bool = False) -> None:
        super().__init__(secrets)
        self._colours, self._time = colours, _DATE_AND_TIME if dated else _TIME

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime(self._time, time.localtime(record.created))
        level = f"{record.levelname.lower():<9}"
        if self._colours and record.levelname in _COLOURS:
            level = f"{_COLOURS[record.levelname]}{level}{_PLAIN}"
        line = f"{at} [{level}] {self._hidden(record.getMessage())} [{record.name}]"
        exception = self._exception(record)
        return f"{line}\n{exception}" if exception else line


class JsonLines(_Lines):
    """For programs: one object a line. `always` is in each of them: what the process is."""

    def __init__(self, secrets: Collection[str] = (), always: Mapping[str, Any] | None = None) -> None:
        super().__init__(secrets)
        self.always = dict(always or {})

    def format(self, record: logging.LogRecord) -> str:
        text = self._hidden(record.getMessage())
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="microseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": text,
            **self.always,
            **ids_of(record, text),
        }
        if exception := self._exception(record):
            line["exception"] = exception
        return json.dumps(line, ensure_ascii=False, default=str)


def can_show_colours(stream: TextIO = sys.stderr) -> bool:
    """Whether a person looks at it."""
    try:
        return stream.isatty()
    except ValueError:  # it was closed
        return False
