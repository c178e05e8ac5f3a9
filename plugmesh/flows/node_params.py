"""Params of nodes: the expressions in them, and the schema of their module."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import JsonValue
from pydantic_core import to_json

from plugmesh.contracts.flow import PARAMS_LIMIT_BYTES, Flow, FlowParam
from plugmesh.contracts.module import ModuleContract, PortKind
from plugmesh.flows.expressions import (
    BadExpression,
    Expression,
    has_expression,
    parse_template,
    texts_to_fill,
    whole_expression,
)
from plugmesh.flows.places import KeyPath
from plugmesh.flows.problem import REFERENCES, Report
from plugmesh.flows.schema import Hole, check_value


def check_node_params(
    flow: Flow, contracts: Mapping[str, ModuleContract], report: Report, incomplete: Collection[str]
) -> None:
    """Expressions in params and map of every node, and params against the module's schema where it is known."""
    for name, node in flow.nodes.items():
        for key, value in (("params", node.params), ("map", node.map)):
            mapped = key == "params" and node.map is not None
            for path, text in texts_to_fill(value):
                check_text(text, flow, ("nodes", name, key, *path), report, mapped=mapped)
        _check_map(flow, name, report)
        _check_size(name, node.params, report)
        if name in contracts:
            _check_schema(flow, name, contracts[name], report, complete=name not in incomplete)


def check_usage(flow: Flow, report: Report) -> None:
    """Inputs and params of the flow that nothing uses."""
    used = {
        ("inputs", source.input) for node in flow.nodes.values() for edges in node.inputs.values() for source in edges
    }
    for node in flow.nodes.values():
        for value in (node.params, node.map):
            for _, text in texts_to_fill(value):
                used |= {(found.root, found.name) for found in _expressions(text)}
    if flow.concurrency is not None and flow.concurrency.key is not None:
        used |= {(found.root, found.name) for found in _expressions(flow.concurrency.key)}
    for kind, one, names in (("inputs", "input", flow.inputs), ("params", "param", flow.params)):
        for name in names:
            if (kind, name) not in used:
                message = f"nothing uses the {one} {name!r}"
                report.warning(REFERENCES, f"unused-{one}", message, (kind, name), key=True)


def _expressions(text: str) -> list[Expression]:
    try:
        return [part for part in parse_template(text) if isinstance(part, Expression)]
    except BadExpression:
        return []


def check_text(text: str, flow: Flow, path: KeyPath, report: Report, *, mapped: bool = False) -> None:
    """The expressions in a text: what they refer to must be there."""
    try:
        parts = parse_template(text)
    except BadExpression as error:
        report.error(REFERENCES, "bad-expression", str(error), path, hint=error.hint)
        return
    for part in parts:
        if isinstance(part, Expression):
            _check_expression(part, flow, path, report, mapped=mapped, whole=len(parts) == 1)


def _check_expression(
    expression: Expression, flow: Flow, path: KeyPath, report: Report, *, mapped: bool, whole: bool
) -> None:
    names: Mapping[str, object] = flow.inputs if expression.root == "inputs" else flow.params
    if expression.root in {"item", "index"}:
        if not mapped:
            report.error(
                REFERENCES, "no-item", f"{expression.text} can only be used in params of a node with map:", path
            )
    elif expression.name not in names:
        one = expression.root.removesuffix("s")
        hint = report.did_you_mean(expression.name, names)
        message = f"{expression.text}: the flow has no {one} {expression.name!r}"
        report.error(REFERENCES, f"unknown-{one}", message, path, hint=hint)
    elif expression.root == "inputs" and not whole:
        message = f"{expression.text} is a reference: it must be the whole value, not a part of a text"
        report.error(REFERENCES, "reference-in-text", message, path)
    elif expression.root == "inputs" and flow.inputs[expression.name].kind == PortKind.TABLE:
        message = f"{expression.text} is a table: it comes in by an edge, not by a param"
        report.error(REFERENCES, "table-in-param", message, path, hint=f'write in: "{expression.text}"')
    elif expression.root == "params" and expression.path and _is_flat(flow.params[expression.name]):
        kind = flow.params[expression.name].type
        report.error(
            REFERENCES, "no-such-key", f"{expression.text}: there is nothing inside a param of type {kind}", path
        )


