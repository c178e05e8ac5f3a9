"""The params of nodes as far as they are known, and which columns they name. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import JsonValue

from plugmesh.contracts.flow import Flow, Node
from plugmesh.contracts.module import ModuleContract, PortKind
from plugmesh.errors import FlowInvalid
from plugmesh.flows.expressions import texts_to_fill
from plugmesh.flows.substitute import Scope, fill
from plugmesh.planner.flow_plan import UNKNOWN, Unknown
from plugmesh.planner.names import names_in

Params = Mapping[str, JsonValue | Unknown]
Mark = Literal["column", "expression"]

_MARKS: Mapping[str, Mark] = {"column": "column", "columns": "column", "expression": "expression"}


def params_of(flow: Flow, scope: Scope) -> dict[str, dict[str, JsonValue | Unknown]]:
    """The params of every node, filled in with what `scope` has; where it lacks something, a param is unknown.

    What differs between the elements of a mapped node is unknown too.
    """
    return {name: _filled(node, scope) for name, node in flow.nodes.items() if node.params}


def _filled(node: Node, scope: Scope) -> dict[str, JsonValue | Unknown]:
    return {name: _value(given, scope) for name, given in node.params.items()}


def _value(given: JsonValue, scope: Scope) -> JsonValue | Unknown:
    if not any(True for _ in texts_to_fill(given)):
        return given
    try:
        return fill(given, scope)
    except FlowInvalid:
        return UNKNOWN


class NamingParams:
    """Which params of a module name columns of which of its table inputs.

    A param whose input nobody named belongs to the only table input; where there are several, to each of them: it is
    better to read too much.
    """

    def __init__(self, contract: ModuleContract) -> None:
        properties = contract.params.get("properties")
        self._schemas: Mapping[str, Any] = properties if isinstance(properties, dict) else {}
        self._tables = [port.name for port in contract.inputs if port.kind is PortKind.TABLE]
        self._root = contract.params
        self.marks = {name: marks for name in self._schemas if (marks := self._marks(self._schemas[name]))}

    def value(self, param: str, params: Params) -> JsonValue | Unknown:
        """What a param is: as given, or its default."""
        if param in params:
            return params[param]
        schema = self._schemas.get(param)
        default: JsonValue = schema.get("default") if isinstance(schema, dict) else None
        return default

    def of(self, port: str) -> Iterator[tuple[str, set[Mark]]]:
        """The params that name columns of an input, with how they do it."""
        for name, marks in self.marks.items():
            found = {mark for mark, of in marks if of is None or of == port}
            if found:
                yield name, found

    def names(self, port: str, params: Params) -> tuple[set[str], list[str]]:
        """Every name that may be a column of the input, and the params that are not known."""
        names: set[str] = set()
        unknown: list[str] = []
        for param, marks in self.of(port):
            value = self.value(param, params)
            if isinstance(value, Unknown):
                unknown.append(param)
                continue
            texts = list(_texts(value))
            if "column" in marks:
                names.update(texts)
            if "expression" in marks:
                names.update(name for text in texts for name in names_in(text))
        return names, unknown

    def _marks(self, schema: Any) -> set[tuple[Mark, str | None]]:
        """How a param names columns, and of which input (`None`: of each). Schemas come from
        modules: they may be anything, and refer to themselves."""
        found: set[tuple[Mark, str | None]] = set()
        followed: set[tuple[str, str | None]] = set()
        waiting: list[tuple[Any, str | None]] = [(schema, None)]
        while waiting:
            part, port = waiting.pop()
            if isinstance(part, list):
                waiting.extend((below, port) for below in part)
            elif isinstance(part, dict):
                named = part.get("x-port")
                port = named if isinstance(named, str) and named in self._tables else port
                mark = part.get("x-mesh")
                if isinstance(mark, str) and mark in _MARKS:
                    found.add((_MARKS[mark], port))
                waiting.extend((below, port) for below in part.values())
                reference = part.get("$ref")
                if isinstance(reference, str) and (reference, port) not in followed:
                    followed.add((reference, port))
                    waiting.append((self._resolved(reference), port))
        return found

    def _resolved(self, reference: str) -> Any:
        part: Any = self._root
        for key in reference.removeprefix("#").split("/")[1:]:
            part = part.get(key) if isinstance(part, dict) else None
        return part


def _texts(value: JsonValue) -> Iterator[str]:
    """Every text in a value, keys included."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, list):
            waiting.extend(part)
        elif isinstance(part, dict):
            yield from part
            waiting.extend(part.values())
