"""Small readers for the parts of a flow file: each takes a value and its path, and reports what it cannot use."""

from __future__ import annotations

import re
from typing import Any, Literal

from plugmesh.contracts.base import NAME_PATTERN
from plugmesh.contracts.flow import Source
from plugmesh.flows.expressions import BadExpression, has_expression, whole_expression
from plugmesh.flows.places import KeyPath
from plugmesh.flows.problem import SCHEMA, Report
from plugmesh.flows.values import shown

NAME = re.compile(NAME_PATTERN)
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*(ms|s|m|h|d)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

_FLAG_SLIPS = frozenset({"yes", "no", "on", "off", "y", "n"})
_USUAL_SLIPS = {
    "inputs": "in",
    "input": "in",
    "from": "in",
    "depends_on": "after",
    "needs": "after",
    "with": "params",
    "args": "params",
    "config": "params",
    "uses": "module",
    "for_each": "map",
    "foreach": "map",
    "retries": "retry",
    "columns": "bind",
    "name": "flow",
    "steps": "nodes",
    "tasks": "nodes",
    "description": "doc",
}


def read_mapping(value: Any, path: KeyPath, what: str, report: Report) -> dict[str, Any]:
    """`value` when it is a mapping; an empty one when it is null or something else (which is reported)."""
    if isinstance(value, dict):
        return value
    if value is not None:
        report.error(SCHEMA, "wrong-type", f"{what} must be a mapping, not {shown(value)}", path)
    return {}


def check_keys(document: dict[str, Any], known: tuple[str, ...], path: KeyPath, what: str, report: Report) -> None:
    """Report every key that is not `known`."""
    for key in document:
        if key in known:
            continue
        meant = _USUAL_SLIPS.get(key.lower(), "")
        hint = f"did you mean {meant!r}?" if meant in known else report.did_you_mean(key, known)
        if key == "<<":
            hint = "merge keys are not part of YAML 1.2; an alias can stand for a whole value"
        message = f"{what} has no key {shown(key)}; there are: {', '.join(known)}"
        report.error(SCHEMA, "unknown-key", message, (*path, key), hint=hint, key=True)


def read_name(key: str, path: KeyPath, what: str, report: Report) -> bool:
    """Whether `key` can be a name."""
    if NAME.fullmatch(key):
        return True
    rule = "a letter or '_', then letters, digits, '_' or '-', at most 100 in all"
    report.error(SCHEMA, "bad-name", f"{shown(key)} cannot be the name of {what}: {rule}", path, key=True)
    return False


def read_text(value: Any, path: KeyPath, what: str, report: Report) -> str:
    """`value` when it is text; an empty one when it is missing or something else (which is reported)."""
    if isinstance(value, str):
        return value
    if value is not None:
        hint = f'write "{shown(value)}"' if isinstance(value, int | float) else ""
        report.error(SCHEMA, "wrong-type", f"{what} must be text, not {shown(value)}", path, hint=hint)
    return ""


def read_flag(value: Any, path: KeyPath, what: str, report: Report) -> bool:
    """`value` when it is true or false."""
    if isinstance(value, bool):
        return value
    hint = "YAML 1.2 has true and false" if isinstance(value, str) and value.lower() in _FLAG_SLIPS else ""
    report.error(SCHEMA, "wrong-type", f"{what} must be true or false, not {shown(value)}", path, hint=hint)
    return False


def read_choice(value: Any, path: KeyPath, choices: tuple[str, ...], report: Report, *, code: str) -> str | None:
    """`value` when it is one of `choices`; `None` when it is something else (which is reported with `code`)."""
    if isinstance(value, str) and value in choices:
        return value
    hint = report.did_you_mean(value, choices) if isinstance(value, str) else ""
    listed = f"{', '.join(choices[:-1])} or {choices[-1]}"
    report.error(SCHEMA, code, f"{path[-1]} must be {listed}, not {shown(value)}", path, hint=hint)
    return None


def read_texts(value: Any, path: KeyPath, what: str, report: Report) -> dict[str, str]:
    """A mapping of texts, without expressions."""
    texts: dict[str, str] = {}
    for key, below in read_mapping(value, path, what, report).items():
        text = read_text(below, (*path, key), f"{what} {shown(key)}", report)
        if has_expression(text):
            report.error(SCHEMA, "no-expression-here", f"{what} takes no ${{…}}", (*path, key))
        texts[key] = text
    return texts


def read_duration(
    value: Any,
    path: KeyPath,
    what: str,
    report: Report,
    *,
    least: Literal["zero", "more than zero"] = "more than zero",
    most_s: float = 10 * 365 * 86400.0,
) -> float | None:
    """Seconds: a number, or text such as `500ms`, `90s`, `5m`, `2h`, `1d`. `None` when it is missing or wrong."""
    if value is None:
        return None
    seconds: float | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        seconds = float(match.group(1)) * _UNIT_S[match.group(2)]
    if seconds is None:
        forms = "a number of seconds, or text such as 500ms, 90s, 5m, 2h, 1d"
        report.error(SCHEMA, "bad-duration", f"{what} must be {forms}, not {shown(value)}", path)
        return None
    if seconds < 0 or seconds > most_s or (seconds == 0 and least == "more than zero"):
        message = f"{what} must be {least} {'or more ' if least == 'zero' else ''}and at most {_spoken(most_s)}"
        report.error(SCHEMA, "bad-duration", f"{message}, not {shown(value)}", path)
        return None
    return seconds


def _spoken(seconds: float) -> str:
    return f"{seconds / 86400:g}d" if seconds >= 86400 else f"{seconds:g} s"


def read_source(value: Any, path: KeyPath, report: Report) -> Source | None:
    """Where an edge comes from: `node`, `node.port` or `"${inputs.name}"`."""
    forms = 'node, node.port or "${inputs.NAME}"'
    if not isinstance(value, str):
        report.error(SCHEMA, "bad-source", f"an edge comes from {forms}, not from {shown(value)}", path)
        return None
    if has_expression(value):
        return _input_source(value, path, report)
    node, dot, port = value.partition(".")
    if NAME.fullmatch(node) and (NAME.fullmatch(port) or not dot):
        return Source(node=node, port=port if dot else None)
    report.error(SCHEMA, "bad-source", f"an edge comes from {forms}, not from {shown(value)}", path)
    return None


def _input_source(value: str, path: KeyPath, report: Report) -> Source | None:
    try:
        expression = whole_expression(value)
    except BadExpression as error:
        report.error(SCHEMA, "bad-expression", str(error), path, hint=error.hint)
        return None
    if expression is None or expression.root != "inputs":
        message = f"an edge can only come from a node or from ${{inputs.NAME}}, not from {shown(value)}"
        report.error(SCHEMA, "bad-source", message, path, hint="a param of the flow belongs under params")
        return None
    return Source(input=expression.name)
