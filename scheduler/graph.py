"""How a change of one step goes on through the graph: what becomes ready, skipped, or the end of the run. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from plugmesh.contracts.data import Reference
from plugmesh.contracts.flow import Source
from plugmesh.contracts.module import REJECTED
from plugmesh.contracts.run import AttemptState, StepError, StepState
from plugmesh.contracts.run import RunState as State
from plugmesh.errors import DataMismatch, FlowInvalid
from plugmesh.flows.feeding import joined_outputs, port_of
from scheduler.changes import AttemptChange, Change, RunChange, StepChange
from scheduler.effects import Convict, Discard, Effect, Ended, Ready
from scheduler.events import AttemptDone, AttemptFailed
from scheduler.plan import PlanNode
from scheduler.runstate import RunState
from scheduler.step import MapState, Step, piece_rows


class Walk:
    """One event's way through a run: what it changes, and what is to be done about it."""

    def __init__(self, run: RunState, at: float) -> None:
        self.run, self.at = run, at
        self.changes: list[Change] = []
        self.effects: list[Effect] = []

    # -- moving ------------------------------------------------------------------------------------------------------

    def change(self, change: Change) -> None:
        self.run.apply(change)
        self.changes.append(change)

    def move(self, step: Step, state: StepState, **fields: Any) -> None:
        """Change a step; counters and the version stay unless named."""
        kept: dict[str, Any] = {"epoch": step.epoch, "failures": step.failures, "losses": step.losses}
        kept["version"] = step.version
        self.change(StepChange(step=step.id, state=state, at=self.at, **{**kept, **fields}))

    def current(self, step_id: str, epoch: int, instance: str | None = None) -> Step | None:
        """The step, if this attempt is its live one."""
        step = self.run.steps.get(step_id)
        if step is None or not step.live or step.epoch != epoch:
            return None
        return step if instance is None or step.instance == instance else None

    def stale(self, event: AttemptDone | AttemptFailed) -> None:
        """Record an outcome that comes too late, unless it repeats the one that was accepted."""
        step = self.run.steps.get(event.step)
        latest = self.run.accepted_epoch(event.step) if step is None else step.epoch
        if event.epoch > latest or (step is None and event.epoch == latest):
            return  # of an attempt that never was, or the accepted one
        told = AttemptChange(event.step, event.epoch, AttemptState.STALE, self.at, event.instance)
        self.change(replace(told, log=event.log, stats=event.stats))
        if isinstance(event, AttemptDone):
            self.effects.append(Discard(event.step, event.epoch, event.outputs))

    def convict(self, step: Step, reason: str, trace: str = "") -> None:
        """An attempt speaks against the version of its module."""
        module = self.run.plan.nodes[step.node].module
        self.effects.append(Convict(step.id, step.epoch, module, step.version or "", reason, trace))

    # -- the graph ---------------------------------------------------------------------------------------------------

    def open_nodes(self) -> None:
        """Open every node that only waited for the run: at its beginning, and after a pause."""
        run = self.run
        for node in run.plan.nodes:
            if run.unmet(node.index) == 0 and run.status(node.index) is StepState.PENDING:
                self.open_node(node)

    def open_node(self, node: PlanNode) -> None:
        """All parents of a node have succeeded."""
        if not self.run.is_mapped(node):
            if self.run.open < self.run.window:
                self.make_ready(node.name)
            else:
                self.run.hold(node)
            return
        try:
            self.run.expand(node.index)
        except FlowInvalid as error:
            self.fail_node(node, StepError(type="FlowInvalid", message=str(error), code="map-invalid"))
            return
        self.fill_window(node)

    def make_ready(self, step_id: str) -> None:
        self.change(StepChange(step=step_id, state=StepState.READY, at=self.at))
        self.effects.append(Ready(self.run.steps[step_id]))

    def fill_window(self, node: PlanNode) -> None:
        """Issue more elements of a mapped node, or end it when there are none left."""
        mapped = self.run.maps[node.index]
        mapped.skip()
        issuing = self.run.state is State.RUNNING and not mapped.failed
        while issuing and not mapped.exhausted and mapped.open < self.run.window:
            self.make_ready(f"{node.name}.{mapped.cursor}")
            mapped.skip()
        paused = self.run.state is State.PAUSED and not mapped.failed and not mapped.exhausted
        if mapped.open or paused:
            return
        if self.run.state is State.CANCELLING:
            self.change(StepChange(step=node.name, state=StepState.CANCELLED, at=self.at, reason="cancelled"))
        elif node.index in self.run.splits:
            self.end_pieces(node, mapped)
        elif mapped.failed:
            message = f"{mapped.failed} of {mapped.total} elements failed"
            self.fail_node(node, StepError(type="MapFailed", message=message, code="map-failed"))
        else:
            reason = f"{mapped.total} elements"
            self.change(StepChange(step=node.name, state=StepState.SUCCEEDED, at=self.at, reason=reason))
            self.open_children(node)

    def end_pieces(self, node: PlanNode, mapped: MapState) -> None:
        """End a node whose pieces have ended: it gives what they gave, in their order, or fails as the first of them did.
        Where they do not fit together it is done once more, whole: as one step it may well succeed."""
        if mapped.failed:
            self.fail_node(node, self._of_piece(node, mapped))
            return
        try:
            outputs = joined_outputs([mapped.outputs[item] for item in sorted(mapped.outputs)])
        except DataMismatch as error:
            if self.run.state is State.RUNNING:
                reason = f"done as one step, for its pieces do not fit together: {error}"
                self.change(StepChange(node.name, StepState.READY, self.at, reason=reason, pieces=()))
                self.effects.append(Ready(self.run.steps[node.name]))
            return
        own = self.run.steps.get(node.name)
        version = None if own is None else own.version
        reason = f"{mapped.total} pieces"
        self.change(
            StepChange(node.name, StepState.SUCCEEDED, self.at, reason=reason, version=version, outputs=outputs)
        )
        self.open_children(node)

    def _of_piece(self, node: PlanNode, mapped: MapState) -> StepError:
        item = mapped.failed_item
        start, rows = piece_rows(self.run.splits[node.index], item)
        error = mapped.error or StepError(type="MapFailed", message="it failed", code="map-failed")
        where = f"piece {node.name}.{item} (rows {start:,} to {start + rows - 1:,})"
        return error.model_copy(update={"message": f"{where}: {error.message}"})

    def issue(self) -> None:
        """Let nodes begin that the window had no room for."""
        while self.run.state is State.RUNNING and (node := self.run.next_held()) is not None:
            self.make_ready(node.name)

    def open_children(self, node: PlanNode) -> None:
        if self.run.state is not State.RUNNING:
            return
        for child in node.children:
            if self.run.unmet(child) == 0 and self.run.status(child) is StepState.PENDING:
                self.open_node(self.run.plan.nodes[child])

    def fail_node(self, node: PlanNode, error: StepError) -> None:
        self.change(StepChange(step=node.name, state=StepState.FAILED, at=self.at, error=error, reason=error.code))
        self.skip_below(node)

    def skip_below(self, node: PlanNode) -> None:
        """Nothing below a failed node can run."""
        waiting = list(node.children)
        while waiting:
            child = self.run.plan.nodes[waiting.pop()]
            if self.run.status(child.index) is StepState.PENDING and child.index not in self.run.maps:
                self.change(StepChange(step=child.name, state=StepState.SKIPPED, at=self.at, reason="upstream_failed"))
                waiting.extend(child.children)

    def step_ended(self, step: Step) -> None:
        """Go on after a step reached a terminal state."""
        node = self.run.plan.nodes[step.node]
        if step.item >= 0:
            self.fill_window(node)
        elif step.state is StepState.SUCCEEDED:
            self.open_children(node)
        elif step.state is StepState.FAILED:
            self.skip_below(node)
        self.issue()

    def finish(self) -> None:
        """End the run when nothing is left to do."""
        run = self.run
        if run.ended or run.unfinished > 0:
            return
        if run.state is State.CANCELLING:
            self.change(RunChange(State.CANCELLED, self.at, reason=run.reason))
        elif run.first_failure is not None:
            self.change(RunChange(State.FAILED, self.at, reason=run.first_failure))
        else:
            self.change(self.success())
        self.effects.append(Ended())

    def success(self) -> RunChange:
        """How a run ends whose steps all succeeded: with its outputs, or failed if one of them is not there."""
        try:
            outputs = {name: shown(self.run, source) for name, source in self.run.plan.flow.outputs.items()}
        except FlowInvalid as error:
            return RunChange(State.FAILED, self.at, reason=str(error))
        return RunChange(State.SUCCEEDED, self.at, outputs=outputs)

    def again(self, step: Step, **fields: Any) -> None:
        """Put a step whose attempt ended without a result back in line, or end it if the run is being cancelled."""
        if self.run.state is State.CANCELLING:
            self.move(step, StepState.CANCELLED, **{**fields, "reason": "cancelled"})
            self.step_ended(step)
            self.finish()
            return
        self.move(step, StepState.READY, **fields)
        self.effects.append(Ready(step))

    def fail_step(self, step: Step, error: StepError, **fields: Any) -> None:
        self.move(step, StepState.FAILED, error=error, reason=error.code, instance=step.instance, **fields)
        self.step_ended(step)
        self.finish()


def shown(run: RunState, source: Source) -> tuple[Reference, ...]:
    """What a flow output shows; empty when the node gave nothing on that port."""
    if source.input is not None:
        return (run.inputs[source.input],) if source.input in run.inputs else ()
    name = source.node or ""
    ports = run.results.get(run.plan.by_name[name], {})
    return port_of(ports, source.port, name) if ports or source.port == REJECTED else ()
