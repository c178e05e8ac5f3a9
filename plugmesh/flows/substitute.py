"""What a run hands in: checked against the flow, then filled into `${…}`. Pure; nothing is evaluated."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from plugmesh.contracts.data import AnyReference, kind_of
from plugmesh.contracts.flow import Flow, FlowParam, Node
from plugmesh.errors import FlowInvalid
from plugmesh.flows.document import check_document
from plugmesh.flows.expressions import BadExpression, Expression, has_expression, parse_template
from plugmesh.flows.places import KeyPath, Places
from plugmesh.flows.problem import REFERENCES, Report
from plugmesh.flows.values import as_text, from_text, is_type, shown


@dataclass(frozen=True, slots=True)
class Scope:
    """What expressions can refer to. An optional input that was not given is `None`."""

    inputs: Mapping[str, AnyReference | None] = field(default_factory=dict)
    params: Mapping[str, JsonValue] = field(default_factory=dict)
    item: JsonValue = None
    index: int | None = None

    def at(self, item: JsonValue, index: int) -> Scope:
        """The same scope for one element of a mapped node; `index` counts from 0."""
        return Scope(self.inputs, self.params, item, index)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The inputs and params of a run, complete and of the declared types."""

    inputs: dict[str, AnyReference]
    params: dict[str, JsonValue]


def scope_of(flow: Flow, inputs: Mapping[str, AnyReference], params: Mapping[str, JsonValue]) -> Scope:
    """The scope of a run of `flow` whose inputs and params were resolved."""
    return Scope({name: inputs.get(name) for name in flow.inputs}, params)


def resolve_inputs_and_params(
    flow: Flow,
    given_inputs: Mapping[str, AnyReference],
    given_params: Mapping[str, Any],
    *,
    coerce: bool = False,
) -> Resolved:
    """Check what a run hands in, and add defaults. With `coerce`, texts become values of the declared type.

    Raises `FlowInvalid` with every problem when something is missing, unknown or of the wrong kind or type.
    """
    report = Report(Places("run"))
    inputs = _resolve_inputs(flow, given_inputs, report)
    params = _resolve_params(flow, given_params, report, coerce=coerce)
    if report.failed:
        texts = "; ".join(str(problem).removeprefix("run: ") for problem in report.problems)
        raise FlowInvalid(f"the run of {flow.namespace}/{flow.name} cannot start: {texts}", report.problems)
    return Resolved(inputs, params)


def fill(value: JsonValue, scope: Scope) -> JsonValue:
    """`value` with every `${…}` replaced. An expression that is a whole text keeps its type.

    Raises `FlowInvalid` naming the path inside `value` and the expression.
    """
    report = Report(Places("params"))
    filled = _fill(value, scope, (), report)
    _raise(report)
    return filled


def fill_params(node_name: str, node: Node, scope: Scope) -> dict[str, JsonValue]:
    """The params of `node` with every `${…}` replaced. Raises `FlowInvalid` naming node, param and expression."""
    report = Report(Places("flow"))
    filled = {
        key: _fill(below, scope, ("nodes", node_name, "params", key), report) for key, below in node.params.items()
    }
    _raise(report)
    return filled


def fill_map(node_name: str, node: Node, scope: Scope) -> list[JsonValue] | None:
    """The elements a mapped node runs for; `None` for a node without map. Raises `FlowInvalid`."""
    if node.map is None:
        return None
    path: KeyPath = ("nodes", node_name, "map")
    report = Report(Places("flow"))
    filled = _fill(node.map, scope, path, report)
    if not report.failed and not isinstance(filled, list):
        report.error(REFERENCES, "bad-map", f"map must give a list, but {shown(node.map)} is {shown(filled)}", path)
    _raise(report)
    return filled if isinstance(filled, list) else None


def fill_key(key: str, scope: Scope) -> str:
    """The `key` of a flow's `concurrency`, as text. Raises `FlowInvalid`."""
    report = Report(Places("flow"))
    filled = _fill(key, scope, ("concurrency", "key"), report)
    _raise(report)
    return as_text(filled)


def _resolve_inputs(flow: Flow, given: Mapping[str, AnyReference], report: Report) -> dict[str, AnyReference]:
    for name in given:
        if name not in flow.inputs:
            hint = report.did_you_mean(name, flow.inputs) or _names(flow.inputs)
            report.error(REFERENCES, "unknown-input", f"the flow has no input {name!r}", ("inputs", name), hint=hint)
    for name, declared in flow.inputs.items():
        reference = given.get(name)
        if reference is None and not declared.optional:
            message = f"the {declared.kind} input {name!r} is missing"
            report.error(REFERENCES, "missing-input", message, ("inputs", name))
        elif reference is not None and (kind := kind_of(reference)) != declared.kind:
            message = f"input {name!r} must be a {declared.kind}, not a {kind}"
            report.error(REFERENCES, "wrong-kind", message, ("inputs", name))
    return {name: given[name] for name in flow.inputs if given.get(name) is not None}


