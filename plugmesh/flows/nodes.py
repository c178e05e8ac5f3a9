"""The nodes of a flow file."""

from __future__ import annotations

import re
from typing import Any

from pydantic import JsonValue

from plugmesh.contracts.base import MODULE_PATTERN
from plugmesh.contracts.flow import Node, Source
from plugmesh.contracts.module import VERSION_PATTERN, Limits
from plugmesh.flows.expressions import BadExpression, whole_expression
from plugmesh.flows.places import KeyPath
from plugmesh.flows.problem import SCHEMA, Report
from plugmesh.flows.retry import read_rejects, read_retry
from plugmesh.flows.surface import (
    NAME,
    check_keys,
    read_duration,
    read_mapping,
    read_name,
    read_source,
    read_text,
    read_texts,
)
from plugmesh.flows.values import shown
from plugmesh.limit_words import LIMIT_FIELDS, read_limit

MAX_NODES = 20_000

NODE_KEYS = ("module", "in", "params", "bind", "map", "after", "retry", "timeout", "rejects", "limits", "labels")

_MODULE = re.compile(MODULE_PATTERN)
_NUMBER = r"(?:0|[1-9][0-9]{0,8})"
_VERSION = re.compile(rf"{VERSION_PATTERN}|[\^~]{_NUMBER}(\.{_NUMBER}){{0,2}}")
_SHORT_VERSION = re.compile(rf"{_NUMBER}(\.{_NUMBER})?")


def read_nodes(value: Any, report: Report) -> tuple[dict[str, Node], frozenset[str]]:
    """The nodes by name, and the names of those of which something could not be read."""
    documents = read_mapping(value, ("nodes",), "nodes", report)
    if not documents and not isinstance(value, list | str | int | float):
        report.error(
            SCHEMA, "no-nodes", "a flow needs at least one node", ("nodes",), hint="nodes: {name: {module: …}}"
        )
    if len(documents) > MAX_NODES:
        message = f"the flow has {len(documents):,} nodes, {MAX_NODES:,} are possible"
        report.error(SCHEMA, "too-many-nodes", message, ("nodes",), hint="a mapped node runs once for each element")
        return {}, frozenset()
    nodes: dict[str, Node] = {}
    incomplete: set[str] = set()
    for name, document in documents.items():
        path = ("nodes", name)
        if not read_name(name, path, "a node", report):
            continue
        node, complete = _read_node(document, path, report)
        nodes[name] = node
        if not complete:
            incomplete.add(name)
    return nodes, frozenset(incomplete)


def _read_node(document: Any, path: KeyPath, report: Report) -> tuple[Node, bool]:
    """The node with what could be read of it, and whether that is all of it."""
    failed_before, report.failed = report.failed, False
    what = f"node {path[-1]!r}"
    if isinstance(document, str):
        hint = f"write {{module: {document[:60]}}}" if _MODULE.fullmatch(document) else ""
        report.error(SCHEMA, "wrong-type", f"{what} must be a mapping, not {shown(document)}", path, hint=hint)
        document = None
    elif not isinstance(document, dict):
        report.error(SCHEMA, "wrong-type", f"{what} must be a mapping with a module", path)
    fields = document if isinstance(document, dict) else {"module": ""}
    check_keys(fields, NODE_KEYS, path, what, report)
    given: dict[str, Any] = {"module": _read_module(fields.get("module"), path, what, report)}
    for key, read in _READERS.items():
        if key in fields:
            given[_FIELDS.get(key, key)] = read(fields[key], (*path, key), report)
    node = Node(**given)
    complete = not report.failed
    report.failed = failed_before or not complete
    return node, complete


def _read_module(value: Any, path: KeyPath, what: str, report: Report) -> str:
    if value == "":
        return ""
    if value is None:
        report.error(SCHEMA, "missing-key", f"{what} lacks its module", path, hint="module: NAME")
        return ""
    text = read_text(value, (*path, "module"), "module", report)
    name, at, version = text.partition("@")
    if text and (not _MODULE.fullmatch(name) or len(name) > 200):
        rule = "lower-case words joined by dots, such as table.filter"
        hint = (
            report.did_you_mean(name, [lower]) if (lower := name.lower()) != name and _MODULE.fullmatch(lower) else ""
        )
        report.error(SCHEMA, "bad-module", f"{shown(name)} cannot be a module: {rule}", (*path, "module"), hint=hint)
        return ""
    if at and (len(version) > 100 or not _VERSION.fullmatch(version)):
        hint = f"did you mean '{name}@^{version}'?" if _SHORT_VERSION.fullmatch(version) else ""
        message = f"{shown(version)} is no version: write {name}, {name}@1.2.0, {name}@^1 or {name}@~1.2"
        report.error(SCHEMA, "bad-version", message, (*path, "module"), hint=hint)
        return ""
    return text


