"""What one cycle of the engine collects: rows for one commit, and what is to be done once they are there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from plugmesh.contracts.data import MESSAGE_LIMIT_BYTES, DataRef, JoinedRef, Reference, SpilledRef
from plugmesh.contracts.messages import Assign, Cancel, Recall, Renewed
from plugmesh.contracts.module import REJECTED
from plugmesh.contracts.run import Command, Receipt, StepState, Submission, shard_of
from plugmesh.contracts.run import RunState as State
from plugmesh.state.dead_letters import letter_id
from plugmesh.state.records import (
    AttemptRow,
    Commit,
    Conviction,
    EventRow,
    LetterRow,
    NotificationRow,
    RunUpdate,
    StepRow,
)
from scheduler.announcing import Announcement
from scheduler.changes import AttemptChange, Change, RunChange, changes_json, text
from scheduler.effects import Convict, Discard
from scheduler.runstate import RunState
from scheduler.step import Step

_OWN_END = frozenset({StepState.SUCCEEDED, StepState.FAILED})
TRACE_CHARACTERS = 4000
"""So much of a trace stays with a conviction; the step's error has all of it."""


class Announced(NamedTuple):
    """An event row that watchers are told of. `ended`: with it the run is over."""

    run: RunState
    row: EventRow
    ended: bool


@dataclass(slots=True)
class Work:
    """Filled while events are handled; `make_commit` turns it into rows.

    `letters` are the encoded `outgoing`, `announcements` what watchers are told of `announced`; `changed` are
    changes that traces and the log tell of.
    """

    receipts: list[tuple[asyncio.Future[Receipt], Receipt]] = field(default_factory=list)
    commands: list[tuple[asyncio.Future[None] | None, Command]] = field(default_factory=list)
    submissions: list[Submission] = field(default_factory=list)
    acks: list[Callable[[], None]] = field(default_factory=list)
    heard: set[int] = field(default_factory=set)
    outgoing: list[Assign | Cancel | Recall | Renewed] = field(default_factory=list)
    convictions: list[tuple[RunState, Convict]] = field(default_factory=list)
    acquitted: set[tuple[str, str]] = field(default_factory=set)
    discards: list[tuple[RunState, Discard]] = field(default_factory=list)
    announced: list[Announced] = field(default_factory=list)
    letters: list[bytes] | None = None
    announcements: list[Announcement] = field(default_factory=list)
    changed: list[tuple[RunState, list[Change]]] = field(default_factory=list)
    eager: bool = False

    def fail(self, error: Exception) -> None:
        """Tell everyone who waits that the outcome is unknown."""
        futures: list[asyncio.Future[Receipt] | asyncio.Future[None]] = [future for future, _ in self.receipts]
        futures += [future for future, _ in self.commands if future is not None]
        for future in futures:
            if not future.done():
                future.set_exception(error)

    def resolve(self) -> None:
        """Tell everyone who waits that it is done."""
        for future, receipt in self.receipts:
            if not future.done():
                future.set_result(receipt)
        for waiter, _ in self.commands:
            if waiter is not None and not waiter.done():
                waiter.set_result(None)

    def acknowledge(self) -> None:
        """Tell the bus what it may forget."""
        for ack in self.acks:
            ack()


def make_commit(
    work: Work,
    dirty: Iterable[RunState],
    *,
    owner: str,
    terms: dict[int, int],
    positions: dict[int, str],
    at: float,
    keep: bool = False,
) -> Commit:
    """The rows of one cycle. `terms` are the shards owned; `positions` how far their results were read. With `keep`, the
    changes of all runs stay in `work.changed`, and else those of traced ones."""
    commands = [command for _, command in work.commands]
    commit = Commit(owner=owner, at=at, inserts=work.submissions, commands=commands)
    for command in commands:  # to have carried one out is a write for its shard, also where its run has long ended
        shard = shard_of(command.run)
        commit.positions[shard] = (terms[shard], positions.get(shard))
    for run in dirty:
        changes, touched = run.drain()
        if not changes:
            continue
        commit.positions[run.shard] = (terms[run.shard], positions.get(run.shard))
        if run.key:
            commit.keys[run.id] = run.key
        if run.traced or keep:
            work.changed.append((run, changes))
        row = EventRow(run.id, run.seq, at, changes_json(changes))
        commit.events.append(row)
        for step in touched.values():
            commit.steps.append(step_row(run, step))
            if step.outputs and REJECTED in step.outputs and step.state in _OWN_END:
                commit.letters.extend(letter_rows(run, step, step.outputs[REJECTED]))
        commit.attempts.extend(attempt_row(run, change) for change in changes if isinstance(change, AttemptChange))
        work.announced.append(Announced(run, row, run.ended))
        if any(isinstance(change, RunChange) for change in changes):
            commit.runs.append(run_update(run))
            if run.ended and run.permit is not None:
                commit.released.append(run.id)
            commit.notifications.extend(notifications(run))
    commit.acquitted.extend(sorted(work.acquitted))
    commit.convictions.extend(
        conviction(run, found, at) for run, found in work.convictions if run.shard in commit.positions
    )
    return commit


