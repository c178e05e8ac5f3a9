"""The declaration of an error code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

TYPE_PREFIX = "urn:plugmesh:problem:"
"""Before the code, the `type` of a problem."""


class Place(StrEnum):
    """Where a code appears."""

    ANSWER = "answer"
    """The `code` of a problem: the answer to a request, or the end of a command."""
    FLOW = "flow"
    """The `code` of one of the `problems` of a flow, or of the run's inputs and params."""
    STEP = "step"
    """The `code` of a step's error."""


@dataclass(frozen=True, slots=True)
class Code:
    """One code. It never changes its meaning.

    `status` is the HTTP status of an answer with it. `arguments` are the names and texts of what `args` may hold.
    `places`: a code of an answer may also be that of a step, because a module raised the same error.
    """

    code: str
    title: str
    happened: str
    why: str
    do: str
    status: int | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    places: tuple[Place, ...] = (Place.ANSWER,)
