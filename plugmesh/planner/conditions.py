"""The simple conditions that an SQL expression joins by AND. Pure; anything else in it is left to the filter itself.

Only what reads the same whatever DuckDB makes of the rest is taken: with OR at the top, a lambda, a comment or a text of
another kind than 'this', nothing is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import JsonValue

from plugmesh.contracts.plan import Operator, Predicate

_PIECE = re.compile(
    r"""(?P<space>\s+)"""
    r'''|"(?P<quoted>(?:[^"]|"")+)"'''
    r"""|'(?P<text>(?:[^']|'')*)'"""
    r"""|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))"""
    r"""|(?P<word>[^\W\d]\w*(?!['$]))"""
    r"""|(?P<sign><=|>=|<>|!=|==|[<>=](?![<>=!~@*])|[(),-])"""
    r"""|(?P<other>.)""",
    re.DOTALL,
)
_UNSURE = re.compile(r"--|/\*|\$|\\|->|(?<!:):(?!:)|`|\b(?:lambda|case|collate)\b", re.IGNORECASE)
_COMPARED: dict[str, Operator] = {
    "=": "=",
    "==": "=",
    "<>": "!=",
    "!=": "!=",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
}
_TURNED: dict[Operator, Operator] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}
_BEFORE_VALUES = frozenset({*_COMPARED, "(", ","})
_WORDS = frozenset({"and", "or", "not", "is", "null", "in", "between", "true", "false", "like", "as", "xor"})


class _Token(NamedTuple):
    """A piece of an expression: `kind` is `name`, `value`, `word` or `sign`."""

    kind: str
    text: str
    value: JsonValue = None


def conditions_in(expression: str) -> tuple[Predicate, ...]:
    """The conditions on one column each that all rows meet for which `expression` is true; column names as written."""
    if _UNSURE.search(_without_texts(expression)):
        return ()
    tokens = list(_tokens(expression))
    return tuple(_of_all(tokens)) if tokens else ()


def condition_text(one: Predicate) -> str:
    """A condition as SQL says it."""
    name = one.column if re.fullmatch(r"[^\W\d]\w*", one.column) else '"' + one.column.replace('"', '""') + '"'
    if one.op in ("is_null", "not_null"):
        return f"{name} IS {'NOT ' if one.op == 'not_null' else ''}NULL"
    if isinstance(one.value, list):
        return f"{name} IN ({', '.join(map(_constant, one.value))})"
    return f"{name} {one.op} {_constant(one.value)}"


def _constant(value: JsonValue) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def _without_texts(expression: str) -> str:
    return re.sub(r"'(?:[^']|'')*'", "''", expression)


def _tokens(expression: str) -> Iterator[_Token]:
    for match in _PIECE.finditer(expression):
        kind, text = str(match.lastgroup), match.group()
        if kind == "quoted":
            yield _Token("name", match["quoted"].replace('""', '"'))
        elif kind == "text":
            yield _Token("value", text, match["text"].replace("''", "'"))
        elif kind == "number":
            yield _Token("value", text, _number(text))
        elif kind == "word" and text.lower() in ("true", "false"):
            yield _Token("value", text, text.lower() == "true")
        elif kind == "word":
            yield _Token("word" if text.lower() in _WORDS else "name", text)
        elif kind != "space":
            yield _Token("sign" if kind == "sign" else "other", text)


def _number(text: str) -> JsonValue:
    return int(text) if text.isdecimal() else float(text)


def _of_all(tokens: list[_Token]) -> Iterator[Predicate]:
    """The conditions in a part of an expression, and in those that it joins by AND."""
    waiting = [tokens]
    while waiting:
        part = _unwrapped(waiting.pop())
        parts = _split(part)
        if parts is None:
            continue
        if len(parts) > 1:
            waiting.extend(reversed(parts))
        else:
            yield from _simple(part)


def _unwrapped(tokens: list[_Token]) -> list[_Token]:
    """Without brackets around all of it."""
    while len(tokens) > 2 and _is(tokens[0], "(") and _closing(tokens) == len(tokens) - 1:
        tokens = tokens[1:-1]
    return tokens


def _closing(tokens: list[_Token]) -> int:
    """Where the bracket closes that opens `tokens`."""
    depth = 0
    for index, token in enumerate(tokens):
        depth += _is(token, "(") - _is(token, ")")
        if depth == 0:
            return index
    return -1


def _split(tokens: list[_Token]) -> list[list[_Token]] | None:
    """The parts between the ANDs of the top; `None` where there is something that binds less than AND."""
    parts: list[list[_Token]] = [[]]
    depth, between = 0, False
    for token in tokens:
        depth += _is(token, "(") - _is(token, ")")
        word = token.text.lower() if token.kind == "word" and depth == 0 else ""
        if word in ("or", "xor", "as"):
            return None
        if word == "and" and not between:
            parts.append([])
            continue
        between = word == "between" or (between and word != "and")
        parts[-1].append(token)
    return parts if depth == 0 else None


def _simple(tokens: list[_Token]) -> Iterator[Predicate]:
    """What one condition says, if it is of a simple form."""
    tokens = list(_signed(tokens))
    match [(token.kind, token.text.lower()) for token in tokens]:
        case [("name", _), ("sign", sign), ("value", _)] if sign in _COMPARED:
            yield _condition(tokens[0], _COMPARED[sign], tokens[2].value)
        case [("value", _), ("sign", sign), ("name", _)] if sign in _COMPARED:
            yield _condition(tokens[2], _TURNED[_COMPARED[sign]], tokens[0].value)
        case [("name", _), ("word", "is"), ("word", "null")]:
            yield _condition(tokens[0], "is_null")
        case [("name", _), ("word", "is"), ("word", "not"), ("word", "null")]:
            yield _condition(tokens[0], "not_null")
        case [("name", _), ("word", "between"), ("value", _), ("word", "and"), ("value", _)]:
            yield _condition(tokens[0], ">=", tokens[2].value)
            yield _condition(tokens[0], "<=", tokens[4].value)
        case [("name", _), ("word", "in"), ("sign", "("), *_, ("sign", ")")]:
            inside = tokens[3:-1]
            if _is_list(inside):
                yield _condition(tokens[0], "in", [token.value for token in inside[::2]])


def _signed(tokens: list[_Token]) -> Iterator[_Token]:
    """A minus before a number belongs to it where a value begins."""
    waiting = iter(range(len(tokens)))
    for index in waiting:
        token = tokens[index]
        following = tokens[index + 1].value if index + 1 < len(tokens) else None
        begins = index == 0 or tokens[index - 1].kind == "word" or tokens[index - 1].text in _BEFORE_VALUES
        if _is(token, "-") and begins and isinstance(following, int | float) and not isinstance(following, bool):
            next(waiting)
            yield _Token("value", "-", -following)
        else:
            yield token


def _is_list(tokens: list[_Token]) -> bool:
    """Whether these are constants with commas between them."""
    values, commas = tokens[::2], tokens[1::2]
    return bool(len(tokens) % 2) and all(one.kind == "value" for one in values) and all(_is(one, ",") for one in commas)


def _condition(column: _Token, op: Operator, value: Any = None) -> Predicate:
    return Predicate(column=column.text, op=op, value=value)


def _is(token: _Token, sign: str) -> bool:
    return token.kind == "sign" and token.text == sign
