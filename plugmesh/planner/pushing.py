"""Which conditions of filters can be told to the source of the rows. Pure.

A module says with the trait `filters` by which param it keeps rows. If everything that reads an output is such a filter,
the rows that all of them drop need not come out at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from plugmesh.contracts.plan import Predicate
from plugmesh.planner.conditions import conditions_in
from plugmesh.planner.flow_plan import Schema
from plugmesh.planner.kinds import is_naive_moment, is_text, is_whole
from plugmesh.planner.place import Place

MOST = 50
"""Conditions that are told to a source; with more of them, those beyond are left to the filter."""

_INT64 = 2**63
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d(?:\.\d{1,6})?)?")
_EXACT_WITH_NAN = frozenset({"<", "<=", "="})
"""SQL takes NaN for the largest number, so that it is kept by the others."""


def pushed(consumers: Iterable[Place | None], schema: Schema) -> tuple[Predicate, ...]:
    """What every row must meet that one of the consumers of an output lets through; `None` is one that is no filter.

    Names are those of `schema`, the columns of the output.
    """
    common: list[Predicate] | None = None
    for place in consumers:
        found = [] if place is None else kept_by(place, schema)
        common = found if common is None else [one for one in common if one in found]
    return tuple((common or [])[:MOST])


def kept_by(place: Place, schema: Schema) -> list[Predicate]:
    """The conditions that a filter puts on the rows of its input, in the flow's names; those of filters behind it, too."""
    param = place.contract.traits.filters
    if param is None or place.node.map is not None or len(place.connected()) != 1:
        return []
    text = place.rules.naming.value(param, place.rules.params)
    conditions = conditions_in(text) if isinstance(text, str) else ()
    own = [one for one in (_exact(condition, schema, place.node.bind) for condition in conditions) if one is not None]
    return [*own, *(one for one in _behind(place) if one not in own and one.column in schema)]


def _behind(place: Place) -> Iterator[Predicate]:
    """What holds for all that is used of a filter's only output, on columns that it passes on as they are."""
    outputs = place.tables()
    if len(outputs) == 1 and outputs[0].passes is not None:
        made = place.rules.own_names(outputs[0])
        yield from (one for one in place.filters.get(outputs[0].name, ()) if one.column not in made)


def _exact(predicate: Predicate, schema: Schema, bind: Mapping[str, str]) -> Predicate | None:
    """The condition with the name that its column has in the flow; `None` if it could mean something else elsewhere."""
    bound = [theirs for ours, theirs in bind.items() if ours.casefold() == predicate.column.casefold()]
    name = bound[0] if bound else predicate.column
    if len(bound) > 1:
        return None
    found = [column for column in schema if column.casefold() == name.casefold()]
    if len(found) != 1:
        return None
    kind = schema[found[0]]
    values = predicate.value if isinstance(predicate.value, list) else [predicate.value]
    if predicate.op not in ("is_null", "not_null") and not all(_fits(value, kind, predicate.op) for value in values):
        return None
    return predicate.model_copy(update={"column": found[0]})


def _fits(value: Any, kind: str, op: str) -> bool:
    """Whether SQL compares a column of this type with the constant as everybody does."""
    if isinstance(value, bool):
        return kind == "bool"
    if isinstance(value, int) and is_whole(kind):
        return -_INT64 <= value < _INT64
    if isinstance(value, int | float) and kind == "float64":
        return op in _EXACT_WITH_NAN and abs(value) < 2**53
    if isinstance(value, str) and is_naive_moment(kind):
        return (_DATE if kind == "date32" else _MOMENT).fullmatch(value) is not None
    return isinstance(value, str) and is_text(kind)
