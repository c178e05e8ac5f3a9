"""JSON values: the names of their types, how they look in a message, and how text from a command line becomes one."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from pydantic import JsonValue

LARGEST_INTEGER = 2**64 - 1
SMALLEST_INTEGER = -(2**63)

_INTEGER = re.compile(r"[-+]?[0-9]{1,20}")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SHOWN = 60


def type_name(value: Any) -> str:
    """The JSON Schema type of `value`: string, integer, number, boolean, array, object or null."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    return "array" if isinstance(value, list | tuple) else "object"


def is_type(value: Any, expected: str) -> bool:
    """Whether `value` is of JSON Schema type `expected`. Integers are numbers, and 5.0 is an integer."""
    found = type_name(value)
    if found == "integer":
        return expected in {"integer", "number"} and SMALLEST_INTEGER <= value <= LARGEST_INTEGER
    if found == "number":
        return math.isfinite(value) and (expected == "number" or (expected == "integer" and value.is_integer()))
    return found == expected


def shown(value: Any) -> str:
    """`value` for a message: as JSON, shortened; what cannot be seen is written as an escape."""
    if isinstance(value, str):
        start = value[: _SHOWN + 1]
        text = json.dumps(start, ensure_ascii=not start.isprintable())
    elif isinstance(value, dict | list):
        text = "a list" if isinstance(value, list) else "a mapping"
    else:
        text = json.dumps(value, default=lambda other: type(other).__name__)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def from_text(text: str, expected: str) -> JsonValue:
    """`text`, as given on a command line, as a value of type `expected`. Raises `ValueError` when it is none."""
    value: JsonValue = text
    if expected == "integer" and _INTEGER.fullmatch(text.strip()):
        value = int(text)
    elif expected == "number" and _NUMBER.fullmatch(text.strip()):
        value = int(text) if _INTEGER.fullmatch(text.strip()) else float(text)
    elif expected == "boolean":
        value = {"true": True, "false": False}.get(text.strip().lower(), text)
    elif expected in {"array", "object"}:
        value = _from_json(text)
    if not is_type(value, expected):
        raise ValueError(f"{shown(text)} is no {expected}")
    return value


def as_text(value: JsonValue) -> str:
    """`value` inside a longer text: a string as it is, anything else as compact JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _from_json(text: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
