"""The invariants of a mesh, read from its database and its object store, while it works or after it has stopped.

Every committed state must keep them; a test ends with `check_invariants(data_dir)`, a simulation with `check`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from plugmesh.contracts.data import DataRef, FileRef, Reference, SpilledRef, referenced_keys
from plugmesh.contracts.flow import Flow
from plugmesh.contracts.run import RUN_NEXT, RUN_TERMINAL, STEP_GOOD, STEP_NEXT, STEP_TERMINAL, RunState, StepState
from plugmesh.data.digest import content_hash
from plugmesh.errors import ObjectCorrupt, ObjectMissing
from plugmesh.objects.keys import attempt_prefix
from plugmesh.objects.local import LocalStore
from plugmesh.objects.port import ObjectStore
from plugmesh.state import schema
from plugmesh.state.records import StepRow
from scheduler import runstate
from scheduler.changes import AttemptChange, Change, ProgressChange, RunChange, StepChange, read_changes
from scheduler.plan import Plan, compile_plan
from scheduler.work import run_update, step_row

_OUTPUTS: TypeAdapter[dict[str, Reference]] = TypeAdapter(dict[str, Reference])
_SHOWN: TypeAdapter[dict[str, tuple[Reference, ...]]] = TypeAdapter(dict[str, tuple[Reference, ...]])
_ENDED_BADLY = frozenset({"failed", "lost", "returned"})
_OUT = frozenset({StepState.ASSIGNED, StepState.RUNNING})
AnyReference = DataRef | FileRef | SpilledRef | Any


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold: its name, and where and how."""

    invariant: str
    text: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.text}"


def check_invariants(data_dir: Path) -> list[str]:
    """Check the mesh whose data lies in `data_dir` (`plugmesh up --data`), running or stopped."""
    engine = sa.create_engine(f"sqlite+pysqlite:///file:{data_dir / 'state.db'}?mode=ro&uri=true")
    try:
        with engine.connect() as connection:
            return [str(violation) for violation in check(connection, LocalStore(data_dir / "objects"))]
    finally:
        engine.dispose()


def check(
    connection: sa.Connection,
    objects: ObjectStore | None,
    submitted: Collection[str] = (),
    effects: Collection[str] | None = None,
    lost_allowed: int | None = None,
) -> list[Violation]:
    """Every invariant over one snapshot.

    `submitted`: runs for which somebody has a receipt. `effects`: what idempotent sinks applied, by their keys.
    `lost_allowed`: how many attempts may have been lost (faults x attempts in flight).
    """
    mesh = _read(connection)
    found = [Violation("submitted", f"run {run} was accepted and is not there") for run in submitted if run not in mesh]
    for stored in mesh.values():
        found.extend(_check_run(stored))
        if objects is not None:
            found.extend(_check_objects(stored, objects))
    found.extend(_check_effects(effects or ()))
    lost = sum(attempt["state"] == "lost" for stored in mesh.values() for attempt in stored.attempts)
    if lost_allowed is not None and lost > lost_allowed:
        found.append(Violation("retries", f"{lost} attempts were lost, the faults explain at most {lost_allowed}"))
    return found


# -- reading -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Run:
    """Everything SQL has about one run. `rows` are the event rows: their numbers and changes."""

    row: Mapping[str, Any]
    plan: Plan
    rows: list[tuple[int, list[Change]]]
    steps: dict[str, Mapping[str, Any]]
    attempts: list[Mapping[str, Any]]

    @property
    def id(self) -> str:
        return str(self.row["id"])

    @property
    def state(self) -> RunState:
        return RunState(self.row["state"])

    def changes(self) -> Iterator[Change]:
        """All changes in their order."""
        for _, changes in self.rows:
            yield from changes


def _read(connection: sa.Connection) -> dict[str, _Run]:
    """One snapshot of all tables: a running mesh goes on writing."""
    if connection.dialect.name == "sqlite" and not connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
        connection.exec_driver_sql("BEGIN")
    tables = (schema.revision, schema.run, schema.event, schema.step, schema.attempt)
    order = {schema.event: (schema.event.c.run, schema.event.c.seq)}
    rows = {
        table.name: [
            dict(row) for row in connection.execute(sa.select(table).order_by(*order.get(table, ()))).mappings()
        ]
        for table in tables
    }
    connection.rollback()
    plans = {row["key"]: compile_plan(Flow.model_validate_json(row["flow"])) for row in rows["revision"]}
    found = {row["key"]: _Run(row, plans[row["revision"]], [], {}, []) for row in rows["run"]}
    for row in rows["event"]:
        found[row["run"]].rows.append((row["seq"], read_changes(json.loads(row["changes"]))))
    for row in rows["step"]:
        found[row["run"]].steps[row["id"]] = row
    for row in rows["attempt"]:
        found[row["run"]].attempts.append(row)
    return {run.id: run for run in found.values()}


# -- one run -----------------------------------------------------------------------------------------------------------


def _check_run(run: _Run) -> Iterator[Violation]:
    for check_one in (_terminal, _transitions, _accepted, _parents, _cancelled, _progress, _replay, _visible):
        for text in check_one(run):
            yield Violation(check_one.__name__.removeprefix("_"), f"run {run.id} ({run.row['flow']}): {text}")


