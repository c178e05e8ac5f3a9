"""Logs of a server: the standard `logging`, written by structlog as lines for people or as JSON."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

NOTICES = "plugmesh.notice"
"""What a person in front of the server should see, at any log level."""


def set_log_level(level: str) -> None:
    """How much is logged from now on."""
    logging.getLogger().setLevel(level.upper())


def configure_logging(level: str, *, as_json: bool) -> None:
    """Send everything that is logged in this process to stderr."""
    stamp = structlog.processors.TimeStamper(fmt="iso" if as_json else "%H:%M:%S", utc=as_json)
    before: list[Any] = [structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name, stamp]
    shown: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if as_json:
        shown += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # Plain tracebacks: the other ones show local variables, and with them people's data.
        plain = structlog.dev.plain_traceback
        shown.append(
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0, exception_formatter=plain)
        )
    handler = logging.StreamHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=shown))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_log_level(level)
    logging.getLogger(NOTICES).setLevel(logging.INFO)
    for chatty in ("alembic", "watchfiles"):  # they tell of each step and each look
        logging.getLogger(chatty).setLevel(logging.WARNING)
