"""One active run in its owner's memory, and the only function that changes it: `RunState.apply`."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any

from plugmesh.contracts.data import Reference
from plugmesh.contracts.notify import Notify
from plugmesh.contracts.plan import Planned
from plugmesh.contracts.run import (
    RUN_NEXT,
    RUN_TERMINAL,
    STEP_GOOD,
    STEP_NEXT,
    STEP_TERMINAL,
    Permit,
    Rerun,
    StepState,
)
from plugmesh.contracts.run import (
    RunState as State,
)
from plugmesh.flows.feeding import ports_of_elements
from plugmesh.flows.substitute import Scope, fill_map, scope_of
from registry.versions import precedence
from scheduler.changes import AttemptChange, Change, ProgressChange, RunChange, StepChange
from scheduler.plan import Plan, PlanNode
from scheduler.step import MapState, Step, piece_rows

_STATES = tuple(StepState)
_CODES = {state: code for code, state in enumerate(_STATES)}
_PENDING = _CODES[StepState.PENDING]
_FIRST_EPOCH = 1

LEAST_WINDOW = 256
"""So many steps of a run (and of each mapped node) are issued at a time, or more where there are more places to work in.
The rest costs a number each, so that a million steps can wait."""

Ports = dict[str, tuple[Reference, ...]]
"""Outputs of a node: one reference a port, or one for each element of a mapped node."""


class InvalidTransition(Exception):
    """A change that the state machine forbids: a bug in the walk, never the user's fault."""