def _check_size(name: str, params: Mapping[str, JsonValue], report: Report) -> None:
    """What is written out, without what will be filled in, must already fit into a message."""
    if not params or len(to_json(params)) <= PARAMS_LIMIT_BYTES:
        return
    sizes = {key: len(to_json(_without_expressions(value))) for key, value in params.items()}
    if (size := sum(sizes.values())) > PARAMS_LIMIT_BYTES:
        largest = max(sizes, key=sizes.__getitem__)
        message = f"the params of node {name!r} are {size:,} bytes of JSON, {PARAMS_LIMIT_BYTES:,} are possible"
        hint = f"hand what is in {largest!r} over in a file or a table, as an input of the flow"
        report.error(REFERENCES, "params-too-large", message, ("nodes", name, "params", largest), hint=hint)


def _without_expressions(value: Any) -> Any:
    if isinstance(value, str):
        return "" if has_expression(value) else value
    if isinstance(value, dict):
        return {key: _without_expressions(below) for key, below in value.items()}
    return [_without_expressions(below) for below in value] if isinstance(value, list) else value


def _is_flat(param: FlowParam) -> bool:
    return param.type not in {"object", "array"}


def _check_map(flow: Flow, name: str, report: Report) -> None:
    text = flow.nodes[name].map
    if not isinstance(text, str):
        return
    for expression in _expressions(text):
        if expression.root == "inputs" and expression.name in flow.inputs:
            message = f"map needs a list, but {expression.text} is a {flow.inputs[expression.name].kind}"
            report.error(REFERENCES, "bad-map", message, ("nodes", name, "map"))
        elif (found := _type_of(expression, flow)) not in {None, "array"}:
            message = f"map needs a list, but {expression.text} is of type {found}"
            report.error(REFERENCES, "bad-map", message, ("nodes", name, "map"))


def _check_schema(flow: Flow, name: str, contract: ModuleContract, report: Report, *, complete: bool) -> None:
    params = flow.nodes[name].params
    value = _with_holes(params, flow) if any(True for _ in texts_to_fill(params)) else params
    for fault in check_value(value, contract.params):
        if fault.code == "missing-param" and not complete:
            continue
        path: KeyPath = ("nodes", name, "params", *fault.path)
        message, within = f"{contract.name}: {fault.message}", None
        if fault.at is not None and (within := report.places.within(path, fault.at)) is None:
            message += f", at character {fault.at}"
        key = fault.key or not (fault.path or params)
        path = path if fault.path or params else path[:2]
        report.add(REFERENCES, "error", fault.code, message, path, hint=fault.hint, key=key, at=within)


def _with_holes(value: Any, flow: Flow) -> Any:
    if isinstance(value, str):
        return _hole(value, flow) if has_expression(value) else value
    if isinstance(value, dict):
        return {key: _with_holes(below, flow) for key, below in value.items()}
    if isinstance(value, list):
        return [_with_holes(below, flow) for below in value]
    return value


def _hole(text: str, flow: Flow) -> Any:
    try:
        expression = whole_expression(text)
        parts = parse_template(text)
    except BadExpression:
        return Hole(None, text)  # reported with the expressions
    if expression is not None:
        return Hole(_type_of(expression, flow), expression.text)
    if all(isinstance(part, str) for part in parts):
        return "".join(part for part in parts if isinstance(part, str))
    return Hole("string", text)


def _type_of(expression: Expression, flow: Flow) -> str | None:
    """The JSON type that `expression` gives, where the flow says it."""
    if expression.root == "index":
        return "integer"
    if expression.root == "inputs":
        given = flow.inputs.get(expression.name)
        return "object" if given is not None and not given.optional else None  # its reference
    declared = flow.params.get(expression.name) if expression.root == "params" and not expression.path else None
    if declared is None or (not declared.required and declared.default is None):
        return None
    return declared.type
