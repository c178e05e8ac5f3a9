"""What cannot work because of the columns that come in: level 4 of validation. Pure; nothing is said that is not certain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from plugmesh.contracts.module import InputPort
from plugmesh.contracts.plan import PlanProblem
from plugmesh.data.schema import cut, listed
from plugmesh.expressions.functions import UNSTABLE
from plugmesh.flows.places import KeyPath
from plugmesh.flows.problem import did_you_mean
from plugmesh.planner.flow_plan import ColumnProblem, Schema, Unknown
from plugmesh.planner.kinds import certainly_differ
from plugmesh.planner.place import Place

_PIECE = re.compile(
    r"""\s+|'(?:[^']|'')*'|"(?:[^"]|"")*"|::|<=|>=|<>|!=|==|\d[\w.]*|(?P<word>[^\W\d]\w*)|.""",
    re.DOTALL,
)
_UNSURE = re.compile(
    r"--|/\*|\$|\\|->|`|\{|\b(?:lambda|map|struct|union|row|columns|extract|interval)\b", re.IGNORECASE
)
_JOINING = frozenset({"=", "==", "<>", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "and", "or", "not", "(", ")"})
_ENDING = _JOINING | {"is", "in", "between", "like", ""}
_CONSTANTS = frozenset({"true", "false", "null"})


def problems_of(place: Place) -> Iterator[ColumnProblem]:
    """What is wrong at one node, in the order of its ports and params."""
    if place.rules.answer is not None:
        for problem in place.rules.answer.problems:
            yield _answered(place, problem)
    for port in place.connected():
        for schema in _different(place.schemas.get(port.name, ())):
            yield from _declared(place, port, schema)
            if place.rules.answer is None or not place.rules.answer.problems:
                yield from _named(place, port, schema)


def _different(schemas: Sequence[Schema | None]) -> list[Schema]:
    found: list[Schema] = []
    for schema in schemas:
        if schema is not None and schema not in found:
            found.append(schema)
    return found


def _answered(place: Place, problem: PlanProblem) -> ColumnProblem:
    path: KeyPath = ("nodes", place.name)
    if problem.param is not None and problem.param in place.node.params:
        path = (*path, "params", problem.param)
    hint, message = "", problem.message
    schema = place.schema(problem.port) if problem.port in place.schemas else None
    if problem.column is not None and schema is not None and problem.column not in schema:
        return _missing(place, str(problem.port), problem.column, schema, path)
    code = "plan-problem" if problem.column is None else "unknown-column"
    return ColumnProblem(code, f"node {place.name!r}: {message}", path, place.name, problem.port, problem.column, hint)


def _declared(place: Place, port: InputPort, schema: Schema) -> Iterator[ColumnProblem]:
    """Columns that the contract names."""
    for column, expected in place.rules.declared(port).items():
        path = _path_of(place, port, column)
        found = schema.get(column)
        if found is None:
            yield _missing(place, port.name, column, schema, path)
        elif certainly_differ(expected, found):
            called = place.node.bind.get(column, column)
            message = (
                f"column {cut(called)!r} is {found} at node {place.name!r}, but {place.contract.name} reads "
                f"{'it' if called == column else repr(cut(column))} as {expected}"
            )
            hint = "convert it upstream, for example with table.derive"
            yield ColumnProblem("column-type", message, path, place.name, port.name, column, hint)


def _named(place: Place, port: InputPort, schema: Schema) -> Iterator[ColumnProblem]:
    """Columns that params name. A module that reads all columns knows itself what to do about one that is not there,
    but for the condition of a filter."""
    for param, marks in place.rules.naming.of(port.name):
        value = place.rules.naming.value(param, place.rules.params)
        filters = param == place.contract.traits.filters
        if isinstance(value, Unknown) or (port.rest and not filters):
            continue
        for path, name in _certain(value, "expression" in marks):
            if not _is_there(name, schema, exact="column" in marks):
                yield _missing(place, port.name, name, schema, ("nodes", place.name, "params", param, *path))


def _certain(value: Any, is_expression: bool) -> Iterator[tuple[KeyPath, str]]:
    """The columns that a param certainly names: a text or a list of them, or the names in an expression."""
    if isinstance(value, str):
        yield from (((), name) for name in (columns_in(value) if is_expression else [value]))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            if isinstance(part, str):
                yield from (((index,), name) for name in (columns_in(part) if is_expression else [part]))


def _is_there(name: str, schema: Schema, *, exact: bool) -> bool:
    return name in schema or (not exact and name.casefold() in {column.casefold() for column in schema})


def columns_in(expression: str) -> list[str]:
    """Names in an SQL expression that can be nothing but columns: those between operators, where nothing is unusual."""
    if _UNSURE.search(re.sub(r"'(?:[^']|'')*'", "''", expression)):
        return []
    pieces = [match for match in _PIECE.finditer(expression) if not match.group().isspace()]
    texts = ["", *(match.group().lower() for match in pieces), ""]
    found = [
        match.group()
        for index, match in enumerate(pieces, start=1)
        if match["word"]
        and (not texts[index - 1] or texts[index - 1] in _JOINING - {")"})
        and texts[index + 1] in _ENDING - {"(", "not"}
        and texts[index] not in _CONSTANTS | _ENDING | UNSTABLE
    ]
    return list(dict.fromkeys(found))


def _missing(place: Place, port: str, column: str, schema: Schema, path: KeyPath) -> ColumnProblem:
    called = place.node.bind.get(column, column)
    names = [place.node.bind.get(name, name) for name in schema]
    near = did_you_mean(called, names)
    there = near.removeprefix("did you mean ").removesuffix("?") if near else listed(names)
    bound = f" (for {cut(column)!r} of {place.contract.name})" if called != column else ""
    several = len(place.connected()) > 1
    its = f"its input {port!r}" if several else "its input"
    message = f"column {cut(called)!r}{bound} does not exist at node {place.name!r}; {its} has {there}"
    return ColumnProblem("unknown-column", message, path, place.name, port, column, near)


def _path_of(place: Place, port: InputPort, column: str) -> KeyPath:
    """Where the flow says which column it is: in `bind`, else where the table comes in."""
    if column in place.node.bind:
        return ("nodes", place.name, "bind", column)
    given = next((name for name in place.node.inputs if name in (port.name, "")), None)
    if given is None:
        return ("nodes", place.name)
    return ("nodes", place.name, "in", given) if given else ("nodes", place.name, "in")
