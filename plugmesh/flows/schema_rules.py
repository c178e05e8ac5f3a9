"""The rules of JSON Schema about single values: how large a number, how long a text, a list or an object."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

from plugmesh.flows.values import type_name


def broken_rule(value: Any, schema: Mapping[str, Any]) -> str:
    """What `value` must do to fit `schema` ("be at least 5"), or nothing when it does."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number_rule(value, schema)
    if isinstance(value, str):
        return _length_rule(len(value), "Length", "characters", schema) or _pattern_rule(value, schema)
    if isinstance(value, list):
        wrong = _length_rule(len(value), "Items", "elements", schema)
        return wrong or ("have no element twice" if schema.get("uniqueItems") is True and _repeats(value) else "")
    return _length_rule(len(value), "Properties", "keys", schema) if isinstance(value, dict) else ""


def _number_rule(value: float, schema: Mapping[str, Any]) -> str:
    for word, (text, holds) in _NUMBER_RULES.items():
        limit = schema.get(word)
        if isinstance(limit, int | float) and not isinstance(limit, bool) and not holds(value, limit):
            return f"{text} {limit}"
    return ""


def _is_multiple(value: float, step: float) -> bool:
    if step <= 0:
        return True
    if isinstance(value, int) and isinstance(step, int):
        return value % step == 0
    quotient = value / step
    return not math.isfinite(quotient) or abs(quotient - round(quotient)) < 1e-9


_NUMBER_RULES: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "minimum": ("be at least", operator.ge),
    "maximum": ("be at most", operator.le),
    "exclusiveMinimum": ("be more than", operator.gt),
    "exclusiveMaximum": ("be less than", operator.lt),
    "multipleOf": ("be a multiple of", _is_multiple),
}


def _length_rule(length: int, word: str, unit: str, schema: Mapping[str, Any]) -> str:
    least, most = schema.get(f"min{word}"), schema.get(f"max{word}")
    if isinstance(least, int) and length < least:
        return f"have at least {least} {unit}"
    if isinstance(most, int) and length > most:
        return f"have at most {most} {unit}"
    return ""


def _pattern_rule(value: str, schema: Mapping[str, Any]) -> str:
    pattern = schema.get("pattern")
    validator = _pattern_validator(pattern) if isinstance(pattern, str) else None
    try:
        if validator is not None:
            validator.validate_python(value)
    except ValidationError:
        return f"match the pattern {pattern}"
    return ""


@lru_cache(maxsize=256)
def _pattern_validator(pattern: str) -> SchemaValidator | None:
    """pydantic's regex engine takes linear time, whatever a module's pattern and a user's text are."""
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern))
    except SchemaError:
        return None


def _repeats(values: list[Any]) -> bool:
    texts = [f"{type_name(value)}:{value!r}" for value in values]
    return len(set(texts)) < len(texts)
