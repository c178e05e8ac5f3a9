"""Results that cannot be read: whose they are, as far as that can be told, and what that attempt failed with. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import ValidationError

from plugmesh.contracts.messages import Failed
from plugmesh.contracts.run import StepError
from plugmesh.errors import ErrorClass, PlugmeshError

_ENDS_NOTHING = frozenset({"accepted", "started", "progressed", "renew"})
"""Messages of these types may be lost: another one follows."""
_HEAD_BYTES = 4096
_TEXTS = {name: re.compile(rb'"%s"\s*:\s*"([^"\\]+)"' % name.encode()) for name in ("type", "instance", "run", "step")}
_EPOCH = re.compile(rb'"epoch"\s*:\s*(\d{1,9})\b')


def failure_of(payload: bytes, error: PlugmeshError) -> Failed | None:
    """The failure of the attempt that an unreadable message names in its head; `None` if it names none, or is no end.

    What is known of it is that it is over: its sender has sent what it had, and would send the same again.
    """
    head = _head(payload)
    if head.get("type") in _ENDS_NOTHING:
        return None
    told = StepError(
        error_class=ErrorClass.TRANSIENT,
        type=type(error).__name__,
        code="result-unreadable",
        message=f"the result that instance {head.get('instance')} sent cannot be read: {error}. The step is tried again; "
        "if that does not help, the instance needs the same version of Plugmesh as the server",
    )
    try:
        return Failed(**{name: head.get(name) for name in ("instance", "run", "step", "epoch")}, error=told)
    except ValidationError:
        return None


def _head(payload: bytes) -> dict[str, Any]:
    """The fields that every message begins with, also of one that breaks off or is no JSON further on."""
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        return document
    begin = payload[:_HEAD_BYTES]
    head: dict[str, Any] = {
        name: found[1].decode(errors="replace") for name, text in _TEXTS.items() if (found := text.search(begin))
    }
    if (number := _EPOCH.search(begin)) is not None:
        head["epoch"] = int(number[1])
    return head
