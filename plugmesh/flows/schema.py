"""Params against the JSON Schema of their module: the part of JSON Schema (2020-12) that pydantic and people write.

Values that hold a `${…}` come as a `Hole`: only their type is known, if that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plugmesh.expressions.first_look import first_look
from plugmesh.flows.places import KeyPath
from plugmesh.flows.problem import did_you_mean
from plugmesh.flows.schema_rules import broken_rule
from plugmesh.flows.values import is_type, shown, type_name

_BUDGET = 50_000  # schemas come from modules: a hostile one must not hold up the gateway
_DEEPEST = 130


@dataclass(frozen=True, slots=True)
class Hole:
    """A value that is filled in later; `type` as in JSON Schema, `None` when it is not known."""

    type: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a value; `path` leads to it, to its key when `key`."""

    path: KeyPath
    code: str
    message: str
    hint: str = ""
    key: bool = False
    at: int | None = None
    """The character of a text at which it is, from 1."""


def check_value(value: Any, schema: Any) -> list[Fault]:
    """Everything about `value` that `schema` does not allow."""
    return _Checker(schema).check(value, schema, (), 0)


class _Checker:
    def __init__(self, root: Any) -> None:
        self.root = root
        self.budget = _BUDGET

    def check(self, value: Any, schema: Any, path: KeyPath, depth: int) -> list[Fault]:
        self.budget -= 1
        if schema is False:
            return [Fault(path, "not-allowed", f"{_what(path)} is not allowed")]
        if not isinstance(schema, dict) or self.budget < 0 or depth > _DEEPEST:
            return []
        faults: list[Fault] = []
        if isinstance(schema.get("$ref"), str):
            faults += self.check(value, self._resolve(schema["$ref"]), path, depth + 1)
        for below in _list_of(schema.get("allOf")):
            faults += self.check(value, below, path, depth + 1)
        for word in ("anyOf", "oneOf"):
            if word in schema:
                faults += self._alternatives(value, _list_of(schema[word]), path, depth)
        if isinstance(value, Hole):
            return faults or _check_hole(value, schema, path)
        faults += _check_type(value, schema, path)
        if faults:
            return faults
        faults += _check_choice(value, schema, path) + _check_rules(value, schema, path)
        if isinstance(value, str) and schema.get("x-mesh") == "expression" and not faults:
            faults += _check_expression(value, path)
        if isinstance(value, dict):
            faults += self._object(value, schema, path, depth)
        elif isinstance(value, list):
            faults += self._array(value, schema, path, depth)
        return faults

    def _resolve(self, reference: str) -> Any:
        found = self.root
        if not reference.startswith("#"):
            return True
        for part in reference[1:].split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            found = found.get(key) if isinstance(found, dict) else None
        return True if found is None else found

    def _alternatives(self, value: Any, schemas: list[Any], path: KeyPath, depth: int) -> list[Fault]:
        """Nothing when one of them fits; else what is wrong by the one that comes closest."""
        best: list[Fault] = []
        for schema in schemas:
            faults = self.check(value, schema, path, depth + 1)
            if not faults:
                return []
            if not best or _distance(faults, path) < _distance(best, path):
                best = faults
        names = dict.fromkeys(name for schema in schemas for name in self._type_names(schema, 0))
        if names and all(fault.code == "wrong-type" and fault.path == path for fault in best):
            return [_wrong_type(value, list(names), path)]
        return best

    def _type_names(self, schema: Any, depth: int) -> list[str]:
        if not isinstance(schema, dict) or depth > 10:
            return []
        if isinstance(schema.get("$ref"), str):
            return self._type_names(self._resolve(schema["$ref"]), depth + 1)
        below = [name for part in _list_of(schema.get("anyOf")) for name in self._type_names(part, depth + 1)]
        return _types(schema) + below

    def _object(self, value: dict[str, Any], schema: dict[str, Any], path: KeyPath, depth: int) -> list[Fault]:
        faults: list[Fault] = []
        known = schema.get("properties")
        properties: dict[str, Any] = known if isinstance(known, dict) else {}
        patterns = schema.get("patternProperties")
        missing = [key for key in _list_of(schema.get("required")) if key not in value]
        faults += [Fault(path, "missing-param", f"{_what((*path, key))} is missing") for key in missing]
        for key, below in value.items():
            inside = (*path, key)
            if key in properties:
                faults += self.check(below, properties[key], inside, depth + 1)
            elif isinstance(patterns, dict) and patterns:
                continue
            elif schema.get("additionalProperties") is False:
                hint = did_you_mean(key, properties)
                there = (
                    f"; there {'is' if len(properties) == 1 else 'are'} {', '.join(properties)}" if properties else ""
                )
                faults.append(Fault(inside, "unknown-param", f"there is no {_what(inside)}{there}", hint, key=True))
            else:
                faults += self.check(below, schema.get("additionalProperties", True), inside, depth + 1)
        return faults

    def _array(self, value: list[Any], schema: dict[str, Any], path: KeyPath, depth: int) -> list[Fault]:
        faults: list[Fault] = []
        first = _list_of(schema.get("prefixItems"))
        for index, below in enumerate(value):
            inner = first[index] if index < len(first) else schema.get("items", True)
            faults += self.check(below, inner, (*path, index), depth + 1)
        return faults


