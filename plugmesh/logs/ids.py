"""Which run, step, attempt and instance a log line is about. Pure."""

from __future__ import annotations

import logging
import re
from typing import Any

FIELDS = ("run", "step", "attempt", "instance")
_RUN = re.compile(r"\b(run-[0-9a-z]{16})(?:/([\w.-]+)/(\d+))?")
_INSTANCE = re.compile(r"\binst-[0-9a-z]{16}")


def ids_of(record: logging.LogRecord, text: str) -> dict[str, Any]:
    """The ids that a line says with `extra=`, and else those that stand in its `text`: `run-…`, the attempt id
    `run-…/STEP/2`, `inst-…`."""
    found: dict[str, Any] = {}
    if "run-" in text and (match := _RUN.search(text)) is not None:
        found["run"] = match[1]
        if match[2] is not None:
            found["step"], found["attempt"] = match[2], int(match[3])
    if "inst-" in text and (instance := _INSTANCE.search(text)) is not None:
        found["instance"] = instance[0]
    given = record.__dict__
    found.update((name, given[name]) for name in FIELDS if given.get(name) is not None)
    return {name: found[name] for name in FIELDS if name in found}
