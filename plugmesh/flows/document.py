"""Limits of an already decoded document: only JSON values, not too deep, not too many."""

from __future__ import annotations

from typing import Any

from plugmesh.flows.places import KeyPath
from plugmesh.flows.problem import SCHEMA, Report
from plugmesh.flows.values import is_type, shown, type_name

MAX_DEPTH = 100
MAX_EXPANDED = 4 * 1024 * 1024
"""Characters and values, once every alias is written out."""
MAX_VALUES = 250_000
"""Keys and values as they are written: enough for 20,000 nodes."""


def check_document(document: Any, report: Report, path: KeyPath = ()) -> bool:
    """Whether `document` is JSON within the limits; what forbids it is reported. `path` leads to it."""
    failed_before, report.failed = report.failed, False
    _walk(document, path, report)
    valid = not report.failed
    report.failed = failed_before or not valid
    return valid


def _walk(document: Any, top: KeyPath, report: Report) -> None:
    size = values = 0
    pending: list[tuple[KeyPath, Any]] = [(top, document)]
    while pending:
        path, value = pending.pop()
        size += 1 + (len(value) if isinstance(value, str) else 0)
        if size > MAX_EXPANDED:
            report.error(SCHEMA, "too-large", f"the document is larger than {MAX_EXPANDED // 1024**2} MiB", top)
            return
        values += 2 if isinstance(path[-1] if path else 0, str) else 1
        if values > MAX_VALUES:
            report.error(SCHEMA, "too-large", f"the document has more than {MAX_VALUES:,} keys and values", top)
            return
        if not isinstance(value, dict | list):
            _check_scalar(value, path, report)
            continue
        if len(path) >= MAX_DEPTH:
            report.error(SCHEMA, "too-deep", f"the document is nested more than {MAX_DEPTH} levels deep", path[:10])
            return
        if isinstance(value, list):
            pending.extend(((*path, index), below) for index, below in enumerate(value))
            continue
        for key, below in value.items():
            size += len(key) if isinstance(key, str) else 0
            _check_key(key, path, report)
            pending.append(((*path, str(key)), below))


def _check_key(key: Any, path: KeyPath, report: Report) -> None:
    if not isinstance(key, str) or not _is_text(key):
        report.error(SCHEMA, "bad-key", f"the key {shown(key)} is not text", path)


def _check_scalar(value: Any, path: KeyPath, report: Report) -> None:
    if isinstance(value, str):
        valid = _is_text(value)
    elif value is None or isinstance(value, bool | int | float):
        valid = is_type(value, type_name(value))
    else:
        report.error(SCHEMA, "bad-value", f"a {type(value).__name__} is no JSON value", path)
        return
    if not valid:
        what = "half a surrogate pair" if isinstance(value, str) else f"{value!r:.40}"
        report.error(SCHEMA, "bad-value", f"{what} cannot be stored as JSON", path)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
