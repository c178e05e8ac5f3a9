"""What user code in an executor logs, in the log of its supervisor."""

from __future__ import annotations

import json
import logging

OF_STEPS = "step"
"""Loggers of user code lie below this one, which is that of `ctx.log` itself."""


def log_told(payload: bytes) -> None:
    """Log what an executor's `module_sdk/executor/told.py` wrote. Anything else is dropped: it comes from user code."""
    try:
        told = json.loads(payload)
        name = str(told["logger"])
        logger = logging.getLogger(name if name == OF_STEPS else f"{OF_STEPS}.{name}")
        level = int(told["level"])
        if not logger.isEnabledFor(level):
            return
        record = logger.makeRecord(
            logger.name,
            level,
            "",
            0,
            str(told["message"]),
            (),
            None,
            extra={"run": str(told["run"]), "step": str(told["step"]), "attempt": int(told["attempt"])},
        )
        record.created = float(told["created"])
    except (ValueError, TypeError, KeyError, OverflowError):
        return
    logger.handle(record)
