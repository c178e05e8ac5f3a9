"""Columns that a request names, against those that there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.errors import RequestInvalid
from plugmesh.data.schema import cut, listed
from plugmesh.flows.problem import did_you_mean


def check_names(where: str, names: Iterable[str], known: Sequence[str]) -> None:
    """Raises `RequestInvalid`, with the nearest name, for the first of `names` that is unknown or there twice."""
    there = set(known)
    seen: set[str] = set()
    for name in names:
        if name not in there:
            hint = did_you_mean(name, known) or f"there are {listed(known)}"
            raise RequestInvalid(f"{where}: there is no column {cut(name)!r} ({hint})")
        if name in seen:
            raise RequestInvalid(f"{where}: the column {cut(name)!r} is named twice")
        seen.add(name)
