"""Which columns an SQL expression may name: by its words, without DuckDB. Pure.

It is an over-approximation: functions, types and words of SQL count too. What it gives contains every column that the
expression can read; it may contain more. DuckDB compares names without regard to case: whoever compares uses `chosen`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

_TOKEN = re.compile(
    r"""--[^\r\n]*"""
    r"""|/\*"""
    r'''|"(?P<quoted>(?:[^"]|"")*)"'''
    r"""|`(?P<ticked>(?:[^`]|``)*)`"""
    r"""|[eE]'(?:[^'\\]|''|\\.)*'"""
    r"""|'(?:[^']|'')*'"""
    r"""|\$(?P<tag>[^\W\d]\w*|)\$"""
    r"""|(?P<word>[^\W\d][\w$]*)""",
    re.DOTALL,
)
_COMMENT = re.compile(r"/\*|\*/")


def names_in(expression: str) -> frozenset[str]:
    """Every name in `expression` that can be a column's, as it is written, without its quotes.

    What stands in comments and in text literals is no name.
    """
    names: set[str] = set()
    position = 0
    while (token := _TOKEN.search(expression, position)) is not None:
        position = _end(expression, token)
        if token["word"] is not None:
            names.add(token["word"])
        elif token["quoted"] is not None:
            names.add(token["quoted"].replace('""', '"'))
        elif token["ticked"] is not None:
            names.add(token["ticked"].replace("``", "`"))
    return frozenset(names)


def chosen(names: Iterable[str], wanted: Collection[str] | None) -> list[str]:
    """Those of `names` that are in `wanted`, whatever the case, in their order; all of them where `wanted` is `None`.

    What is wanted and not among `names` is a word of an expression, or a column that somebody else makes.
    """
    if wanted is None:
        return list(names)
    folded = {name.casefold() for name in wanted}
    return [name for name in names if name.casefold() in folded]


def _end(text: str, token: re.Match[str]) -> int:
    """Where a token ends: comments may hold comments, and a text between `$tag$` ends with the same tag."""
    if token.group() == "/*":
        return _end_of_comment(text, token.end())
    if token["tag"] is not None:
        closing = text.find(token.group(), token.end())
        return token.end() if closing < 0 else closing + len(token.group())
    return token.end()


def _end_of_comment(text: str, start: int) -> int:
    depth = 1
    for mark in _COMMENT.finditer(text, start):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)
