"""SQL expressions from people: parsed by DuckDB itself, then checked piece by piece, before anything is evaluated.

What is accepted is one expression over the columns of one input, made of columns, constants, operators, casts, CASE,
lambdas and the functions of `functions.py`. Everything else (a subquery, a star, a window, a parameter, a second
statement) is a `DataError` that names the expression and the place. Only the columns that it names are handed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plugmesh.errors import DataError
from plugmesh.expressions.check import HEAD, Check, Node, character
from plugmesh.expressions.database import MAX_DEPTH, evaluation

if TYPE_CHECKING:
    import duckdb

MAX_LENGTH = 10_000
"""Characters in an expression."""

_TAIL = "\n AS x"  # the tail makes the parser refuse whatever is not one complete expression
_SERIALIZE = "SELECT json_serialize_sql(?::VARCHAR, skip_default := true, skip_empty := true, skip_null := true)"
_SELECT_KEYS = {"type", "cte_map", "select_list", "from_table", "aggregate_handling"}
_MORE = "it is more than one expression (no comma, AS, FROM, WHERE or second statement is possible)"


@dataclass(frozen=True, slots=True)
class Parsed:
    """An expression that may be evaluated. `columns` are the input's columns that it names, in order of appearance;
    `aggregates` says that it works on many rows. `label` is how messages call it."""

    text: str
    label: str
    columns: tuple[str, ...]
    aggregates: bool


def parse(text: str, param: str, names: Sequence[str]) -> Parsed:
    """Check an expression over columns called `names`. Raises `DataError`."""
    label = f"{param}: the expression {_short(text)!r}"
    tree = _tree(text, label, names)
    check = Check(text, label, names)
    check.walk(tree)
    check.distinct_to_sql()
    return Parsed(text, label, tuple(check.columns), check.aggregates)


def parse_scalar(text: str, param: str, names: Sequence[str]) -> Parsed:
    """Check an expression of one row. Raises `DataError`."""
    parsed = parse(text, param, names)
    if parsed.aggregates:
        raise DataError(f"{parsed.label} aggregates many rows, which only the measures of table.aggregate can")
    return parsed


def parse_aggregate(text: str, param: str, names: Sequence[str]) -> Parsed:
    """Check an expression of many rows. Raises `DataError`."""
    parsed = parse(text, param, names)
    if not parsed.aggregates:
        raise DataError(f"{parsed.label} has no aggregate function: write, for example, count(*), sum(x) or avg(x)")
    return parsed


def sql_expression(parsed: Parsed) -> duckdb.Expression:
    """The expression as DuckDB takes it: an object of its expression API, never a part of a statement's text."""
    import duckdb

    return duckdb.SQLExpression(parsed.text)


def _tree(text: str, label: str, names: Sequence[str]) -> Node:
    """DuckDB's own parse of the expression."""
    _check_text(text, label)
    answer = _serialized(HEAD + text + _TAIL, label)
    if answer["error"]:
        raise DataError(f"{label} cannot be read: {_syntax(text, answer, label, names)}")
    statements = answer["statements"]
    node = statements[0]["node"]
    single = len(statements) == 1 and len(node.get("select_list", ())) == 1
    if not single or set(node) - _SELECT_KEYS or node["from_table"]["type"] != "EMPTY" or node["cte_map"]:
        raise DataError(f"{label} cannot be read: {_MORE}")
    tree: Node = node["select_list"][0]
    return tree


def _check_text(text: str, label: str) -> None:
    """Refuse what the parser should not see."""
    if len(text) > MAX_LENGTH:
        raise DataError(f"{label} has {len(text):,} characters; at most {MAX_LENGTH:,} are possible")
    if any((char < " " and char not in "\t\n\r") or "\ud800" <= char <= "\udfff" for char in text):
        raise DataError(f"{label} holds control characters, or halves of characters")
    if _deepest(text) > MAX_DEPTH:  # the parser's time grows with the square of the brackets left open
        raise DataError(f"{label} is nested deeper than {MAX_DEPTH} brackets")


def _serialized(statement: str, label: str) -> Node:
    with evaluation(label) as connection:
        [[answer]] = connection.execute(_SERIALIZE, [statement]).fetchall()
    tree: Node = json.loads(answer)
    return tree


def _syntax(text: str, answer: Node, label: str, names: Sequence[str]) -> str:
    """What is wrong with a text that cannot be parsed."""
    message = str(answer["error_message"]).partition(" comment at or near")[0]
    if "depth limit" in message:
        return f"it is nested deeper than {MAX_DEPTH}"
    at = character(text, int(answer.get("position", len(HEAD))))
    rest = text.strip()
    if not rest:
        return "it is empty"
    if at <= len(text.rstrip()):
        return f"{message}, at character {at} ({_excerpt(text, at)!r}){_quote_hint(text, at, names)}"
    if rest.endswith((";", ",")):
        return f"it ends with {rest[-1]!r}"
    if not _serialized(HEAD + text, label)["error"]:
        return _MORE
    return "it is not one complete expression: the ';' is too much" if ";" in rest else "it ends too early"


def _quote_hint(text: str, at: int, names: Sequence[str]) -> str:
    """A column may be called as a word of SQL is."""
    end = re.match(r"\w*", text[at - 1 :])
    nearby = re.findall(r"\w+", text[: at - 1 + (end.end() if end else 0)])[-2:]
    found = next((name for name in names if name.casefold() in {word.casefold() for word in nearby}), None)
    return f': if {found} is meant as a column, write "{found}" in double quotes' if found else ""


def _deepest(text: str) -> int:
    """How many brackets are open at once, at most (brackets in quotes count: it is a bound)."""
    depth = deepest = 0
    for char in text:
        if char in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in ")]}":
            depth -= 1
    return deepest


def _excerpt(text: str, at: int) -> str:
    start = max(at - 1 - 15, 0)
    return ("…" if start else "") + text[start : at + 15] + ("…" if at + 15 < len(text) else "")


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:197] + "…"
