"""How long it took until a step whose attempt was lost ran again, read from the event rows."""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from plugmesh.contracts.run import StepState
from scheduler.changes import StepChange, read_changes
from tests.chaos.faults import Event
from tests.chaos.plan import Deed, Role

_BEGUN = frozenset({StepState.RUNNING, StepState.SUCCEEDED})
_ENDS = frozenset({Deed.KILL, Deed.STOP, Deed.DRAIN})


@dataclass(frozen=True, slots=True)
class Lost:
    """A lost attempt: when that was noted, who had it, and when the step ran again (Unix time; `None`: it did not)."""

    at: float
    instance: str
    again_at: float | None


def attempts(data: Path) -> dict[str, int]:
    """How many attempts did not become a result, by what became of them."""
    with closing(_open(data)) as connection:
        return Counter(str(state) for (state,) in connection.execute("SELECT state FROM attempt"))


def lost(data: Path) -> list[Lost]:
    """All lost attempts."""
    begun: dict[tuple[int, str], list[tuple[int, float]]] = defaultdict(list)
    with closing(_open(data)) as connection:
        for run, changes in connection.execute("SELECT run, changes FROM event ORDER BY run, seq"):
            for change in read_changes(json.loads(changes)):
                if isinstance(change, StepChange) and change.state in _BEGUN:
                    begun[run, change.step].append((change.epoch, change.at))
        rows = connection.execute("SELECT run, step, epoch, instance, at FROM attempt WHERE state = 'lost'").fetchall()
    return [
        Lost(at, instance or "", min((when for number, when in begun[run, step] if number > epoch), default=None))
        for run, step, epoch, instance, at in rows
    ]


def waits_s(found: Sequence[Lost], timeline: Sequence[Event], pids: Mapping[str, int]) -> list[float]:
    """Seconds from the fault that hit an instance until its lost steps ran elsewhere; those that never ran again, because
    their run was cancelled, are left out. Without a fault of its own, what counts is when the loss was noted."""
    hits: dict[int, list[float]] = defaultdict(list)
    for event in timeline:
        if event.deed in _ENDS:
            for role, pid in zip(event.roles, event.pids, strict=True):
                if role is Role.SUPERVISOR:
                    hits[pid].append(event.wall)
    waits = []
    for one in found:
        if one.again_at is not None:
            times = hits[pids.get(one.instance, 0)]
            place = bisect_right(times, one.at)
            waits.append(one.again_at - (times[place - 1] if place else one.at))
    return waits


def _open(data: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{data / 'state.db'}?mode=ro", uri=True)