class RunState:
    """State of one run. `deadline` is the Unix time at which it times out; its `timeout_s` counts from its beginning.

    `touched` has the steps changed since the last commit, `changes` what changed them.
    """

    def __init__(
        self,
        run: str,
        shard: int,
        plan: Plan,
        *,
        namespace: str = "default",
        inputs: Mapping[str, Reference] | None = None,
        params: Mapping[str, Any] | None = None,
        deadline: float | None = None,
        timeout_s: float | None = None,
        priority: int = 0,
        permit: Permit | None = None,
        rerun: Rerun | None = None,
        planned: Planned | None = None,
        notify: Sequence[Notify] = (),
        key: int = 0,
        seq: int = 0,
        submitted_at: float | None = None,
    ) -> None:
        self.id, self.shard, self.plan, self.namespace = run, shard, plan, namespace
        self.key, self.seq, self.submitted_at = key, seq, submitted_at
        self.traced = False
        self.deadline, self.timeout_s, self.priority = deadline, timeout_s, priority
        self.permit, self.rerun, self.planned = permit, rerun, planned
        self.ends_at: float | None = None
        """Its `deadline` by its owner's monotonic clock, which nobody sets."""
        self.notify = notify
        self.inputs: Mapping[str, Reference] = inputs or {}
        self.params: Mapping[str, Any] = params or {}
        self.state = State.QUEUED
        self.reason: str | None = None
        self.outputs: Mapping[str, tuple[Reference, ...]] | None = None
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.steps: dict[str, Step] = {}
        self.maps: dict[int, MapState] = {}
        self.pins: dict[str, str] = {}
        self.results: dict[int, Ports] = {}
        self.makers: dict[int, str] = {}
        """Of nodes whose results somebody will read, the instances that made them."""
        self.late_epochs: dict[str, int] = {}
        self.unfinished = len(plan.nodes)
        self.window = LEAST_WINDOW
        self.open = 0
        self._held: list[int] = []
        self.first_failure: str | None = None
        self.changes: list[Change] = []
        self.touched: dict[str, Step] = {}
        self._status = bytearray(len(plan.nodes))
        self._unmet = array("i", [len(node.parents) for node in plan.nodes])
        self._readers = array("i", [node.readers for node in plan.nodes])
        self._scope: Scope | None = None
        self.splits: dict[int, tuple[int, ...]] = {}
        """Nodes that are done in pieces: after which rows these end."""
        if rerun is not None:
            self.splits.update((plan.by_name[name], ends) for name, ends in rerun.pieces.items())

    # -- questions -------------------------------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """The run is in a terminal state."""
        return self.state in RUN_TERMINAL

    def status(self, node: int) -> StepState:
        """State of a node's own step."""
        return _STATES[self._status[node]]

    def unmet(self, node: int) -> int:
        """How many parents of a node have not succeeded yet."""
        return self._unmet[node]

    @property
    def time_over(self) -> str:
        """What to say when the run's time is over."""
        ends = None if self.started_at is None or self.timeout_s is None else self.started_at + self.timeout_s
        if ends is not None and self.deadline == ends:
            return f"it took longer than its timeout of {self.timeout_s:g} s"
        return "its deadline is over"

    def node_of(self, step_id: str) -> PlanNode:
        """The node that a step belongs to. Raises `KeyError` for a step that is not in the flow."""
        return self.plan.nodes[self.plan.by_name[step_id.partition(".")[0]]]

    @property
    def turn(self) -> str:
        """What the run waits for as long as it is queued."""
        if self.permit is None:
            return "waits for its scheduler"
        return f"waits for its turn: {self.permit.rule}"

    def is_mapped(self, node: PlanNode) -> bool:
        """Its steps are elements or pieces."""
        return node.node.map is not None or node.index in self.splits

    def maker_of_inputs(self, node: PlanNode) -> str | None:
        """The instance that made what a node reads; of several the one that made most rows. `None`: nobody knows."""
        if len(node.parents) == 1:
            return self.makers.get(node.parents[0])
        known = [parent for parent in node.parents if parent in self.makers]
        return self.makers[max(known, key=self._rows)] if known else None

    def _rows(self, node: int) -> int:
        return sum(getattr(one, "rows", None) or 0 for found in self.results.get(node, {}).values() for one in found)

    def piece(self, step: Step) -> tuple[int, int] | None:
        """First row and number of rows of a step that is a piece of a node; `None` for every other step."""
        ends = self.splits.get(step.node) if step.item >= 0 else None
        return None if ends is None else piece_rows(ends, step.item)

    def hold(self, node: PlanNode) -> None:
        """The node could begin, but the window is full. Deeper nodes come out first."""
        heappush(self._held, (len(self.plan.nodes) - node.depth) * len(self.plan.nodes) + node.index)

    def next_held(self) -> PlanNode | None:
        """A node that may begin now, if there is one and the window has room."""
        while self._held and self.open < self.window:
            node = heappop(self._held) % len(self.plan.nodes)
            if self.status(node) is StepState.PENDING and node not in self.splits:
                return self.plan.nodes[node]
        return None

    def accepted_epoch(self, step_id: str) -> int:
        """The epoch with which an ended step ended."""
        return self.late_epochs.get(step_id, _FIRST_EPOCH)

    def scope(self, step: Step | None = None) -> Scope:
        """What `${...}` may refer to in params of this run (and of one element)."""
        if self._scope is None:
            self._scope = scope_of(self.plan.flow, self.inputs, self.params)
        if step is None or step.item < 0 or step.node in self.splits:
            return self._scope
        return self._scope.at(self.maps[step.node].items[step.item], step.item)

    # -- the only door to a change -----------------------------------------------------------------------------------

    def apply(self, change: Change) -> None:
        """Make `change` true. Raises `InvalidTransition`."""
        if isinstance(change, StepChange):
            self._apply_step(change)
        elif isinstance(change, RunChange):
            self._apply_run(change)
        elif isinstance(change, ProgressChange):
            step = self.touched[change.step] = self.steps[change.step]
            step.progress = change.progress
        else:
            assert isinstance(change, AttemptChange)  # attempts are history: nothing of the state depends on them
        self.changes.append(change)

    def _apply_run(self, change: RunChange) -> None:
        if change.state not in RUN_NEXT[self.state]:
            raise InvalidTransition(f"run {self.id}: {self.state} to {change.state}")
        self.state, self.reason = change.state, change.reason
        if change.state is State.RUNNING and self.started_at is None:
            self.begun(change.at)
        if change.state in RUN_TERMINAL:
            self.ended_at, self.outputs = change.at, change.outputs

    def begun(self, at: float) -> None:
        """The run began at `at`: from then on its own time counts."""
        self.started_at = at
        if self.timeout_s is not None:
            ends = at + self.timeout_s
            self.deadline = ends if self.deadline is None else min(self.deadline, ends)

    def _apply_step(self, change: StepChange) -> None:
        step = self.steps.get(change.step) or self._new_step(change.step)
        if change.state not in STEP_NEXT[step.state]:
            raise InvalidTransition(f"step {self.id}/{step.id}: {step.state} to {change.state}")
        first = step.state is StepState.PENDING
        step.state, step.reason, step.epoch = change.state, change.reason, change.epoch
        step.failures, step.losses = change.failures, change.losses
        step.instance, step.version, step.wake_at = change.instance, change.version, change.wake_at
        step.outputs, step.error, step.stats, step.log = change.outputs, change.error, change.stats, change.log
        step.artifacts = change.artifacts
        if change.state is StepState.ASSIGNED:
            step.progress = None
        elif change.pieces is not None:
            self._cut(step, change.pieces)
        self._stamp(step, change.at)
        self.touched[step.id] = step
        if step.version is not None:
            self._pin(step, step.version)
        if step.item >= 0:
            self._follow_element(step, first)
        else:
            self._follow_node(step)

    def _pin(self, step: Step, version: str) -> None:
        """The run stays at the version that it began with; from one that was quarantined it goes back to an older one, and
        stays at that. What it recovered was another run's choice: a corrected version may be there since."""
        if step.state is StepState.RECOVERED:
            return
        module = self.plan.nodes[step.node].node.module
        pinned = self.pins.get(module)
        if pinned is None or (pinned != version and precedence(version) < precedence(pinned)):
            self.pins[module] = version

    def _cut(self, step: Step, ends: tuple[int, ...]) -> None:
        """The node is done in pieces that end there; with none, it is done whole after all."""
        step.pieces = ends
        if ends:
            self.splits[step.node] = ends
        else:
            self.splits.pop(step.node, None)
            self.maps.pop(step.node, None)

    def _new_step(self, step_id: str) -> Step:
        name, _, item = step_id.partition(".")
        step = Step(step_id, self.plan.by_name[name], int(item) if item else -1)
        if step.item >= 0:
            self.expand(step.node)
        else:
            step.pieces = self.splits.get(step.node)
        self.steps[step_id] = step
        return step

    def _stamp(self, step: Step, at: float) -> None:
        if step.state is StepState.READY and step.ready_at is None:
            step.ready_at = at
        if step.state is StepState.RUNNING:
            step.started_at = at
        if step.state in STEP_TERMINAL:
            step.ended_at = at
            if step.stats is not None:  # that it had started may have been heard with its end only, or not at all
                begun = at - step.stats.wall_s
                step.started_at = begun if step.started_at is None else min(step.started_at, begun)

    def _follow_element(self, step: Step, first: bool) -> None:
        mapped = self.maps[step.node]
        if step.state is StepState.RECOVERED:
            mapped.outputs[step.item] = step.outputs or {}
            self._forget(step)
            return
        if first:
            mapped.cursor = max(mapped.cursor, step.item + 1)
            mapped.open += 1
        if step.state not in STEP_TERMINAL:
            return
        mapped.open -= 1
        if step.state is StepState.FAILED:
            mapped.failed += 1
            if mapped.error is None:
                mapped.error, mapped.failed_item = step.error, step.item
        if step.state in STEP_GOOD:
            mapped.outputs[step.item] = step.outputs or {}
        self._forget(step)

    def _follow_node(self, step: Step) -> None:
        node = self.plan.nodes[step.node]
        was_open = self._status[node.index] != _PENDING
        self._status[node.index] = _CODES[step.state]
        self.open += (step.state not in STEP_TERMINAL and step.state is not StepState.PENDING) - was_open
        if step.state not in STEP_TERMINAL:
            return
        self.unfinished -= 1
        if step.state in STEP_GOOD:
            for child in node.children:
                self._unmet[child] -= 1
            if self._readers[node.index] > 0:
                self.results[node.index] = self._results_of(step)
                if step.instance is not None:
                    self.makers[node.index] = step.instance
        elif step.state is StepState.FAILED and self.first_failure is None:
            detail = step.error.message if step.error is not None else step.reason or "failed"
            self.first_failure = f"step {step.id!r}: {detail}"
        for parent in node.parents:
            self._read(parent)
        self.maps.pop(node.index, None)
        self._forget(step)

    def _results_of(self, step: Step) -> Ports:
        mapped = self.maps.get(step.node)
        if mapped is None or step.node in self.splits:
            return {port: (reference,) for port, reference in (step.outputs or {}).items()}
        return ports_of_elements([mapped.outputs[item] for item in sorted(mapped.outputs)])

    def _read(self, parent: int) -> None:
        self._readers[parent] -= 1
        if self._readers[parent] == 0:
            self.results.pop(parent, None)
            self.makers.pop(parent, None)

    def _forget(self, step: Step) -> None:
        if step.epoch != _FIRST_EPOCH:
            self.late_epochs[step.id] = step.epoch
        del self.steps[step.id]

    def expand(self, node: int) -> MapState:
        """Begin a mapped node: its list is filled in from the run's params. Raises `FlowInvalid` when it is no list. A node
        that was cut has a piece for each end."""
        if node not in self.maps:
            planned = self.plan.nodes[node]
            ends = self.splits.get(node)
            items = (fill_map(planned.name, planned.node, self.scope()) or []) if ends is None else list(ends)
            wanted = None if self.rerun is None else self.rerun.elements.get(planned.name)
            self.maps[node] = MapState(items, None if wanted is None else frozenset(wanted))
        return self.maps[node]

    def restore_steps(self, steps: Iterable[Step]) -> None:
        """Take over steps as they were committed; only for a run that is fresh in memory."""
        nodes = []
        steps = list(steps)
        for step in steps:
            if step.pieces is not None:
                self._cut(step, step.pieces)
        for step in steps:
            if step.version is not None:
                self._pin(step, step.version)
            if step.item >= 0 and not self.is_mapped(self.plan.nodes[step.node]):
                self.late_epochs[step.id] = step.epoch  # a piece of a node that is done whole after all
                continue
            self.steps[step.id] = step
            if step.item >= 0:
                self.expand(step.node)
                self._follow_element(step, True)
            else:
                nodes.append(step)
        for step in nodes:
            self._follow_node(step)
        for node in self.plan.nodes:
            if self._unmet[node.index] == 0 and self._status[node.index] == _PENDING and not self.is_mapped(node):
                self.hold(node)

    def drain(self) -> tuple[list[Change], dict[str, Step]]:
        """What changed since the last call; the run's event number rises if anything did."""
        changes, touched = self.changes, self.touched
        if changes:
            self.seq += 1
        self.changes, self.touched = [], {}
        return changes, touched
