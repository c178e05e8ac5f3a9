"""Plain scalars by the core schema of YAML 1.2.2 (chapter 10.3.2): `yes`, `on` and dates are text."""

from __future__ import annotations

import math
import re

from plugmesh.flows.values import LARGEST_INTEGER, SMALLEST_INTEGER

Scalar = str | int | float | bool | None

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_MAY_BE_NUMBER = frozenset("+-.0123456789")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LONGEST_NUMBER = 400


def resolve_plain(text: str) -> Scalar:
    """The value of an unquoted scalar. Raises `ValueError` for a number that JSON or 64 bits cannot hold."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _MAY_BE_NUMBER:
        return text
    return _number(text)


def join_surrogates(text: str) -> str:
    r"""JSON writes characters beyond U+FFFF as two escapes (`"\ud83d\ude00"`). Raises `ValueError` for half a pair."""
    if text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise ValueError("half a surrogate pair is no character: write both halves, or the character itself") from None


def _number(text: str) -> Scalar:
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a JSON number: infinity and NaN cannot be used")
    for pattern, base in ((_INTEGER, 10), (_OCTAL, 8), (_HEX, 16)):
        if pattern.fullmatch(text):
            return _integer(text, base)
    if not _FLOAT.fullmatch(text):
        return text
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def _integer(text: str, base: int) -> int:
    value = int(text, 0 if base != 10 else 10) if len(text) <= _LONGEST_NUMBER else LARGEST_INTEGER + 1
    if not SMALLEST_INTEGER <= value <= LARGEST_INTEGER:
        raise ValueError(f"the integer {text[:40]} does not fit into 64 bits: put it in quotes if it is text")
    return value
