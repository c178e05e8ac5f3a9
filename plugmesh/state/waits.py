"""What the steps of an open run are waiting for."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from plugmesh.contracts.run import StepState
from plugmesh.state.reads import Reader
from plugmesh.state.records import StoredRun
from plugmesh.state.schema import step

_OPEN = tuple(
    state.value
    for state in (StepState.READY, StepState.PARKED, StepState.WAITING, StepState.ASSIGNED, StepState.RUNNING)
)


class Waiting(NamedTuple):
    """So many steps are in one state, for one reason; `step` is one of them, `until` when the first of them goes on by itself."""

    state: str
    reason: str | None
    steps: int
    step: str
    until: float | None


def waiting_steps(reader: Reader, run: StoredRun, *, limit: int) -> list[Waiting]:
    """The largest groups of steps that wait or are at work, however many steps there are."""
    count = sa.func.count()
    query = (
        sa.select(step.c.state, step.c.reason, count, sa.func.min(step.c.id), sa.func.min(step.c.wake_at))
        .where(step.c.run == run.key, step.c.state.in_(_OPEN))
        .group_by(step.c.state, step.c.reason)
        .order_by(count.desc(), sa.func.min(step.c.id))
        .limit(limit)
    )
    return [Waiting(*row) for row in reader.rows(query)]
