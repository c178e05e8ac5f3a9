"""Logs of steps: JSON lines as they lie in the store, or as a list, or as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic_core import from_json, to_json

from plugmesh.errors import ConfigurationError
from plugmesh.objects.port import ObjectStore


def log(store: ObjectStore, request: dict[str, Any]) -> bytes | Iterator[bytes]:
    """The log at `key` in `format`. Raises `ConfigurationError`, `ObjectMissing`."""
    raw = bytes(store.read(request["key"], 0, None))
    if request["format"] == "jsonl":
        return iter([raw])
    lines = [_log_line(line) for line in raw.splitlines() if line.strip()]
    if request["format"] == "json":
        return to_json({"lines": lines, "truncated": request.get("truncated", False)})
    if request["format"] == "text":
        return iter(["".join(_as_text(line) + "\n" for line in lines).encode("utf-8", "replace")])
    raise ConfigurationError(f"a log comes as json, jsonl or text, not {request['format']!r}")


def _log_line(line: bytes) -> dict[str, Any]:
    try:
        found = from_json(line)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"text": line.decode("utf-8", "replace")}


def _as_text(line: dict[str, Any]) -> str:
    text = next((str(line[name]) for name in ("text", "message", "msg", "line") if name in line), None)
    return text if text is not None else to_json(line).decode()