def _terminal(run: _Run) -> Iterator[str]:
    """Nothing changes a run that has ended; its steps ended with it."""
    ended_in: int | None = None
    for seq, changes in run.rows:
        for change in changes:
            if ended_in is not None and not (seq == ended_in and _is_sweep(change)):
                yield f"event {seq} changes it after its end in event {ended_in}: {_brief(change)}"
            if isinstance(change, RunChange) and change.state in RUN_TERMINAL:
                ended_in = seq
    if (run.state in RUN_TERMINAL) != (run.row["ended_at"] is not None):
        yield f"it is {run.state}, and ended_at is {run.row['ended_at']}"
    if run.state in RUN_TERMINAL:
        for step in run.steps.values():
            if StepState(step["state"]) not in STEP_TERMINAL:
                yield f"it has {run.state}, and step {step['id']} is {step['state']}"


def _is_sweep(change: Change) -> bool:
    """What the event that ends a run does to its steps."""
    return isinstance(change, StepChange) and change.state in {StepState.CANCELLED, StepState.SKIPPED}


def _transitions(run: _Run) -> Iterator[str]:
    """Runs and steps move only as their state machines allow; event rows have no gaps."""
    state, steps = RunState.QUEUED, dict[str, StepState]()
    for change in run.changes():
        if isinstance(change, RunChange):
            if change.state not in RUN_NEXT[state]:
                yield f"it went from {state} to {change.state}"
            state = change.state
        elif isinstance(change, StepChange):
            before = steps.get(change.step, StepState.PENDING)
            if change.state not in STEP_NEXT[before]:
                yield f"step {change.step} went from {before} to {change.state}"
            steps[change.step] = change.state
    numbers = [seq for seq, _ in run.rows]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"its event rows are numbered {numbers}"


def _accepted(run: _Run) -> Iterator[str]:
    """A step succeeds at most once, by the attempt that was out, and epochs only rise."""
    assigned: dict[str, StepChange] = {}
    succeeded: dict[str, int] = {}
    for change in run.changes():
        if not isinstance(change, StepChange):
            continue
        last = assigned.get(change.step)
        if change.state is StepState.ASSIGNED:
            if change.epoch != (last.epoch if last else 0) + 1:
                yield f"step {change.step} was assigned with epoch {change.epoch} after {last.epoch if last else 0}"
            assigned[change.step] = change
        elif change.state is StepState.SUCCEEDED:
            if change.step in succeeded:
                yield f"step {change.step} was accepted twice"
            succeeded[change.step] = change.epoch
            mapped = run.plan.nodes[_index(run, change.step)].mapped and "." not in change.step
            if not mapped and (last is None or (last.epoch, last.instance) != (change.epoch, change.instance)):
                yield f"step {change.step} was accepted from {change.instance}, epoch {change.epoch}: not what was out"
    for attempt in run.attempts:
        if attempt["state"] in _ENDED_BADLY and succeeded.get(attempt["step"]) == attempt["epoch"]:
            yield f"attempt {attempt['step']}/{attempt['epoch']} was accepted and is {attempt['state']} too"


def _parents(run: _Run) -> Iterator[str]:
    """A step begins only when all its parents were accepted."""
    good: set[int] = set()
    for change in run.changes():
        if not isinstance(change, StepChange):
            continue
        node = run.plan.nodes[_index(run, change.step)]
        begun = change.state in {StepState.READY, StepState.ASSIGNED, StepState.RUNNING, StepState.SUCCEEDED}
        if begun and not good.issuperset(node.parents):
            names = ", ".join(run.plan.nodes[parent].name for parent in node.parents if parent not in good)
            yield f"step {change.step} is {change.state} before {names} was accepted"
        if change.state in STEP_GOOD and "." not in change.step:
            good.add(node.index)


def _cancelled(run: _Run) -> Iterator[str]:
    """After a cancel is committed nothing is assigned and nothing accepted."""
    cancelling = False
    for change in run.changes():
        if isinstance(change, RunChange):
            cancelling = cancelling or change.state in {RunState.CANCELLING, RunState.CANCELLED}
        elif isinstance(change, StepChange) and cancelling and change.state in {StepState.ASSIGNED, *STEP_GOOD}:
            yield f"step {change.step} is {change.state} after the run was cancelled"


def _progress(run: _Run) -> Iterator[str]:
    """A run that has not ended has something that will move it on."""
    if run.state in RUN_TERMINAL or run.state in {RunState.QUEUED, RunState.PAUSED}:
        return
    if not any(_moves(step) for step in run.steps.values()):
        states = Counter(step["state"] for step in run.steps.values())
        yield f"it is {run.state} and nothing will move it on; its steps: {dict(states)}"
    for step in run.steps.values():
        if step["state"] in {StepState.WAITING, StepState.PARKED} and step["wake_at"] is None:
            yield f"step {step['id']} is {step['state']} without an end"
        if step["state"] in _OUT and step["instance"] is None:
            yield f"step {step['id']} is {step['state']} on no instance"