def _check_hole(hole: Hole, schema: Mapping[str, Any], path: KeyPath) -> list[Fault]:
    allowed = _types(schema)
    fits = hole.type is None or not allowed or hole.type in allowed or (hole.type == "integer" and "number" in allowed)
    # A number may turn out to be whole.
    return [] if fits or (hole.type == "number" and "integer" in allowed) else [_wrong_type(hole, allowed, path)]


def _check_type(value: Any, schema: Mapping[str, Any], path: KeyPath) -> list[Fault]:
    allowed = _types(schema)
    if not allowed or any(is_type(value, name) for name in allowed):
        return []
    if schema.get("x-mesh") == "file":
        message = f"{_what(path)} must be a file that was handed in, not {shown(value)}"
        return [Fault(path, "wrong-type", message, 'write "${inputs.NAME}", an input of kind file')]
    return [_wrong_type(value, allowed, path)]


def _check_choice(value: Any, schema: Mapping[str, Any], path: KeyPath) -> list[Fault]:
    choices = _list_of(schema.get("enum")) or ([schema["const"]] if "const" in schema else [])
    if not choices or any(type_name(choice) == type_name(value) and choice == value for choice in choices):
        return []
    names = ", ".join(shown(choice) for choice in choices)
    hint = (
        did_you_mean(value, [choice for choice in choices if isinstance(choice, str)]) if isinstance(value, str) else ""
    )
    one = f"one of {names}" if len(choices) > 1 else names
    return [Fault(path, "not-a-choice", f"{_what(path)} must be {one}, not {shown(value)}", hint)]


def _check_rules(value: Any, schema: Mapping[str, Any], path: KeyPath) -> list[Fault]:
    wrong = broken_rule(value, schema)
    return [Fault(path, "out-of-range", f"{_what(path)} must {wrong}, not {shown(value)}")] if wrong else []


def _check_expression(text: str, path: KeyPath) -> list[Fault]:
    found = first_look(text)
    return [] if found is None else [Fault(path, "wrong-expression", f"{_what(path)}: {found.message}", at=found.at)]


def _types(schema: Mapping[str, Any]) -> list[str]:
    found = schema.get("type")
    return [found] if isinstance(found, str) else [name for name in _list_of(found) if isinstance(name, str)]


def _wrong_type(value: Any, allowed: list[str], path: KeyPath) -> Fault:
    found = f"{value.text} ({value.type})" if isinstance(value, Hole) else shown(value)
    article = " or ".join(
        {"null": "null"}.get(name, f"{'an' if name[0] in 'aeio' else 'a'} {name}") for name in allowed
    )
    return Fault(path, "wrong-type", f"{_what(path)} must be {article}, not {found}")


def _distance(faults: list[Fault], path: KeyPath) -> tuple[int, int]:
    """Small for the alternative that was probably meant: wrong deep inside is closer than of another type."""
    of_other_type = any(fault.path == path and fault.code == "wrong-type" for fault in faults)
    return (1 if of_other_type else 0), len(faults)


def _what(path: KeyPath) -> str:
    text = ".".join(str(part) for part in path)
    return f"param {text!r}" if text else "params"


def _list_of(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
