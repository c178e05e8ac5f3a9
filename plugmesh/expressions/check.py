"""The second look at an expression: every piece of DuckDB's parse, against what is allowed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from plugmesh.data.schema import listed
from plugmesh.errors import DataError
from plugmesh.expressions.functions import AGGREGATES, MANY_ROWS, SCALARS, UNSTABLE
from plugmesh.flows.problem import did_you_mean

HEAD = "SELECT "
"""What stands before the expression in the statement that is parsed; positions count from there, in bytes."""

Node = dict[str, Any]

_PLAIN = {"CONSTANT", "COMPARISON", "CONJUNCTION", "CASE", "CAST", "BETWEEN", "COLLATE"}
_OPERATORS = {
    "ARRAY_CONSTRUCTOR",
    "ARRAY_EXTRACT",
    "ARRAY_SLICE",
    "COMPARE_IN",
    "COMPARE_NOT_IN",
    "OPERATOR_COALESCE",
    "OPERATOR_IS_NOT_NULL",
    "OPERATOR_IS_NULL",
    "OPERATOR_NOT",
    "OPERATOR_NULLIF",
    "OPERATOR_TRY",
    "STRUCT_EXTRACT",
}
REFUSED = {
    "SUBQUERY": "a subquery is not possible: it sees one row of one table; use table.join for another table",
    "STAR": "a star is not possible: name the columns",
    "WINDOW": "OVER (...) is not possible: an expression sees one row, or with table.aggregate one group",
    "PARAMETER": "there are no parameters to fill in: write the value",
    "POSITIONAL_REFERENCE": "columns are named, not numbered",
    "DEFAULT": "there is no default value here",
}


class Check:
    """One walk over a parsed expression."""

    def __init__(self, text: str, label: str, names: Sequence[str]) -> None:
        self._text, self._label, self._names = text, label, names
        self._exact = {name: name for name in names}
        self._folded = {name.casefold(): name for name in names}
        self.columns: dict[str, None] = {}
        self.aggregates = False

    def walk(self, tree: Node) -> None:
        """Look at every node; lambdas' parameters are known inside their bodies only."""
        waiting: list[tuple[Node, frozenset[str]]] = [(tree, frozenset())]
        while waiting:
            node, known = waiting.pop()
            skip, inner = self._node(node, known)
            waiting.extend((child, inner) for child in reversed(list(_children(node, skip))))

    def distinct_to_sql(self) -> None:
        """SQL does not tell columns apart by case: two that differ only so cannot be used together."""
        seen: dict[str, str] = {}
        for name in self.columns:
            other = seen.setdefault(name.casefold(), name)
            if other != name:
                raise DataError(
                    f"{self._label} names the columns {other!r} and {name!r}, which SQL cannot tell apart: "
                    "rename one with table.select first"
                )

    def _node(self, node: Node, known: frozenset[str]) -> tuple[set[str], frozenset[str]]:
        """Check one node; which of its parts need no look, and the lambda parameters inside it."""
        kind = node["class"]
        if kind == "COLUMN_REF":
            self._column(node, known)
        elif kind == "FUNCTION":
            self._function(node)
        elif kind == "LAMBDA":
            return {"lhs"}, known | self._parameters(node)
        elif kind == "TYPE":
            self._type(node)
        elif kind == "OPERATOR":
            if node["type"] not in _OPERATORS:
                raise self._error(node, f"{node['type'].lower()} is not possible in an expression")
        elif kind not in _PLAIN:
            raise self._error(node, REFUSED.get(kind, f"{kind.lower()} is not possible in an expression"))
        return set(), known

    def _column(self, node: Node, known: frozenset[str]) -> None:
        name = node["column_names"][0]
        if name.casefold() in known:
            return
        found = self._exact.get(name) or self._folded.get(name.casefold())
        if found is None and name.casefold() in UNSTABLE:
            raise self._error(node, why_not(name))
        if found is None:
            raise self._error(
                node,
                f"there is no column {name!r}{_hint(name, self._names)}; there are {listed(self._names)}",
                column=name,
            )
        self.columns[found] = None

    def _function(self, node: Node) -> None:
        path = node.get("qualified_name", {}).get("path", [])
        name = node["function_name"].casefold()
        if len(path) > 1:
            raise self._error(node, f"call the function by its plain name {path[-1]!r}, with its arguments in brackets")
        if name in AGGREGATES:
            self.aggregates = True
        elif name not in SCALARS:
            raise self._error(node, why_not(name))

    def _type(self, node: Node) -> None:
        if len(node.get("qualified_name", {}).get("path", [])) > 1:
            raise self._error(node, "a type is a plain name, as in CAST(x AS double)")

    def _parameters(self, node: Node) -> frozenset[str]:
        if node.get("syntax_type") != "LAMBDA_KEYWORD" and "query_location" in node["lhs"]:
            raise self._error(node, "'->' is not possible: write `lambda x: ...`, or json_extract(a, '$.b')")
        left = node["lhs"]
        named = [left] if left["class"] == "COLUMN_REF" else [part["expression"] for part in left["arguments"]]
        return frozenset(part["column_names"][0].casefold() for part in named)

    def _place(self, node: Node) -> str:
        at = character(self._text, node["query_location"]) if "query_location" in node else 0
        return f", at character {at}" if at else ""

    def _error(self, node: Node, problem: str, **about: str) -> DataError:
        return DataError(f"{self._label}{self._place(node)}: {problem}", **about)


def _children(node: Node, skip: set[str]) -> Iterator[Node]:
    """The nodes directly below one, in the order of the text."""
    parts: list[Any] = [value for key, value in node.items() if key not in skip]
    while parts:
        part = parts.pop(0)
        if isinstance(part, list):
            parts = part + parts
        elif isinstance(part, dict):
            if "class" in part:
                yield part
            else:
                parts = list(part.values()) + parts


def why_not(name: str) -> str:
    """Why a function of this name cannot be called."""
    if name.casefold() in UNSTABLE:
        return f"{name} is not possible: an expression gives the same result each time; hand the value in as a param"
    if name in MANY_ROWS:
        return f"{name}() is not possible: it changes the number of rows"
    return f"there is no function {name!r} here{_hint(name, SCALARS | AGGREGATES, cutoff=0.75)}"


def _hint(name: str, known: Collection[str], cutoff: float = 0.6) -> str:
    hint = did_you_mean(name, known, cutoff)
    return f" ({hint})" if hint else ""


def character(text: str, position: int) -> int:
    """The character (from 1) at a byte position of the parsed statement."""
    return len(text.encode()[: max(position - len(HEAD), 0)].decode(errors="ignore")) + 1