def _moves(step: Mapping[str, Any]) -> bool:
    state = StepState(step["state"])
    return state is StepState.READY or state in _OUT or step["wake_at"] is not None


def _replay(run: _Run) -> Iterator[str]:
    """The event rows, replayed, give the run's row and its steps' rows."""
    state, steps = _fresh(run), dict[str, StepRow]()
    try:
        for _, changes in run.rows:
            for change in changes:
                state.apply(change)
            _, touched = state.drain()
            steps.update((step.id, step_row(state, step)) for step in touched.values())
    except (runstate.InvalidTransition, KeyError) as error:
        yield f"its event rows cannot be replayed: {error}"
        return
    update = run_update(state)
    for name in ("state", "reason", "outputs", "started_at", "ended_at"):
        if getattr(update, name) != run.row[name]:
            yield f"{name} is {run.row[name]!r}, its events say {getattr(update, name)!r}"
    for step in steps.keys() | run.steps.keys():
        yield from _compare(step, steps.get(step), run.steps.get(step))


def _fresh(run: _Run) -> runstate.RunState:
    return runstate.RunState(
        run.id,
        run.row["shard"],
        run.plan,
        namespace=run.row["namespace"],
        inputs=_OUTPUTS.validate_json(run.row["inputs"]),
        params=json.loads(run.row["params"]),
    )


def _compare(step: str, replayed: StepRow | None, row: Mapping[str, Any] | None) -> Iterator[str]:
    if replayed is None or row is None:
        yield f"step {step} is {'not ' if row is None else ''}in the table, and {'not ' if replayed is None else ''}in the events"
        return
    for name in StepRow._fields[1:]:
        if getattr(replayed, name) != row[name]:
            yield f"step {step}: {name} is {row[name]!r}, the events say {getattr(replayed, name)!r}"


def _visible(run: _Run) -> Iterator[str]:
    """A step's outputs are what its accepted attempt wrote, or what it was given."""
    made: dict[int, set[str]] = {}
    given = {
        key for reference in _OUTPUTS.validate_json(run.row["inputs"]).values() for key in referenced_keys(reference)
    }
    for change in run.changes():
        if not isinstance(change, StepChange) or change.state is not StepState.SUCCEEDED:
            continue
        node = run.plan.nodes[_index(run, change.step)]
        own = attempt_prefix(run.row["namespace"], run.id, change.step, change.epoch) + "/"
        allowed = given.union(*(made.get(parent, ()) for parent in node.parents))
        keys = {key for reference in (change.outputs or {}).values() for key in referenced_keys(reference)}
        made.setdefault(node.index, set()).update(keys)
        for key in sorted(keys - allowed):
            if not key.startswith(own):
                yield f"step {change.step}, accepted with epoch {change.epoch}, shows {key} of another attempt"


def _index(run: _Run, step: str) -> int:
    return run.plan.by_name[step.partition(".")[0]]


def _brief(change: Change) -> str:
    match change:
        case RunChange():
            return f"run {change.state}"
        case StepChange():
            return f"step {change.step} {change.state}"
        case ProgressChange():
            return f"progress of {change.step}"
        case AttemptChange():
            return f"attempt {change.step}/{change.epoch} {change.state}"


# -- bytes and effects -------------------------------------------------------------------------------------------------


def _check_objects(run: _Run, objects: ObjectStore) -> Iterator[Violation]:
    references: list[tuple[str, AnyReference]] = []
    for step in run.steps.values():
        if step["outputs"] is not None and StepState(step["state"]) in STEP_GOOD:
            references += [(f"step {step['id']}", ref) for ref in _OUTPUTS.validate_json(step["outputs"]).values()]
    if run.row["outputs"] is not None:
        shown = _SHOWN.validate_json(run.row["outputs"])
        references += [(f"output {name}", ref) for name, found in shown.items() for ref in found]
    for where, reference in references:
        for text in _wrong_bytes(reference, objects):
            yield Violation("objects", f"run {run.id}, {where}: {text}")


def _wrong_bytes(reference: AnyReference, objects: ObjectStore) -> Iterator[str]:
    for key, offset, length, expected in _pieces(reference):
        try:
            found = content_hash(objects.read(key, offset, length))
        except (ObjectMissing, ObjectCorrupt) as error:
            yield str(error)
            continue
        if found != expected:
            yield f"object {key} at {offset}: its bytes have hash {found}, the reference says {expected}"


def _pieces(reference: AnyReference) -> Iterator[tuple[str, int, int, str]]:
    """Key, offset, length and hash of every piece of data that a reference names."""
    if isinstance(reference, DataRef):
        for fragment in reference.fragments:
            for group in fragment.groups:
                for column in group.columns:
                    yield group.key, column.offset, column.length, column.hash
    elif isinstance(reference, FileRef | SpilledRef):
        yield reference.key, 0, reference.bytes, reference.hash


def _check_effects(effects: Collection[str]) -> Iterator[Violation]:
    for key, count in Counter(effects).items():
        if count > 1:
            yield Violation("effects", f"the effect {key} was applied {count} times")
