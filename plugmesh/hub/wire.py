r"""What travels between a process and the hub.

A WebSocket frame (binary or text) is one or more lines `verb arg … payload\n`. Arguments hold no spaces; the payload
is last and holds no newline. Whoever reads a line that it does not know ignores it: it comes from a newer minor
version.

From a process to the hub:

- `hello {Hello}` first of all
- `pub <topic> <partition> <seq> <payload>` seq rises; 0 = no acknowledgement wanted
- `sub <id> <topic> <partition,…> <start or ->` answered by `ok <id> <offset>`, the place where it begins;
  a start `~offset` resumes a subscription from now that began there and has committed nothing before it
- `unsub <id>`
- `commit <topic> <partition> <first> <last>` all that these numbers caused is committed
- `end <id> <topic> <partition>` answered by `ok <id> <offset>`
- `reg <id> {Registration}`, `dereg <id> <instance>` answered by `ok <id>`
- `beat {Beat}`
- `watch <id>` answered by `entry` lines and then `ok <id>`; `unwatch <id>`

From the hub to a process:

- `welcome {Welcome}`, or `refuse {Problem}` and the link ends
- `msg <sub id> <topic> <partition> <offset> <payload>`
- `ack <seq>,…` what was published with these numbers can no longer be lost
- `entry <watch id> {Presence}`, `left <watch id> <instance>`
- `ok <id> [value]`, `no <id> {Problem}`
"""

from __future__ import annotations

from plugmesh.contracts.base import Contract, Versioned
from plugmesh.contracts.instance import Registration
from plugmesh.errors import (
    ConfigurationError,
    InvalidMessage,
    LimitExceeded,
    NotReachable,
    PlugmeshError,
    ProtocolMismatch,
    Unauthorized,
)

LINK_PATH = "/api/v1/mesh"
"""Where the gateway serves the hub."""

FRAME_BYTES = 256 * 1024
"""Lines are packed into frames of about this size (one line may be longer by itself)."""

FRAME_LIMIT_BYTES = 4 * 1024 * 1024
"""A frame larger than this ends the link."""


class Hello(Versioned):
    """The first line of a link. `link` stays the same when the process reconnects."""

    link: str


class Welcome(Versioned):
    """The hub's answer. `boot` is new at each start of the hub; the URLs name the drivers to use.
    `objects_marker` is the key of an object by which a process finds out whether it shares the files of `objects`."""

    boot: str
    mesh: str
    objects: str
    objects_marker: str = ""
    bus: str = "embedded://"
    discovery: str = "embedded://"


class Problem(Contract):
    """An error as it crosses the link."""

    code: str
    message: str

    @classmethod
    def of(cls, error: Exception) -> Problem:
        """What the other side may know of `error`."""
        if isinstance(error, PlugmeshError):
            return cls(code=error.code, message=str(error))
        return cls(code=InvalidMessage.code, message=f"the hub cannot read this line: {error}")

    def error(self) -> PlugmeshError:
        """The error, as the class that it was."""
        for kind in (ProtocolMismatch, InvalidMessage, LimitExceeded, Unauthorized, ConfigurationError):
            if kind.code == self.code:
                return kind(self.message)
        return NotReachable(self.message)


class Presence(Contract):
    """A discovery entry as it crosses the link: ages instead of times, since clocks differ."""

    registration: Registration
    age_s: float
    draining: bool = False
    running: int = 0
    held: tuple[str, ...] = ()
    connected: bool | None = None
    gone_age_s: float | None = None


def line(verb: str, *arguments: object) -> bytes:
    """One line. Contracts become JSON."""
    parts = [verb, *(_text(argument) for argument in arguments)]
    return (" ".join(parts) + "\n").encode()


def pub_line(topic: str, partition: int, seq: int, payload: bytes) -> bytes:
    """One `pub` line, without looking into the payload."""
    return b"pub %s %d %d %s\n" % (topic.encode(), partition, seq, payload)


def _text(argument: object) -> str:
    if isinstance(argument, Contract):
        return argument.model_dump_json(exclude_none=True, by_alias=True)
    return str(argument)
