"""Who is alive: a pure judgement of beats by a clock that is passed in.

Liveness is a hint for placing new work; work that an instance has is owned by its lease.
"""

from __future__ import annotations

import math
from enum import StrEnum

from plugmesh.discovery.port import Entry, Patience

SUSPECT_S = Patience().suspect_s
"""Silence after which an instance gets no new work, where its entry says nothing else."""
DEAD_S = Patience().dead_s
"""Silence after which it is not expected back, likewise."""
LATE_S = 1.0
"""A judge that did not come round for this long has missed beats, not the instances."""


class Liveness(StrEnum):
    """What an instance may be expected to do."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"


def judge(entry: Entry, now: float, grace_until: float = -math.inf) -> Liveness:
    """Judge one entry at `now` (the watcher's monotonic clock).

    Until `grace_until` nobody is convicted of silence, and whoever is silent then has only just become suspect.
    A closed connection is no silence: it makes suspect at once.
    """
    return _with_connection(entry, _by_silence(entry, now, grace_until))


def _by_silence(entry: Entry, now: float, grace_until: float) -> Liveness:
    patience = entry.patience
    silence = now - max(entry.beat_at, grace_until - patience.suspect_s)
    if silence >= patience.dead_s:
        return Liveness.DEAD
    return Liveness.SUSPECT if silence >= patience.suspect_s else Liveness.ALIVE


def _with_connection(entry: Entry, verdict: Liveness) -> Liveness:
    closed = entry.connected is False
    return Liveness.SUSPECT if closed and verdict is Liveness.ALIVE else verdict


class Punctuality:
    """Notices that the judge itself was stopped or late, and gives everyone a fresh grace then."""

    def __init__(self, now: float) -> None:
        self._last = now
        self.grace_until = -math.inf

    def look(self, now: float) -> float:
        """Call at every judgement, at least twice a second; returns the `grace_until` to judge with."""
        if now - self._last > LATE_S:
            self.grace_until = now + SUSPECT_S
        self._last = now
        return self.grace_until


_WORSE = {Liveness.ALIVE: 0, Liveness.SUSPECT: 1, Liveness.DEAD: 2}


class Case:
    """What is held against one instance between its beats."""

    def __init__(self) -> None:
        self._silence = Liveness.ALIVE
        self._beat_at = -math.inf
        self._accused_at = -math.inf

    def accuse(self, now: float) -> None:
        """Someone else missed an answer: suspect until the next beat."""
        self._accused_at = now

    def judge(self, entry: Entry, now: float, grace_until: float) -> Liveness:
        """`judge`, where a grace acquits nobody who was convicted before it and has not beaten since."""
        silence = _by_silence(entry, now, grace_until)
        if entry.beat_at <= self._beat_at:
            silence = max(silence, self._silence, key=_WORSE.__getitem__)
        self._silence, self._beat_at = silence, entry.beat_at
        verdict = _with_connection(entry, silence)
        accused = self._accused_at >= entry.beat_at
        return Liveness.SUSPECT if accused and verdict is Liveness.ALIVE else verdict
