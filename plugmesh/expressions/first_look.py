"""The first look at an expression, before there is a table: what is wrong whatever the columns are. Pure, and quick.

It refuses less than the real check (`parse`, by DuckDB's own parser) and never more: where it is not sure, it says
nothing. So a misspelt function or a bracket too many is known when a flow is checked, not when its run gets there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from plugmesh.expressions.check import REFUSED, why_not
from plugmesh.expressions.functions import AGGREGATES, SCALARS, words

_PIECE = re.compile(
    r"""(?P<space>\s+)|(?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")|(?P<open_text>['"])"""
    r"""|(?P<number>\d[\w.]*)|(?P<word>[^\W\d]\w*)|(?P<type>::)|(?P<bracket>[()\[\]{}])|(?P<other>.)""",
    re.DOTALL,
)
_UNSURE = re.compile(r"--|/\*|\$|\\|(?<![\w'])[eEbBxXuU]&?'")
"""Comments, other kinds of quotes, escapes: DuckDB knows them, this does not have to."""
_PAIRS = {")": "(", "]": "[", "}": "{"}
_NO_FUNCTIONS = words(
    """
    all and any array as asc at between bigint bit bool boolean both bpchar by case cast char character coalesce collate
    columns date datetime dec decimal desc distinct double else end enum escape except exclude exists extract filter
    first float for from glob group grouping having hugeint if ignore ilike in int integer interval intersect into is
    isnull lambda last leading like limit list local map national nchar none not notnull null nullif nulls numeric
    offset on operator or order out over overlay position precision real replace respect row select setof similar
    smallint some string struct substring symmetric text then time timestamp timestamptz tinyint to trailing treat trim
    try try_cast union unknown using values varchar varying when where window with within without xmlelement zone
    """
)
"""Words that may stand before a bracket without being a function's name."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and at which character (from 1)."""

    at: int
    message: str


def first_look(text: str) -> Fault | None:
    """The first thing that is wrong with an expression whatever its table is, or `None`."""
    if not text.strip():
        return Fault(1, "it is empty")
    if _UNSURE.search(text):
        return None
    open_brackets: list[tuple[str, int]] = []
    before: tuple[str, str] = ("", "")
    for match in _PIECE.finditer(text):
        kind, piece = str(match.lastgroup), match.group()
        if kind == "space":
            continue
        fault = _quote_or_end(kind, piece, match) or _bracket(kind, piece, match, open_brackets, before)
        if fault is not None:
            return fault
        before = _before(before, kind, piece)
    if open_brackets:
        bracket, at = open_brackets[-1]
        return Fault(at, f"this {bracket!r} is not closed")
    return None


def _quote_or_end(kind: str, piece: str, match: re.Match[str]) -> Fault | None:
    if kind == "open_text":
        return Fault(match.start() + 1, f"the text that begins with this {piece} does not end")
    if piece == ";":
        return Fault(match.start() + 1, "there is one expression, without ';'")
    return None


def _bracket(
    kind: str, piece: str, match: re.Match[str], open_brackets: list[tuple[str, int]], before: tuple[str, str]
) -> Fault | None:
    at = match.start() + 1
    if kind == "word" and piece.lower() == "select" and before[1] == "(":
        return Fault(at, REFUSED["SUBQUERY"])
    if kind != "bracket":
        return None
    if piece not in _PAIRS:
        open_brackets.append((piece, at))
        return _call(match.string, at, *before) if piece == "(" else None
    if not open_brackets:
        return Fault(at, f"this {piece!r} closes nothing")
    opened, _ = open_brackets.pop()
    return None if opened == _PAIRS[piece] else Fault(at, f"this {piece!r} cannot close the {opened!r} before it")


def _call(text: str, at: int, kind: str, piece: str) -> Fault | None:
    """The function that is called by the bracket at `at`."""
    name = piece.lower()
    if kind != "word" or name in SCALARS or name in AGGREGATES or name in _NO_FUNCTIONS:
        return None
    return Fault(text.rindex(piece, 0, at) + 1, why_not(name))


def _before(before: tuple[str, str], kind: str, piece: str) -> tuple[str, str]:
    """What the next piece follows: a word behind `::`, `as` or a dot is no plain function's name."""
    no_function = (
        before[0] == "type" or before[1].lower() in {"as", "."} or (before[0] == "no function" and kind == "word")
    )
    return ("no function" if kind == "word" and no_function else kind), piece
