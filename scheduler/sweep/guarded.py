"""What fails for one run must not keep the others from being swept."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from typing import Any

from scheduler.sweep.report import Report

_log = logging.getLogger(__name__)

LOGGED = 10
"""Failures of a round that are logged: a disk that cannot be written fails thousands of times."""


async def guarded(what: str, part: Coroutine[Any, Any, None], report: Report) -> None:
    """Do one part of a round; if it fails, the report counts it, the log says why, and the next round tries again."""
    try:
        await part
    except Exception as error:  # noqa: BLE001  a full disk, above all, must not keep the rest from making room
        report.failures += 1
        if report.failures <= LOGGED:
            told = str(error) or type(error).__name__
            _log.warning("%s could not be swept, it is tried again in the next round: %s", what, told)
            _log.debug("because of", exc_info=error)