def _read_edges(value: Any, path: KeyPath, report: Report) -> dict[str, tuple[Source, ...]]:
    if not isinstance(value, dict):
        return {"": _read_sources(value, path, report)}
    edges = {}
    for port, sources in value.items():
        if read_name(port, (*path, port), "a port", report):
            edges[port] = _read_sources(sources, (*path, port), report)
    return edges


def _read_sources(value: Any, path: KeyPath, report: Report) -> tuple[Source, ...]:
    if not isinstance(value, list):
        source = read_source(value, path, report)
        return (source,) if source else ()
    found = [read_source(element, (*path, index), report) for index, element in enumerate(value)]
    return tuple(source for source in found if source is not None)


def _read_params(value: Any, path: KeyPath, report: Report) -> dict[str, JsonValue]:
    params = read_mapping(value, path, "params", report)
    return {key: below for key, below in params.items() if read_name(key, (*path, key), "a param", report)}


def _read_bind(value: Any, path: KeyPath, report: Report) -> dict[str, str]:
    return read_texts(value, path, "bind", report)


def _read_labels(value: Any, path: KeyPath, report: Report) -> dict[str, str]:
    return read_texts(value, path, "labels", report)


def _read_map(value: Any, path: KeyPath, report: Report) -> JsonValue:
    if isinstance(value, list):
        return value
    message = f'map must be a list, or an expression that gives one ("${{params.NAME}}"), not {shown(value)}'
    if isinstance(value, str):
        try:
            if whole_expression(value) is not None:
                return value
        except BadExpression as error:
            report.error(SCHEMA, "bad-expression", str(error), path, hint=error.hint)
            return None
    report.error(SCHEMA, "bad-map", message, path)
    return None


def _read_after(value: Any, path: KeyPath, report: Report) -> tuple[str, ...]:
    names: list[str] = []
    elements = value if isinstance(value, list) else [value]
    for index, element in enumerate(elements):
        if isinstance(element, str) and NAME.fullmatch(element):
            names.append(element)
        else:
            message = f"after names nodes, not {shown(element)}"
            report.error(SCHEMA, "wrong-type", message, (*path, index) if isinstance(value, list) else path)
    return tuple(dict.fromkeys(names))


def _read_timeout(value: Any, path: KeyPath, report: Report) -> float | None:
    return read_duration(value, path, "timeout", report)


def _read_limits(value: Any, path: KeyPath, report: Report) -> Limits | None:
    fields = read_mapping(value, path, "limits", report)
    fields = {key: below for key, below in fields.items() if not _is_wall_time(key, path, report)}
    check_keys(fields, tuple(LIMIT_FIELDS), path, "limits", report)
    given: dict[str, Any] = {}
    for word in LIMIT_FIELDS:
        if word in fields:
            try:
                given[LIMIT_FIELDS[word]] = read_limit(word, fields[word])
            except ValueError as error:
                report.error(SCHEMA, "bad-limit", f"{word} cannot be {shown(fields[word])}: {error}", (*path, word))
    return Limits(**given) if given else None


def _is_wall_time(key: str, path: KeyPath, report: Report) -> bool:
    if key not in {"wall", "wall_s", "timeout", "time"}:
        return False
    hint = "the time by the clock on the wall is the node's timeout:"
    report.error(SCHEMA, "unknown-key", f"limits has no key {shown(key)}", (*path, key), hint=hint, key=True)
    return True


_FIELDS = {"in": "inputs", "timeout": "timeout_s"}
_READERS = {
    "in": _read_edges,
    "params": _read_params,
    "bind": _read_bind,
    "map": _read_map,
    "after": _read_after,
    "retry": read_retry,
    "timeout": _read_timeout,
    "rejects": read_rejects,
    "limits": _read_limits,
    "labels": _read_labels,
}
