"""What a run has to hold before it begins, if its flow says how many may be under way at a time. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from pydantic import JsonValue

from plugmesh.contracts.flow import Flow
from plugmesh.contracts.run import Permit
from plugmesh.flows.substitute import Scope, fill_key

_LONGEST = 500
"""Characters of a permit's name."""


def permit_of(flow: Flow, params: Mapping[str, JsonValue]) -> Permit | None:
    """The permit that a run of `flow` with these `params` needs; `None` if the flow limits nothing.

    Its name is that of the flow, with the key behind it, and is unique within a namespace. Raises `FlowInvalid` when
    the key refers to something that is not in the params.
    """
    limits = flow.concurrency
    if limits is None:
        return None
    key = fill_key(limits.key, Scope(params=params)) if limits.key is not None else None
    name = flow.name if key is None else f"{flow.name}:{key}"
    return Permit(name=_short(flow.name, name), limit=limits.limit, when_full=limits.when_full)


def _short(flow: str, name: str) -> str:
    """The name itself, or a hash of it where it is too long, or of characters that a database might not tell apart."""
    if len(name) <= _LONGEST and name.isprintable() and name == name.strip():
        return name
    return f"{flow}:sha256:{hashlib.sha256(name.encode()).hexdigest()}"
