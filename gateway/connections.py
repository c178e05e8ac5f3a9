"""All connections of a server: how many there may be, and who is too slow to keep one.

Nothing here is on the way of a request: a connection says in which phase it is and how many bytes came, and `sweep`
looks at all of them once in a while.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from plugmesh.settings.settings import Settings

SWEEP_S = 1.0
"""Longest time between two looks; limits shorter than four of them are looked at more often."""


LINGER_S = 30.0
"""So long a client may send on after its answer. It must, to read it: who closes on what was sent resets instead."""


class Phase(Enum):
    """Where a connection is: nobody asks anything, the head of a request comes, its body, or it is answered; with
    `LINGER` it was answered before its body had come, and the rest is read and thrown away."""

    IDLE = "idle"
    HEAD = "head"
    BODY = "body"
    ANSWER = "answer"
    LINGER = "linger"


class Connection(Protocol):
    """What is known about one connection. `turn` counts its requests, `received` its bytes."""

    address: str
    phase: Phase
    turn: int
    received: int

    @property
    def unread(self) -> bool:
        """It is this side that does not read on."""
        ...

    @property
    def unsent(self) -> bool:
        """The other side takes nothing."""
        ...

    def drop(self, reason: str) -> None:
        """End it, and say why where that can be said."""
        ...


@dataclass(slots=True)
class _Watch:
    """What the last look saw, and since when."""

    phase: Phase
    turn: int
    since: float
    received: int
    heard_at: float
    window_at: float
    window_received: int
    stalled_since: float | None = None


@dataclass(slots=True)
class Connections:
    """The connections of one server. Times come with each call, in seconds."""

    settings: Settings
    links: int = 0
    _watched: dict[Connection, _Watch] = field(default_factory=dict)
    _by_address: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self._watched)

    @property
    def sweep_s(self) -> float:
        """Time until the next look."""
        settings = self.settings
        shortest = min(settings.head_timeout_s, settings.body_silent_s, settings.body_rate_over_s, settings.stall_s)
        return min(SWEEP_S, shortest / 4)

    def opened(self, connection: Connection, now: float) -> bool:
        """A new one; where there are too many, the longest idle one goes. Whether there is room for it even so."""
        self._watched[connection] = _fresh(connection, now)
        self._by_address[connection.address] += 1
        if not self.crowded(connection):
            return True
        idle = self._longest_idle(connection)
        if idle is not None:
            self.closed(idle)
            idle.drop("")
        return not self.crowded(connection)

    def closed(self, connection: Connection) -> None:
        """One ended, or became a link. Harmless when called twice."""
        if self._watched.pop(connection, None) is not None:
            self._by_address[connection.address] -= 1
            if not self._by_address[connection.address]:
                del self._by_address[connection.address]

    def crowded(self, connection: Connection) -> bool:
        """There are more than there may be, in all or from this address."""
        settings = self.settings
        return (
            len(self._watched) > settings.connections
            or self._by_address[connection.address] > settings.connections_per_address
        )

    @property
    def overrun(self) -> bool:
        """So many that not even a process that wants to serve modules is let in."""
        return len(self._watched) > self.settings.connections + self.settings.connections_for_modules

    def link_opened(self, connection: Connection) -> bool:
        """A connection becomes the link of a process that serves modules; whether there is room for one more."""
        if self.links >= self.settings.connections_for_modules:
            return False
        self.closed(connection)
        self.links += 1
        return True

    def link_closed(self) -> None:
        """A link ended."""
        self.links -= 1

    def sweep(self, now: float) -> None:
        """Drop who is too slow."""
        for connection, reason in list(self._slow(now)):
            self.closed(connection)
            connection.drop(reason)

    def _slow(self, now: float) -> Iterator[tuple[Connection, str]]:
        for connection, watch in self._watched.items():
            if (watch.phase, watch.turn) != (connection.phase, connection.turn):
                self._watched[connection] = _fresh(connection, now)
            else:
                reason = self._too_slow(connection, watch, now)
                if reason:
                    yield connection, reason

    def _too_slow(self, connection: Connection, watch: _Watch, now: float) -> str:
        settings = self.settings
        if watch.phase is Phase.HEAD and now - watch.since > settings.head_timeout_s:
            return f"the request's head did not come within {settings.head_timeout_s:g} s"
        if watch.phase is Phase.LINGER and now - watch.since > LINGER_S:
            return f"more of the request's body came for {LINGER_S:g} s after it was answered"
        if watch.phase is Phase.BODY:
            return self._slow_body(connection, watch, now)
        if watch.phase is not Phase.ANSWER or not connection.unsent:
            watch.stalled_since = None
        elif watch.stalled_since is None:
            watch.stalled_since = now
        elif now - watch.stalled_since > settings.stall_s:
            return f"nothing of the answer was taken for {settings.stall_s:g} s"
        return ""

    def _slow_body(self, connection: Connection, watch: _Watch, now: float) -> str:
        settings = self.settings
        if connection.unread:  # the server is the slow one
            watch.heard_at = watch.window_at = now
            watch.window_received = connection.received
        if connection.received != watch.received:
            watch.received, watch.heard_at = connection.received, now
        if now - watch.heard_at > settings.body_silent_s:
            return f"no byte of the request's body came for {settings.body_silent_s:g} s"
        over_s = now - watch.window_at
        if over_s >= settings.body_rate_over_s:
            came = connection.received - watch.window_received
            if came < settings.body_rate_bytes * over_s:
                return f"the request's body came too slowly: {came:,} bytes in {over_s:.0f} s"
            watch.window_at, watch.window_received = now, connection.received
        return ""

    def _longest_idle(self, newcomer: Connection) -> Connection | None:
        """Of this address if that is where too many come from. Who never asked anything goes after who did before."""
        only = None
        if self._by_address[newcomer.address] > self.settings.connections_per_address:
            only = newcomer.address
        silent: Connection | None = None
        found: tuple[float, Connection] | None = None
        for connection, watch in self._watched.items():
            if connection is newcomer or (only is not None and connection.address != only):
                continue
            if connection.phase in {Phase.IDLE, Phase.LINGER}:
                since = (
                    watch.since if watch.phase is connection.phase and watch.turn == connection.turn else float("inf")
                )
                if found is None or since < found[0]:
                    found = since, connection
            elif connection.phase is Phase.HEAD and not connection.received and silent is None:
                silent = connection
        return found[1] if found is not None else silent


def _fresh(connection: Connection, now: float) -> _Watch:
    received = connection.received
    return _Watch(connection.phase, connection.turn, now, received, now, now, received)
