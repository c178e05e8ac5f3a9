"""Names of types, compared without Arrow: only what is certain is said. Pure."""

from __future__ import annotations

import re

from plugmesh.data.type_words import ALIASES, SIMPLE
from plugmesh.data.types import ANY

_TEXT = frozenset({"string", "large_string", "string_view"})
_BYTES = frozenset({"binary", "large_binary", "binary_view"})
_PLAIN = re.compile(r"(?:timestamp|time32|time64|duration|fixed_size_binary)\[[^\[\]<>]*\]")
_DICTIONARY = re.compile(r"dictionary<values=(\w+), indices=\w+(, ordered)?>")


def certainly_differ(expected: str, found: str) -> bool:
    """True if a column of type `found` can certainly not stand where `expected` is declared; `accepts` is the real check."""
    expected, found = _plain(expected), _plain(found)
    if ANY in (expected, found) or expected == found:
        return False
    values = _DICTIONARY.fullmatch(found)
    if values is not None:
        found = _plain(values[1])
        if not _is_known(expected):
            return False  # a dictionary with other indices, or one that is ordered
        return _is_known(found) and not _same_layouts(expected, found)
    return _is_known(expected) and _is_known(found) and not _same_layouts(expected, found)


def is_text(kind: str) -> bool:
    """Whether a type holds text, in whatever layout."""
    values = _DICTIONARY.fullmatch(_plain(kind))
    return _plain(values[1] if values else kind) in _TEXT


def is_whole(kind: str) -> bool:
    """Whether a type holds whole numbers."""
    return re.fullmatch(r"u?int(8|16|32|64)", _plain(kind)) is not None


def is_naive_moment(kind: str) -> bool:
    """Whether a type holds dates, or times of a day without a zone."""
    kind = _plain(kind)
    return kind == "date32" or (kind.startswith("timestamp[") and "tz=" not in kind)


def _same_layouts(one: str, other: str) -> bool:
    return {one, other} <= _TEXT or {one, other} <= _BYTES


def _is_known(kind: str) -> bool:
    return kind in SIMPLE or _PLAIN.fullmatch(kind) is not None


def _plain(kind: str) -> str:
    kind = kind.strip()
    return ALIASES.get(kind, kind)
