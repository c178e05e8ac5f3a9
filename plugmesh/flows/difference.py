"""What changed between two revisions of a flow: by its parts, and line by line. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from plugmesh.contracts.flow import Flow, Node, Source

_SETTINGS = ("doc", "timeout_s", "park_s", "priority", "concurrency", "quarantine", "notify", "retention")
_LINES_COMPARED = 10_000
"""Comparing line by line takes far longer than proportionally; longer texts are only said to differ."""


def difference(old: Flow, new: Flow, texts: tuple[str, str], names: tuple[str, str]) -> dict[str, Any]:
    """`nodes`, `edges`, `params`, `inputs`, `outputs`, `settings` (what was added, removed and changed, a changed field
    with `from` and `to`), and `text`, a unified diff of the sources under `names`."""
    return {
        "nodes": _parts({name: _fields(node) for name, node in old.nodes.items()}, _node_fields(new)),
        "edges": _edges(old, new),
        "params": _parts(_dumped(old.params), _dumped(new.params)),
        "inputs": _parts(_dumped(old.inputs), _dumped(new.inputs)),
        "outputs": _parts(_dumped(old.outputs), _dumped(new.outputs)),
        "settings": {"changed": _changed(_settings(old), _settings(new))},
        "text": _unified(texts, names),
    }


def _node_fields(flow: Flow) -> dict[str, dict[str, Any]]:
    return {name: _fields(node) for name, node in flow.nodes.items()}


def _fields(node: Node) -> dict[str, Any]:
    """All of a node but its edges, which are compared on their own."""
    return node.model_dump(mode="json", exclude={"inputs", "after"})


def _dumped(parts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: part.model_dump(mode="json") for name, part in parts.items()}


def _settings(flow: Flow) -> dict[str, Any]:
    return flow.model_dump(mode="json", include=set(_SETTINGS))


def _parts(old: Mapping[str, dict[str, Any]], new: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    both = {name: _changed(fields, new[name]) for name, fields in old.items() if name in new}
    return {
        "added": [name for name in new if name not in old],
        "removed": [name for name in old if name not in new],
        "changed": {name: fields for name, fields in both.items() if fields},
    }


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {"from": old[name], "to": new[name]} for name in old if old[name] != new[name]}


def _edges(old: Flow, new: Flow) -> dict[str, list[dict[str, str]]]:
    before, after = dict.fromkeys(_edges_of(old)), dict.fromkeys(_edges_of(new))
    return {
        "added": [{"from": start, "to": end} for start, end in after if (start, end) not in before],
        "removed": [{"from": start, "to": end} for start, end in before if (start, end) not in after],
    }


def _edges_of(flow: Flow) -> Iterator[tuple[str, str]]:
    for name, node in flow.nodes.items():
        for port, sources in node.inputs.items():
            end = f"{name}.{port}" if port else name
            yield from ((_start(source), end) for source in sources)
        yield from ((parent, f"{name} (after)") for parent in node.after)


def _start(source: Source) -> str:
    if source.node is None:
        return f"${{inputs.{source.input}}}"
    return f"{source.node}.{source.port}" if source.port else source.node


def _unified(texts: tuple[str, str], names: tuple[str, str]) -> str:
    old, new = (text.splitlines() for text in texts)
    if old == new:
        return ""
    if max(len(old), len(new)) > _LINES_COMPARED:
        return f"the texts differ; with more than {_LINES_COMPARED:,} lines they are not compared line by line\n"
    return "".join(f"{line}\n" for line in difflib.unified_diff(old, new, *names, lineterm=""))
