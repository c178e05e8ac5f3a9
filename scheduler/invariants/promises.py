"""What others know and the tables cannot: receipts that somebody has, faults that explain losses, effects of sinks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import sqlalchemy as sa

from plugmesh.contracts.run import AttemptState
from plugmesh.state import schema
from scheduler.invariants.reading import Snapshot
from scheduler.invariants.violation import Violation

_AT_ONCE = 500


def missing_runs(snapshot: Snapshot, submitted: Iterable[str]) -> Iterator[Violation]:
    """Runs for which somebody has a receipt, and that are not there."""
    wanted = list(submitted)
    run = schema.run
    for at in range(0, len(wanted), _AT_ONCE):
        part = wanted[at : at + _AT_ONCE]
        there = {row[0] for row in snapshot.rows(sa.select(run.c.id).where(run.c.id.in_(part)))}
        for name in part:
            if name not in there:
                yield Violation("submitted", "it was accepted, and is not there", name)


def lost_too_often(snapshot: Snapshot, allowed: int) -> Iterator[Violation]:
    """More attempts were lost than the faults explain (faults x attempts in flight)."""
    attempt = schema.attempt
    query = sa.select(sa.func.count()).where(attempt.c.state == AttemptState.LOST.value)
    lost = int(snapshot.rows(query)[0][0])
    if lost > allowed:
        yield Violation("retries", f"{lost} attempts were lost, the faults explain at most {allowed}")


def repeated_effects(effects: Iterable[str]) -> Iterator[Violation]:
    """Effects of idempotent sinks, by their keys, that were applied more than once."""
    for key, count in Counter(effects).items():
        if count > 1:
            yield Violation("effects", f"the effect {key} was applied {count} times")
