"""Who may do what. Every route declares its action and the kind of thing it acts on; nothing is open by omission."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from gateway.errors import Unauthenticated
from plugmesh.contracts.flow import DEFAULT_NAMESPACE
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
    DELETE = "delete"
    VALIDATE = "validate"
    JOIN = "join"
    PING = "ping"
    SIGN_IN = "sign in"


class Kind(StrEnum):
    """What it may be done to."""

    RUN = "run"
    DATA = "data"
    LOG = "log"
    FILE = "file"
    OBJECT = "object"
    FLOW = "flow"
    MODULE = "module"
    INSTANCE = "instance"
    MESH = "mesh"
    HEALTH = "health"
    SETTING = "setting"
    NOTIFICATION = "notification"
    SESSION = "session"


class Scope(StrEnum):
    """How far an actor may go: `LOCAL`, `TOKEN` and `SESSION` (a browser that showed the token) may everything,
    `JOIN` may serve modules, `TICKET` (an executor of a module on another host) may read objects and write those of its
    attempts, `NOBODY` may ask whether the server lives, and sign in."""

    LOCAL = "local"
    TOKEN = "token"  # noqa: S105  a word
    SESSION = "session"
    JOIN = "join"
    TICKET = "ticket"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. The name is what rows say that it was done by; by default the person on this machine."""

    name: str = "local"
    scope: Scope = Scope.LOCAL


NOBODY = Actor("nobody", Scope.NOBODY)


@dataclass(frozen=True, slots=True)
class Resource:
    """What is acted on: one thing of a kind, or (without a name) the kind itself, in a namespace."""

    kind: Kind
    namespace: str = DEFAULT_NAMESPACE
    name: str = ""


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


_EVERYTHING = frozenset({Scope.LOCAL, Scope.TOKEN, Scope.SESSION})
_CHANGES_OBJECTS = frozenset((action, Kind.OBJECT) for action in (Action.READ, Action.WRITE, Action.DELETE))
_PARTLY = {
    Scope.JOIN: _CHANGES_OBJECTS | {(Action.JOIN, Kind.MESH), (Action.LIST, Kind.OBJECT)},
    Scope.TICKET: _CHANGES_OBJECTS,
}
"""What those who may not everything may; which objects is decided where they are (`gateway/objects.py`)."""
_ONLY = {
    Scope.JOIN: "token only lets modules join",
    Scope.TICKET: "only reads objects and writes those of its attempts",
}
_FOR_ALL = frozenset({Action.PING, Action.SIGN_IN})
OPEN_PATHS = frozenset({"/healthz", "/api/v1/session"})
"""Where the routes are that all may use: anywhere else nobody gets further than the guard."""


def authorize(actor: Actor, action: Action, resource: Resource) -> None:
    """Raises `Unauthenticated` for who has not shown a token, `Unauthorized` for who may not do this."""
    if actor.scope in _EVERYTHING or action in _FOR_ALL:
        return
    if actor.scope is Scope.NOBODY:
        raise Unauthenticated(HOW_TO_SHOW)
    if (action, resource.kind) not in _PARTLY.get(actor.scope, ()):
        thing = f"{resource.kind} {resource.name!r}" if resource.name else f"a {resource.kind}"
        raise Unauthorized(f"{actor.name} may not {action} {thing}: a {actor.scope} {_ONLY[actor.scope]}")


HOW_TO_SHOW = (
    "this mesh asks for a token: send `Authorization: Bearer …` with what `plugmesh token show` prints on its machine "
    "(for commands and modules: PLUGMESH_TOKEN, or PLUGMESH_TOKEN_FILE)"
)
