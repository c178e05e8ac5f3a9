"""What goes into a commit of the scheduler, and what comes out of the tables: plain rows, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from plugmesh.contracts.run import Command, Submission


@dataclass(frozen=True, slots=True)
class Lease:
    """A shard that this owner holds: its term, and how far `results` was read (`None`: never)."""

    shard: int
    term: int
    position: str | None


class RunUpdate(NamedTuple):
    """New values of a run's row. `outputs` is JSON text."""

    run: str
    state: str
    reason: str | None
    outputs: str | None
    started_at: float | None
    ended_at: float | None


class EventRow(NamedTuple):
    """What one commit changed in one run; `changes` is JSON text."""

    run: str
    seq: int
    at: float
    changes: str


class StepRow(NamedTuple):
    """A step's row, whole. `outputs`, `error`, `stats`, `log`, `progress`, `artifacts` and `pieces` are JSON text."""

    run: str
    id: str
    state: str
    reason: str | None
    epoch: int
    failures: int
    losses: int
    instance: str | None
    version: str | None
    outputs: str | None
    error: str | None
    stats: str | None
    log: str | None
    ready_at: float | None
    started_at: float | None
    ended_at: float | None
    wake_at: float | None
    progress: str | None = None
    artifacts: str | None = None
    pieces: str | None = None


class AttemptRow(NamedTuple):
    """An attempt that did not become its step's result."""

    run: str
    step: str
    epoch: int
    state: str
    instance: str | None
    reason: str | None
    error: str | None
    log: str | None
    at: float
    stats: str | None = None


class NotificationRow(NamedTuple):
    """A webhook that is to be called because a run has ended. `run` and `number` make its id."""

    run: str
    number: int
    namespace: str
    url: str


class Conviction(NamedTuple):
    """A step ended the process of the module version that ran it. `at` is Unix time, `trace` where its code was."""

    module: str
    version: str
    run: str
    step: str
    epoch: int
    reason: str
    trace: str
    at: float


class LetterRow(NamedTuple):
    """Rows that a step rejected which has ended. `reasons` and `ref` are JSON text; `outcome` is the step's state."""

    id: str
    run: str
    namespace: str
    flow: str
    step: str
    epoch: int
    module: str
    outcome: str
    rows: int
    reasons: str
    ref: str


@dataclass(slots=True)
class Commit:
    """One transaction of a scheduler. `positions` holds every shard it touches: term, and the new position or None
    to leave it. `keys` has the integer key of every run that is not among `inserts`. `released` are runs that hold a permit
    and need it no longer, `acquitted` module versions that have worked, whatever spoke against them before."""

    owner: str
    positions: dict[int, tuple[int, str | None]] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    inserts: list[Submission] = field(default_factory=list)
    runs: list[RunUpdate] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    steps: list[StepRow] = field(default_factory=list)
    attempts: list[AttemptRow] = field(default_factory=list)
    notifications: list[NotificationRow] = field(default_factory=list)
    letters: list[LetterRow] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    convictions: list[Conviction] = field(default_factory=list)
    acquitted: list[tuple[str, str]] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    at: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.positions)


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as SQL has it, for reload and for views. JSON columns are decoded only where needed."""

    key: int
    id: str
    shard: int
    namespace: str
    flow: str
    revision: int
    state: str
    reason: str | None
    inputs: str
    params: str
    labels: str
    outputs: str | None
    idempotency_key: str | None
    actor: str
    origin: str | None
    timeout_s: float | None
    submitted_at: float
    started_at: float | None
    ended_at: float | None
    request_hash: str | None = None
    flow_revision: int | None = None
    notify: str | None = None
    data_gone_at: float | None = None
    priority: int = 0
    deadline: float | None = None
    permit: str | None = None
    rerun: str | None = None
    planned: str | None = None
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Unfinished:
    """All that a scheduler needs to go on with one shard."""

    runs: list[StoredRun]
    flows: dict[int, str]
    steps: dict[int, list[StepRow]]
    commands: list[Command]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One version of an uploaded or produced file."""

    namespace: str
    name: str
    object: str
    bytes: int
    hash: str
    media_type: str
    actor: str
    created_at: float
    deleted_at: float | None = None

    def row(self) -> dict[str, Any]:
        """The values of its row."""
        return {name: getattr(self, name) for name in self.__slots__}