def conviction(run: RunState, found: Convict, at: float) -> Conviction:
    """What is kept of it."""
    reason, trace = found.reason[:TRACE_CHARACTERS], found.trace[:TRACE_CHARACTERS]
    return Conviction(found.module, found.version, run.id, found.step, found.epoch, reason, trace, at)


def notifications(run: RunState) -> list[NotificationRow]:
    """Who is to be told that the run has ended (nobody as long as it has not)."""
    if not run.ended:
        return []
    wanted = [notify.url for notify in run.notify if run.state.value in notify.on]
    return [NotificationRow(run.id, number, run.namespace, url) for number, url in enumerate(wanted)]


def run_update(run: RunState) -> RunUpdate:
    """The run's row as it should be now."""
    return RunUpdate(run.id, run.state.value, run.reason, text(run.outputs), run.started_at, run.ended_at)


def step_row(run: RunState, step: Step) -> StepRow:
    """The step's row as it should be now."""
    return StepRow(
        run=run.id,
        id=step.id,
        state=step.state.value,
        reason=step.reason,
        epoch=step.epoch,
        failures=step.failures,
        losses=step.losses,
        instance=step.instance,
        version=step.version,
        outputs=text(step.outputs),
        error=text(step.error),
        stats=text(step.stats),
        log=text(step.log),
        ready_at=step.ready_at,
        started_at=step.started_at,
        ended_at=step.ended_at,
        wake_at=step.wake_at,
        progress=text(step.progress),
        artifacts=text(step.artifacts or None),
        pieces=text(step.pieces),
    )


def letter_rows(run: RunState, step: Step, rejected: Reference) -> Iterator[LetterRow]:
    """The dead letter of a step that has ended; none, if it rejected no row."""
    rows = rejected.rows if isinstance(rejected, DataRef | SpilledRef | JoinedRef) else None
    if rows == 0:
        return
    reasons = None if step.stats is None else step.stats.reasons
    yield LetterRow(
        id=letter_id(run.id, step.id),
        run=run.id,
        namespace=run.namespace,
        flow=run.plan.flow.name,
        step=step.id,
        epoch=step.epoch,
        module=f"{run.plan.nodes[step.node].module}@{step.version}",
        outcome=step.state.value,
        rows=rows or 0,
        reasons=text(reasons or {}) or "{}",
        ref=text(rejected) or "",
    )


def attempt_row(run: RunState, change: AttemptChange) -> AttemptRow:
    """The row of an attempt that did not become a result."""
    return AttemptRow(
        run=run.id,
        step=change.step,
        epoch=change.epoch,
        state=change.state.value,
        instance=change.instance,
        reason=change.reason,
        error=text(change.error),
        log=text(change.log),
        at=change.at,
        stats=text(change.stats),
    )


def event_message(run: RunState, row: EventRow, state: State) -> bytes:
    """The `RunChanged` message of an event row; its changes are not encoded a second time.

    Changes that are too large for a message are left out: who needs them reads the event row.
    """
    head = f'{{"v":"1.0","type":"run","run":"{run.id}","seq":{row.seq},"state":"{state.value}","at":{row.at!r},'
    message = f'{head}"changes":{row.changes}}}'.encode()
    return message if len(message) <= MESSAGE_LIMIT_BYTES else f'{head}"changes":[]}}'.encode()
