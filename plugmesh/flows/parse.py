"""A flow file to the canonical `Flow`: levels 1 (syntax) and 2 (schema) of validation."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, get_args

from plugmesh.contracts.flow import DEFAULT_NAMESPACE, Flow, FlowInput, FlowParam, Source
from plugmesh.contracts.module import PortKind
from plugmesh.flows.concurrency import read_concurrency, read_priority
from plugmesh.flows.document import check_document
from plugmesh.flows.nodes import read_nodes
from plugmesh.flows.notify import read_notify
from plugmesh.flows.places import KeyPath, Places
from plugmesh.flows.problem import SCHEMA, SYNTAX, Problem, Report
from plugmesh.flows.read import MAX_BYTES, read_text
from plugmesh.flows.retention import read_retention
from plugmesh.flows.surface import (
    NAME,
    check_keys,
    read_choice,
    read_duration,
    read_flag,
    read_mapping,
    read_name,
    read_source,
)
from plugmesh.flows.surface import read_text as read_text_value
from plugmesh.flows.values import is_type, shown, type_name

FLOW_KEYS = (
    "flow", "doc", "inputs", "params", "nodes", "outputs", "timeout", "park",
    "priority", "concurrency", "quarantine", "notify", "retention",
)  # fmt: skip
INPUT_KEYS = ("kind", "optional", "doc")
PARAM_KEYS = ("type", "default", "doc")
PARAM_TYPES: tuple[str, ...] = get_args(FlowParam.model_fields["type"].annotation)
KINDS: tuple[str, ...] = tuple(kind.value for kind in PortKind)
QUARANTINES: tuple[str, ...] = get_args(Flow.model_fields["quarantine"].annotation)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a text or document means.

    `flow` is `None` when there are errors. `draft` then holds what could be read, so that the further levels can be
    checked too and all problems appear at once; something is missing from its `incomplete` nodes.
    """

    flow: Flow | None
    problems: tuple[Problem, ...]
    places: Places
    draft: Flow | None = None
    incomplete: frozenset[str] = frozenset()


def parse_flow_text(text: str | bytes, file: str = "flow.yaml") -> Parsed:
    """Read YAML 1.2 or JSON. Never raises: whatever is wrong is a problem with line and column."""
    report = Report(Places(file))
    decoded = _decode(text, report)
    if decoded is None:
        return Parsed(None, report.problems, report.places)
    document, places = read_text(decoded, file, report)
    if places.root is None and report.failed and (found := _as_json(decoded)) is not None:
        # Some JSON is not quite YAML (a key longer than 1,024 characters): correct, but without positions.
        return _parse(found, Report(Places(file)), check=True)
    if places.root is None:
        if not report.failed:
            report.add(SYNTAX, "error", "empty", "there is no flow in this file", at=(1, 1), hint="flow: NAME")
        return Parsed(None, report.problems, places)
    report.places = places
    return _parse(document, report, check=False)


def parse_flow_document(document: Any, file: str = "flow") -> Parsed:
    """Read an already decoded document. Problems have a path instead of a line."""
    return _parse(document, Report(Places(file)), check=True)