def _resolve_params(flow: Flow, given: Mapping[str, Any], report: Report, *, coerce: bool) -> dict[str, JsonValue]:
    for name in given:
        if name not in flow.params:
            hint = report.did_you_mean(name, flow.params) or _names(flow.params)
            report.error(REFERENCES, "unknown-param", f"the flow has no param {name!r}", ("params", name), hint=hint)
    if not check_document(dict(given), report, ("params",)):
        return {}
    resolved: dict[str, JsonValue] = {}
    for name, declared in flow.params.items():
        if name in given:
            resolved[name] = _param(name, declared, given[name], report, coerce=coerce)
        elif declared.required:
            message = f"the {declared.type} param {name!r} is missing, it has no default"
            report.error(REFERENCES, "missing-param", message, ("params", name))
        else:
            resolved[name] = declared.default
    return resolved


def _param(name: str, declared: FlowParam, value: Any, report: Report, *, coerce: bool) -> JsonValue:
    if value is None and not declared.required and declared.default is None:
        return None
    if coerce and isinstance(value, str):
        with contextlib.suppress(ValueError):  # reported below, as what it is
            value = from_text(value, declared.type)
    if is_type(value, declared.type):
        checked: JsonValue = value
        # 5.0 is the integer 5: what a module gets is an int.
        return int(value) if declared.type == "integer" else checked
    message = f"param {name!r} must be of type {declared.type}, not {shown(value)}"
    report.error(REFERENCES, "wrong-type", message, ("params", name))
    return None


def _fill(value: JsonValue, scope: Scope, path: KeyPath, report: Report) -> JsonValue:
    if isinstance(value, str):
        return _fill_text(value, scope, path, report) if has_expression(value) else value
    if isinstance(value, dict):
        return {key: _fill(below, scope, (*path, key), report) for key, below in value.items()}
    if isinstance(value, list):
        return [_fill(below, scope, (*path, index), report) for index, below in enumerate(value)]
    return value


def _fill_text(text: str, scope: Scope, path: KeyPath, report: Report) -> JsonValue:
    try:
        parts = parse_template(text)
        if len(parts) == 1 and isinstance(parts[0], Expression):
            return _value_of(parts[0], scope)
        return "".join(part if isinstance(part, str) else _text_of(part, scope) for part in parts)
    except BadExpression as error:
        report.error(REFERENCES, "bad-expression", str(error), path, hint=error.hint)
        return None


def _value_of(expression: Expression, scope: Scope) -> JsonValue:
    if expression.root == "inputs":
        if expression.name not in scope.inputs:
            raise BadExpression(f"{expression.text}: there is no input {expression.name!r}", _names(scope.inputs))
        reference = scope.inputs[expression.name]
        return None if reference is None else reference.model_dump(mode="json")
    if expression.root == "params":
        if expression.name not in scope.params:
            raise BadExpression(f"{expression.text}: there is no param {expression.name!r}", _names(scope.params))
        return _follow(expression, scope.params[expression.name])
    if scope.index is None:
        raise BadExpression(f"{expression.text} can only be used in a node with map:")
    return scope.index if expression.root == "index" else _follow(expression, scope.item)


def _text_of(expression: Expression, scope: Scope) -> str:
    if expression.root == "inputs":
        raise BadExpression(f"{expression.text} is a reference: it must be the whole value, not a part of a text")
    return as_text(_value_of(expression, scope))


def _follow(expression: Expression, value: JsonValue) -> JsonValue:
    for part in expression.path:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and len(part) < 10 and int(part) < len(value):
            value = value[int(part)]
        else:
            keys = _names(value) if isinstance(value, dict) else ""
            raise BadExpression(f"{expression.text}: {shown(value)} has no {part!r}", keys)
    return value


def _names(names: Mapping[str, Any]) -> str:
    listed = ", ".join(list(names)[:10]) + (", …" if len(names) > 10 else "")
    return f"there {'is' if len(names) == 1 else 'are'} {listed}" if names else "there are none"


def _raise(report: Report) -> None:
    if report.failed:
        raise FlowInvalid("; ".join(str(problem) for problem in report.problems), report.problems)
