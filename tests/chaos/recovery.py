"""How long it took until a step whose attempt was lost ran again, read from the event rows."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from plugmesh.contracts.run import StepState
from scheduler.changes import StepChange, read_changes
from tests.chaos.plan import LOUD, Deed, Event, Role

_BEGUN = frozenset({StepState.RUNNING, StepState.SUCCEEDED})
SETTLED_S = 5.0
"""Until instances have found a server that was started, or woke; who dies before that is only judged by its lease."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A lost attempt: when that was noted, who had it, and when the step ran again (Unix time; `None`: it did not)."""

    at: float
    instance: str
    again_at: float | None


@dataclass(frozen=True, slots=True)
class Remains:
    """What is left when everybody has ended: what is wrong with it, its size, how many attempts did not become a result, by
    what became of them, and those that were lost."""

    violations: list[str]
    data_bytes: int
    attempts: dict[str, int]
    lost: list[Lost]


def attempts(connection: sa.Connection) -> dict[str, int]:
    """How many attempts did not become a result, by what became of them."""
    return Counter(str(state) for (state,) in connection.execute(sa.text("SELECT state FROM attempt")))


def lost(connection: sa.Connection) -> list[Lost]:
    """All lost attempts."""
    begun: dict[tuple[int, str], list[tuple[int, float]]] = defaultdict(list)
    for run, changes in connection.execute(sa.text("SELECT run, changes FROM event ORDER BY run, seq")):
        for change in read_changes(json.loads(changes)):
            if isinstance(change, StepChange) and change.state in _BEGUN:
                begun[run, change.step].append((change.epoch, change.at))
    rows = connection.execute(sa.text("SELECT run, step, epoch, instance, at FROM attempt WHERE state = 'lost'"))
    return [
        Lost(at, instance or "", min((when for number, when in begun[run, step] if number > epoch), default=None))
        for run, step, epoch, instance, at in rows
    ]


@dataclass(frozen=True, slots=True)
class Wait:
    """How long a lost step waited, in seconds; `None`: it never ran again, because its run was cancelled.

    `deed` is what was done to its instance last, if that is known; else what counts is when the loss was noted. `quiet`:
    nothing happened to servers and their disk meanwhile, nor shortly before.
    """

    seconds: float | None
    deed: Deed | None
    quiet: bool


def waits(found: Sequence[Lost], timeline: Sequence[Event], pids: Mapping[str, int]) -> list[Wait]:
    """From the fault that hit an instance until each of its lost steps ran elsewhere."""
    hits: dict[int, list[Event]] = defaultdict(list)
    for event in timeline:
        for role, pid in zip(event.roles, event.pids, strict=False):
            if role is Role.SUPERVISOR and not event.over:
                hits[pid].append(event)
    loud = [event.wall for event in timeline if LOUD.intersection(event.roles) or event.deed in {Deed.FILL, Deed.SLOW}]
    made = []
    for one in found:
        before = [event for event in hits[pids.get(one.instance, 0)] if event.wall <= one.at]
        since, deed = (before[-1].wall, before[-1].deed) if before else (one.at, None)
        until = one.at if one.again_at is None else one.again_at
        quiet = not any(since - SETTLED_S <= wall <= until for wall in loud)
        made.append(Wait(None if one.again_at is None else max(0.0, one.again_at - since), deed, quiet))
    return made


def lost_by_drains(found: Sequence[Wait]) -> list[str]:
    """Whoever is drained gives back or finishes what it has: a violation, if something was lost all the same."""
    count = sum(wait.quiet and wait.deed is Deed.DRAIN for wait in found)
    return [f"{count} attempts were lost by the drain of their instances"] if count else []
