"""`${…}`, the only substitution syntax: a name and a path, nothing that is evaluated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from plugmesh.flows.places import KeyPath
from plugmesh.flows.problem import did_you_mean

Root = Literal["inputs", "params", "item", "index"]

_TOKEN = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_EXPRESSION = re.compile(r"(inputs|params|item|index)((?:\.[A-Za-z0-9_-]+)*)")
_FORMS = "${inputs.NAME}, ${params.NAME}, ${params.NAME.key}, ${item}, ${item.key} and ${index}"


class BadExpression(ValueError):
    """A text that is no expression; `hint` says what was probably meant."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Expression:
    """`name` is the input or param (empty for `item` and `index`); `path` leads into its value."""

    text: str
    root: Root
    name: str = ""
    path: tuple[str, ...] = ()


Template = tuple[str | Expression, ...]


def has_expression(text: str) -> bool:
    """Whether `text` has to be filled (an escaped `$${` too)."""
    return "${" in text


def parse_template(text: str) -> Template:
    """The literal texts and expressions in `text`, in order; empty texts left out. Raises `BadExpression`."""
    parts: list[str | Expression] = []
    literal, position = "", 0
    for token in _TOKEN.finditer(text):
        literal += text[position : token.start()]
        position = token.end()
        if token.group() == "$${":
            literal += "${"
            continue
        if token.group(1) is None:
            raise BadExpression("'${' is not closed by '}'", "write $${ for the two characters themselves")
        if literal:
            parts.append(literal)
        parts.append(_parse_expression(token.group(1)))
        literal = ""
    literal += text[position:]
    if literal:
        parts.append(literal)
    return tuple(parts)


def whole_expression(text: str) -> Expression | None:
    """The expression that `text` consists of, or `None`. Raises `BadExpression`."""
    parts = parse_template(text) if has_expression(text) else ()
    return parts[0] if len(parts) == 1 and isinstance(parts[0], Expression) else None


def texts_to_fill(value: Any) -> Iterator[tuple[KeyPath, str]]:
    """Every text in `value` that has an expression, with its path, in the order of the document."""
    pending: list[tuple[KeyPath, Any]] = [((), value)]
    while pending:
        path, found = pending.pop()
        if isinstance(found, str):
            if has_expression(found):
                yield path, found
        elif isinstance(found, dict):
            pending.extend(((*path, key), below) for key, below in reversed(found.items()))
        elif isinstance(found, list):
            pending.extend(((*path, index), found[index]) for index in reversed(range(len(found))))


def _parse_expression(inside: str) -> Expression:
    text = "${" + inside + "}"
    match = _EXPRESSION.fullmatch(inside.strip())
    if match is None:
        root = inside.strip().partition(".")[0]
        hint = did_you_mean(root, ("inputs", "params", "item", "index"))
        raise BadExpression(f"{text[:100]} is no expression: there are {_FORMS}", hint)
    root, path = match.group(1), tuple(match.group(2).split(".")[1:])
    if root == "index" and path:
        raise BadExpression(f"{text[:100]}: ${{index}} is a number, there is nothing inside it")
    if root == "inputs" and len(path) != 1:
        raise BadExpression(f"{text[:100]}: an input is used whole, as ${{inputs.NAME}}")
    if root == "params" and not path:
        raise BadExpression(f"{text[:100]} lacks a name: ${{params.NAME}}")
    if root in {"inputs", "params"}:
        return Expression(text, "inputs" if root == "inputs" else "params", path[0], path[1:])
    return Expression(text, "item" if root == "item" else "index", "", path)
