"""Bringing runs back from SQL into memory, when a scheduler takes over a shard."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from plugmesh.contracts.data import Reference
from plugmesh.contracts.flow import Flow
from plugmesh.contracts.notify import Notify
from plugmesh.contracts.plan import Planned
from plugmesh.contracts.run import STEP_GOOD, Permit, Progress, Rerun, StepError, StepState
from plugmesh.contracts.run import RunState as State
from plugmesh.state.records import StepRow, StoredRun, Unfinished
from scheduler.plan import Plan, compile_plan
from scheduler.runstate import RunState
from scheduler.step import Step

_NOTIFY: TypeAdapter[tuple[Notify, ...]] = TypeAdapter(tuple[Notify, ...])
_REFERENCES: TypeAdapter[dict[str, Reference]] = TypeAdapter(dict[str, Reference])


def restore(
    unfinished: Unfinished,
    plans: Mapping[int, Plan] | None = None,
    unreadable: Callable[[StoredRun, Exception], None] | None = None,
) -> list[RunState]:
    """The runs of a shard as they were at the last commit. `plans` maps known revisions to their plans.

    A run that cannot be read (another version wrote it) goes to `unreadable`; without that its error is raised.
    """
    known, runs = dict(plans or {}), []
    for stored in unfinished.runs:
        try:
            if stored.revision not in known:
                known[stored.revision] = compile_plan(Flow.model_validate_json(unfinished.flows[stored.revision]))
            runs.append(restore_run(stored, known[stored.revision], unfinished.steps[stored.key]))
        except Exception as error:
            if unreadable is None:
                raise
            unreadable(stored, error)
    return runs


def restore_run(stored: StoredRun, plan: Plan, rows: Sequence[StepRow]) -> RunState:
    """One run, from its own row and its steps' rows in any order."""
    run = RunState(
        stored.id,
        stored.shard,
        plan,
        namespace=stored.namespace,
        inputs=_REFERENCES.validate_json(stored.inputs),
        params=json.loads(stored.params),
        deadline=stored.deadline,
        timeout_s=stored.timeout_s or plan.flow.timeout_s,
        priority=stored.priority,
        permit=None if stored.permit is None else Permit.model_validate_json(stored.permit),
        rerun=None if stored.rerun is None else Rerun.model_validate_json(stored.rerun),
        planned=None if stored.planned is None else Planned.model_validate_json(stored.planned),
        notify=() if stored.notify is None else _NOTIFY.validate_json(stored.notify),
        key=stored.key,
        seq=stored.seq,
        submitted_at=stored.submitted_at,
    )
    run.state, run.reason = State(stored.state), stored.reason
    if stored.started_at is not None:
        run.begun(stored.started_at)
    if run.seq:  # else nobody has begun it: the gateway that wrote it left that to the shard's owner
        run.restore_steps([_step(plan, row) for row in rows])
    return run


def _step(plan: Plan, row: StepRow) -> Step:
    name, _, item = row.id.partition(".")
    state = StepState(row.state)
    return Step(
        id=row.id,
        node=plan.by_name[name],
        item=int(item) if item else -1,
        state=state,
        reason=row.reason,
        epoch=row.epoch,
        failures=row.failures,
        losses=row.losses,
        instance=row.instance,
        version=row.version,
        outputs=_outputs(row.outputs) if state in STEP_GOOD else None,
        error=_error(row.error) if state is StepState.FAILED else None,
        ready_at=row.ready_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        wake_at=row.wake_at,
        progress=None if row.progress is None else Progress.model_validate_json(row.progress),
        pieces=None if row.pieces is None else tuple(json.loads(row.pieces)),
    )


def _outputs(text: str | None) -> Any:
    return None if text is None else _REFERENCES.validate_json(text)


def _error(text: str | None) -> StepError | None:
    return None if text is None else StepError.model_validate_json(text)