def _decode(text: str | bytes, report: Report) -> str | None:
    size = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        message = f"the flow has {size:,} bytes, {MAX_BYTES:,} are possible"
        report.add(SYNTAX, "error", "too-large", message, at=(1, 1), hint="hand data in as a file or table: an input")
        return None
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = text[: error.start]
        at = (before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        report.add(SYNTAX, "error", "not-utf-8", "this is not UTF-8 text", at=at, hint="save the file as UTF-8")
        return None


def _as_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _parse(document: Any, report: Report, *, check: bool) -> Parsed:
    if check and not check_document(document, report):  # a text was checked while it was read
        return Parsed(None, report.problems, report.places)
    if not isinstance(document, dict):
        hint = "it starts with flow: NAME"
        report.error(SCHEMA, "wrong-type", f"a flow must be a mapping, not {shown(document)}", hint=hint)
        return Parsed(None, report.problems, report.places)
    check_keys(document, FLOW_KEYS, (), "a flow", report)
    namespace, name = _read_flow_name(document.get("flow"), report)
    nodes, incomplete = read_nodes(document.get("nodes"), report)
    given: dict[str, Any] = {}
    park_s = read_duration(document.get("park"), ("park",), "park", report)
    if park_s is not None:
        given["park_s"] = park_s
    if document.get("quarantine") is not None:
        chosen = read_choice(document["quarantine"], ("quarantine",), QUARANTINES, report, code="bad-quarantine")
        given |= {} if chosen is None else {"quarantine": chosen}
    flow = Flow(
        namespace=namespace,
        name=name,
        doc=read_text_value(document.get("doc"), ("doc",), "doc", report),
        inputs=_read_inputs(document.get("inputs"), report),
        params=_read_params(document.get("params"), report),
        nodes=nodes,
        outputs=_read_outputs(document.get("outputs"), report),
        timeout_s=read_duration(document.get("timeout"), ("timeout",), "timeout", report),
        notify=read_notify(document.get("notify"), ("notify",), report),
        priority=read_priority(document.get("priority"), ("priority",), report),
        concurrency=read_concurrency(document.get("concurrency"), ("concurrency",), report),
        retention=read_retention(document.get("retention"), ("retention",), report),
        **given,
    )
    return Parsed(None if report.failed else flow, report.problems, report.places, flow, incomplete)


def _read_flow_name(value: Any, report: Report) -> tuple[str, str]:
    if value is None:
        report.error(SCHEMA, "missing-key", "a flow needs a name", (), hint="flow: NAME, or flow: NAMESPACE/NAME")
        return DEFAULT_NAMESPACE, "unnamed"
    text = read_text_value(value, ("flow",), "flow", report)
    namespace, slash, name = text.partition("/") if "/" in text else ("", "", text)
    if (not slash or NAME.fullmatch(namespace)) and NAME.fullmatch(name):
        return namespace or DEFAULT_NAMESPACE, name
    if isinstance(value, str):
        rule = "NAME or NAMESPACE/NAME, each of letters, digits, '_' and '-'"
        report.error(SCHEMA, "bad-name", f"{shown(text)} cannot be the name of a flow: it is {rule}", ("flow",))
    return DEFAULT_NAMESPACE, "unnamed"


def _read_inputs(value: Any, report: Report) -> dict[str, FlowInput]:
    inputs = {}
    for name, document in read_mapping(value, ("inputs",), "inputs", report).items():
        path = ("inputs", name)
        if read_name(name, path, "an input", report):
            inputs[name] = _read_input(document, path, report)
    return inputs


def _read_input(document: Any, path: KeyPath, report: Report) -> FlowInput:
    short = isinstance(document, str)
    fields = {"kind": document} if short else read_mapping(document, path, f"input {path[-1]!r}", report)
    check_keys(fields, INPUT_KEYS, path, f"input {path[-1]!r}", report)
    kind = fields.get("kind", PortKind.TABLE)
    if not isinstance(kind, str) or kind not in KINDS:
        hint = report.did_you_mean(kind, KINDS) if isinstance(kind, str) else ""
        message = f"the kind of an input is table, file or value, not {shown(kind)}"
        report.error(SCHEMA, "bad-kind", message, path if short else (*path, "kind"), hint=hint)
        kind = PortKind.TABLE
    optional = read_flag(fields.get("optional", False), (*path, "optional"), "optional", report)
    doc = read_text_value(fields.get("doc"), (*path, "doc"), "doc", report)
    return FlowInput(kind=PortKind(kind), optional=optional, doc=doc)


def _read_params(value: Any, report: Report) -> dict[str, FlowParam]:
    params = {}
    for name, document in read_mapping(value, ("params",), "params", report).items():
        path = ("params", name)
        if not read_name(name, path, "a param", report):
            continue
        params[name] = (
            _read_param(document, path, report) if isinstance(document, dict) else _short(document, path, report)
        )
    return params


def _short(default: Any, path: KeyPath, report: Report) -> FlowParam:
    """`name: 5`: the default, which also says the type."""
    if default is None:
        hint = "{type: string} for a param without default, or a default value"
        report.error(SCHEMA, "no-type", f"param {path[-1]!r} has neither type nor default", path, hint=hint)
        return FlowParam()
    if isinstance(default, str) and default in PARAM_TYPES:
        message = f"the default of param {path[-1]!r} is the text {default!r}"
        report.warning(SCHEMA, "type-as-default", message, path, hint=f"write {{type: {default}}} for its type")
    return FlowParam.model_validate({"type": type_name(default), "default": default, "required": False})


def _read_param(document: dict[str, Any], path: KeyPath, report: Report) -> FlowParam:
    check_keys(document, PARAM_KEYS, path, f"param {path[-1]!r}", report)
    given: dict[str, Any] = {"doc": read_text_value(document.get("doc"), (*path, "doc"), "doc", report)}
    default = document.get("default")
    kind = document.get("type", "string" if default is None else type_name(default))
    if not isinstance(kind, str) or kind not in PARAM_TYPES:
        hint = report.did_you_mean(kind, PARAM_TYPES) if isinstance(kind, str) else ""
        message = f"the type of a param is one of {', '.join(PARAM_TYPES)}, not {shown(kind)}"
        report.error(SCHEMA, "bad-type", message, (*path, "type"), hint=hint)
        return FlowParam(required="default" not in document, doc=given["doc"])
    if "default" in document:
        given |= {"default": default, "required": False}
        if default is not None and not is_type(default, kind):
            message = f"the default of param {path[-1]!r} is {shown(default)}, its type is {kind}"
            report.error(SCHEMA, "wrong-type", message, (*path, "default"))
    return FlowParam.model_validate({"type": kind, **given})


def _read_outputs(value: Any, report: Report) -> dict[str, Source]:
    outputs = {}
    for name, document in read_mapping(value, ("outputs",), "outputs", report).items():
        path = ("outputs", name)
        source = read_source(document, path, report) if read_name(name, path, "an output", report) else None
        if source is not None and source.input is not None:
            report.error(SCHEMA, "bad-source", "an output shows what a node made, not an input", path)
        elif source is not None:
            outputs[name] = source
    return outputs
