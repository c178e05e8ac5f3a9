"""The spans of a run, made of the changes that were committed: one for each attempt when it is over, and one for the run.

Ids are made from run, step and epoch (`plugmesh/telemetry/ids.py`), so that a run whose scheduler is another one by now
stays one trace. Only when an attempt began is kept here; of one that another scheduler sent out, the step knows it nearly.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from plugmesh.contracts.run import (
    RUN_TERMINAL,
    STEP_GOOD,
    STEP_TERMINAL,
    AttemptState,
    StepState,
)
from plugmesh.contracts.run import (
    RunState as State,
)
from plugmesh.hidden_text import hidden_in
from plugmesh.telemetry.ids import attempt_span, root_of, trace_of
from plugmesh.telemetry.off import OFF
from plugmesh.telemetry.port import Telemetry
from plugmesh.telemetry.span import MOST_TEXT, Link, Span, nanoseconds
from scheduler.changes import AttemptChange, Change, RunChange, StepChange
from scheduler.runstate import RunState

_log = logging.getLogger(__name__)
_BAD_RUNS = frozenset({State.FAILED, State.TIMED_OUT})
_NO_FAULT = frozenset({"succeeded", "cancelled", "skipped"})
NO_ATTEMPT = 0
"""The number of the attempt in the span of a step that failed without one: nobody served its module, say."""
_SPARE = 256
"""So many runs that are no longer here may be remembered before they are forgotten."""


class Tracing:
    """Of one scheduler. `runs` are those in its memory, by id."""

    def __init__(self, telemetry: Telemetry = OFF, runs: Collection[str] = ()) -> None:
        self._telemetry, self._runs = telemetry, runs
        self._begun: dict[str, dict[str, float]] = {}
        """By run and step, when the attempt that is out was sent."""

    def is_traced(self, run: str) -> bool:
        """Whether spans of this run are wanted."""
        return self._telemetry.on and self._telemetry.wants(trace_of(run))

    def committed(self, changed: Iterable[tuple[RunState, Sequence[Change]]]) -> None:
        """These changes are in the database."""
        for run, changes in changed:
            if run.traced:
                try:
                    self._tell(run, changes)
                except Exception:  # noqa: BLE001  what is told of a run must not hurt it
                    _log.exception("spans of run %s are missing", run.id)
        if len(self._begun) > len(self._runs) + _SPARE:  # shards went to other schedulers
            self._begun = {run: begun for run, begun in self._begun.items() if run in self._runs}

    def _tell(self, run: RunState, changes: Sequence[Change]) -> None:
        told: set[str] = set()
        for change in changes:
            match change:
                case StepChange():
                    self._step(run, change, told)
                case AttemptChange() if change.state is not AttemptState.STALE:  # it was told as lost
                    told.add(change.step)
                    self._over(run, change, change.state.value)
                case RunChange() if change.state in RUN_TERMINAL:
                    self._run(run, change)

    def _step(self, run: RunState, change: StepChange, told: Collection[str]) -> None:
        """`told`: steps whose attempt has ended without becoming their result, in the same commit."""
        if change.state is StepState.ASSIGNED:
            self._begun.setdefault(run.id, {})[change.step] = change.at
        elif change.state not in STEP_TERMINAL or change.state is StepState.RECOVERED:
            return
        elif change.step in self._begun.get(run.id, ()) or (change.instance is not None and change.step not in told):
            self._over(run, change, "succeeded" if change.state in STEP_GOOD else change.state.value)
        elif change.state is StepState.FAILED and change.step not in told:
            self._over(run, change, "failed", epoch=NO_ATTEMPT)

    def _begin(self, run: RunState, step_id: str, at: float, wall_s: float | None) -> float:
        begun = self._begun.get(run.id, {}).pop(step_id, None)
        if begun is not None:
            return begun
        if wall_s is not None:
            return at - wall_s
        step = run.steps.get(step_id)
        known = None if step is None else step.started_at or step.ready_at
        return at if known is None else min(known, at)

    def _over(self, run: RunState, change: StepChange | AttemptChange, outcome: str, epoch: int | None = None) -> None:
        epoch = change.epoch if epoch is None else epoch
        node, error = run.node_of(change.step), change.error
        begun = self._begin(run, change.step, change.at, None if change.stats is None else change.stats.wall_s)
        failed = None
        if outcome not in _NO_FAULT:
            failed = _short(change.reason or outcome if error is None else error.message)
        attributes: dict[str, Any] = {
            **_of_run(run),
            "plugmesh.step": change.step,
            "plugmesh.attempt": epoch,
            "plugmesh.module": node.module,
            "plugmesh.outcome": outcome,
        }
        if change.instance:
            attributes["plugmesh.instance"] = change.instance
        if isinstance(change, StepChange) and change.version:
            attributes["plugmesh.module.version"] = change.version
        if failed is not None:
            attributes["error.type"] = outcome if error is None else error.code
        if error is not None:
            attributes["plugmesh.error.class"] = error.error_class.value
        self._telemetry.export(
            Span(
                "scheduler",
                f"step {node.name}",
                trace_of(run.id),
                attempt_span(run.id, change.step, epoch),
                nanoseconds(begun),
                nanoseconds(change.at),
                parent=root_of(run.id),
                kind="client",
                attributes=attributes,
                error=failed,
            )
        )

    def _run(self, run: RunState, change: RunChange) -> None:
        self._begun.pop(run.id, None)
        bad = change.state in _BAD_RUNS
        attributes: dict[str, Any] = {**_of_run(run), "plugmesh.outcome": change.state.value}
        if bad:
            attributes["error.type"] = change.state.value
        if run.rerun is not None:
            attributes["plugmesh.origin"] = run.rerun.origin
        self._telemetry.export(
            Span(
                "scheduler",
                f"run {run.plan.flow.name}",
                trace_of(run.id),
                root_of(run.id),
                nanoseconds(run.submitted_at or run.started_at or change.at),
                nanoseconds(change.at),
                attributes=attributes,
                links=() if run.rerun is None else (_link(run.rerun.origin),),
                error=_short(change.reason or run.first_failure or change.state.value) if bad else None,
            )
        )


def _of_run(run: RunState) -> dict[str, Any]:
    return {"plugmesh.run": run.id, "plugmesh.flow": run.plan.flow.name, "plugmesh.namespace": run.namespace}


def _link(run: str) -> Link:
    return Link(trace_of(run), root_of(run))


def _short(text: str) -> str:
    return hidden_in(text)[:MOST_TEXT]
