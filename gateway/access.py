"""Who may do what. Every route declares its action and the kind of thing it acts on; nothing is open by omission."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from plugmesh.errors import Unauthorized

_E = TypeVar("_E", bound=Callable[..., Any])
_MARK = "plugmesh_access"


class Action(StrEnum):
    """What may be done."""

    READ = "read"
    LIST = "list"
    SUBMIT = "submit"
    CANCEL = "cancel"
    WRITE = "write"
    VALIDATE = "validate"
    JOIN = "join"


class Kind(StrEnum):
    """What it may be done to."""

    RUN = "run"
    DATA = "data"
    LOG = "log"
    FILE = "file"
    FLOW = "flow"
    MODULE = "module"
    INSTANCE = "instance"
    MESH = "mesh"
    HEALTH = "health"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. `local`: the person (or program) on this machine."""

    name: str = "local"
    local: bool = True


@dataclass(frozen=True, slots=True)
class Access:
    """What a route does: the declaration that `authorize` is asked about."""

    action: Action
    kind: Kind


def access(action: Action, kind: Kind) -> Callable[[_E], _E]:
    """Declare what an endpoint does."""

    def declare(endpoint: _E) -> _E:
        setattr(endpoint, _MARK, Access(action, kind))
        return endpoint

    return declare


def declared(endpoint: Callable[..., Any]) -> Access | None:
    """What an endpoint declares."""
    found = getattr(endpoint, _MARK, None)
    return found if isinstance(found, Access) else None


def authorize(actor: Actor, action: Action, resource: Kind) -> None:
    """Raises `Unauthorized` unless `actor` may. Today the local person may everything, and there is nobody else."""
    if not actor.local:
        raise Unauthorized(f"{actor.name} may not {action} a {resource}: this gateway serves its own machine only")
