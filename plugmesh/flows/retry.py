"""The `retry:` of a node: how often and when a step is tried again; and `rejects:`, how many rows it may put aside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from plugmesh.contracts.flow import Rejects, RetryPolicy
from plugmesh.errors import ErrorClass
from plugmesh.flows.places import KeyPath
from plugmesh.flows.problem import SCHEMA, Report
from plugmesh.flows.surface import check_keys, read_choice, read_duration, read_flag, read_mapping
from plugmesh.flows.values import shown

RETRY_KEYS = ("attempts", "backoff", "delay", "max_delay", "jitter", "on", "total")
REJECTS_KEYS = ("rows", "percent")

_BACKOFFS: tuple[str, ...] = get_args(RetryPolicy.model_fields["backoff"].annotation)
_CLASSES = tuple(one.value for one in ErrorClass)
_MOST_ROWS = 2**63 - 1
_USUAL = RetryPolicy()


def read_retry(value: Any, path: KeyPath, report: Report) -> RetryPolicy | None:
    """A mapping of what differs from the usual policy; the longest delay is never below the first one by itself."""
    fields = read_mapping(value, path, "retry", report)
    check_keys(fields, RETRY_KEYS, path, "retry", report)
    given: dict[str, Any] = {}
    if "attempts" in fields:
        given |= _read_attempts(fields["attempts"], (*path, "attempts"), report)
    if "backoff" in fields:
        backoff = read_choice(fields["backoff"], (*path, "backoff"), _BACKOFFS, report, code="bad-retry")
        given |= {} if backoff is None else {"backoff": backoff}
    if "jitter" in fields:
        given["jitter"] = read_flag(fields["jitter"], (*path, "jitter"), "jitter", report)
    if "on" in fields:
        given["on"] = _read_classes(fields["on"], (*path, "on"), report)
    given |= _read_delays(fields, path, report)
    total_s = read_duration(fields.get("total"), (*path, "total"), "total", report)
    policy = RetryPolicy(**given, total_s=total_s)
    _warn(fields, policy, path, report)
    return policy


def read_rejects(value: Any, path: KeyPath, report: Report) -> Rejects | None:
    """How many rows a step may reject: `rows`, `percent` of those that it was handed, or both; `{}`: any number."""
    if value is None:
        return None
    if not isinstance(value, dict):
        hint = "rejects: {rows: 100}, or {percent: 5}"
        report.error(SCHEMA, "wrong-type", f"rejects must be a mapping, not {shown(value)}", path, hint=hint)
    fields = value if isinstance(value, dict) else {}
    check_keys(fields, REJECTS_KEYS, path, "rejects", report)
    rows, percent = fields.get("rows"), fields.get("percent")
    given: dict[str, Any] = {}
    if type(rows) is int and 0 <= rows <= _MOST_ROWS:
        given["rows"] = rows
    elif rows is not None:
        message = f"rows must be a whole number from 0 on, not {shown(rows)}"
        report.error(SCHEMA, "bad-rejects", message, (*path, "rows"))
    if isinstance(percent, int | float) and not isinstance(percent, bool) and 0 <= percent <= 100:
        given["percent"] = float(percent)
    elif percent is not None:
        message = f"percent must be a number from 0 to 100, not {shown(percent)}"
        report.error(SCHEMA, "bad-rejects", message, (*path, "percent"))
    return Rejects(**given)


def _read_attempts(value: Any, path: KeyPath, report: Report) -> dict[str, int]:
    if type(value) is int and 1 <= value <= 100:
        return {"attempts": value}
    report.error(SCHEMA, "bad-retry", f"attempts must be a whole number from 1 to 100, not {shown(value)}", path)
    return {}


def _read_delays(fields: dict[str, Any], path: KeyPath, report: Report) -> dict[str, float]:
    given = {}
    for key, most_s in (("delay", 3600.0), ("max_delay", 86400.0)):
        seconds = read_duration(fields.get(key), (*path, key), key, report, least="zero", most_s=most_s)
        if seconds is not None:
            given[f"{key}_s"] = seconds
    if "max_delay" not in fields:  # whoever asks for a minute between two attempts means a minute
        given["max_delay_s"] = max(_USUAL.max_delay_s, given.get("delay_s", 0.0))
    return given


def _read_classes(value: Any, path: KeyPath, report: Report) -> tuple[ErrorClass, ...]:
    """The classes of errors, in one order however they were written."""
    elements: Sequence[Any] = value if isinstance(value, list) else [value]
    for index, element in enumerate(elements):
        if element not in _CLASSES:
            hint = report.did_you_mean(element, _CLASSES) if isinstance(element, str) else ""
            message = f"an error is {', '.join(_CLASSES[:-1])} or {_CLASSES[-1]}, not {shown(element)}"
            report.error(SCHEMA, "bad-retry", message, (*path, index) if isinstance(value, list) else path, hint=hint)
    if not elements:
        message = "on names no class of errors, so nothing would be tried again"
        report.error(SCHEMA, "bad-retry", message, path, hint="write attempts: 1 for that")
    return tuple(one for one in ErrorClass if one.value in elements)


def _warn(fields: dict[str, Any], policy: RetryPolicy, path: KeyPath, report: Report) -> None:
    if policy.backoff == "fixed" and "max_delay" in fields:
        message = "with backoff: fixed every delay is the same, max_delay changes nothing"
        report.warning(SCHEMA, "bad-retry", message, (*path, "max_delay"), hint="leave it out")
    elif policy.max_delay_s < policy.delay_s:
        message = "no delay is longer than max_delay, so delay is never reached"
        report.warning(SCHEMA, "bad-retry", message, (*path, "max_delay"), hint="raise max_delay, or lower delay")
