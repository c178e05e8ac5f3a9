"""Runs, steps and attempts: their states, which state may follow which, and what a person may ask for."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from pydantic import Field, JsonValue

from plugmesh.contracts.base import Contract, Versioned
from plugmesh.contracts.data import Reference
from plugmesh.contracts.flow import DEFAULT_NAMESPACE, PRIORITY_LIMIT, Flow
from plugmesh.contracts.notify import Notify
from plugmesh.contracts.plan import Planned
from plugmesh.errors import ErrorClass

SHARDS = 32
"""Number of shards, and of partitions of `runs` and `results`."""


def shard_of(run: str) -> int:
    """The shard that owns `run`."""
    return zlib.crc32(run.encode()) % SHARDS


class RunState(StrEnum):
    """A run's life. Terminal states absorb."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"


class StepState(StrEnum):
    """A step's life. `parked`: no live module fits; `waiting`: a backoff or a timer."""

    PENDING = "pending"
    READY = "ready"
    PARKED = "parked"
    WAITING = "waiting"
    ASSIGNED = "assigned"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    CACHED = "cached"
    RECOVERED = "recovered"


class AttemptState(StrEnum):
    """An attempt's life. `lost`: its lease ended; `returned`: given back unstarted; `stale`: no longer current."""

    ASSIGNED = "assigned"
    ACCEPTED = "accepted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"
    RETURNED = "returned"
    STALE = "stale"


RUN_TERMINAL = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.TIMED_OUT})
STEP_TERMINAL = frozenset(
    {
        StepState.SUCCEEDED,
        StepState.FAILED,
        StepState.CANCELLED,
        StepState.SKIPPED,
        StepState.CACHED,
        StepState.RECOVERED,
    }
)
STEP_GOOD = frozenset({StepState.SUCCEEDED, StepState.CACHED, StepState.RECOVERED})
"""States of a step whose outputs its successors may read."""

RUN_NEXT: Mapping[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset(  # queued again: it says anew what it waits for
        {
            RunState.QUEUED,
            RunState.RUNNING,
            RunState.PAUSED,
            RunState.CANCELLING,
            RunState.CANCELLED,
            RunState.FAILED,
            RunState.TIMED_OUT,
        }
    ),
    RunState.RUNNING: frozenset(
        {RunState.PAUSED, RunState.CANCELLING, RunState.SUCCEEDED, RunState.FAILED, RunState.TIMED_OUT}
    ),
    RunState.PAUSED: frozenset(
        {
            RunState.QUEUED,
            RunState.RUNNING,
            RunState.CANCELLING,
            RunState.SUCCEEDED,
            RunState.FAILED,
            RunState.TIMED_OUT,
        }
    ),
    RunState.CANCELLING: frozenset({RunState.CANCELLED}),
    **{state: frozenset() for state in RUN_TERMINAL},
}

_ANY_END = frozenset({StepState.CANCELLED, StepState.SKIPPED, StepState.FAILED})
STEP_NEXT: Mapping[StepState, frozenset[StepState]] = {
    StepState.PENDING: frozenset({StepState.READY, StepState.CACHED, StepState.RECOVERED, StepState.SUCCEEDED})
    | _ANY_END,
    StepState.READY: frozenset({StepState.ASSIGNED, StepState.PARKED, StepState.PENDING}) | _ANY_END,
    StepState.PARKED: frozenset({StepState.READY}) | _ANY_END,
    StepState.WAITING: frozenset({StepState.READY}) | _ANY_END,
    StepState.ASSIGNED: frozenset({StepState.RUNNING, StepState.SUCCEEDED, StepState.WAITING, StepState.READY})
    | _ANY_END,
    StepState.RUNNING: frozenset({StepState.SUCCEEDED, StepState.WAITING, StepState.READY}) | _ANY_END,
    **{state: frozenset() for state in STEP_TERMINAL},
}
"""A mapped node's own step goes `pending → succeeded | failed` without an attempt: its elements are the steps. That of a
rowwise node with a large input goes back from `ready` to `pending`: its pieces are the steps from then on."""


class StepError(Contract):
    """Why an attempt or step did not succeed, in words for its user."""

    error_class: ErrorClass = ErrorClass.FATAL
    type: str
    message: str
    code: str = "module-failed"
    where: str = ""
    traceback: str = ""
    port: str | None = None
    column: str | None = None
    expected: str | None = None
    found: str | None = None


class Permit(Contract):
    """What a run must hold to be under way, if its flow limits them: one of `limit` places in the line called `name`
    (the flow and its key, filled in) of its namespace."""

    name: str = Field(max_length=500)
    limit: int = Field(ge=1)
    when_full: Literal["queue", "cancel-new", "cancel-running"] = "queue"

    @property
    def rule(self) -> str:
        """The limit in words."""
        return f"at most {self.limit} of {self.name} at a time"


class Recovered(Contract):
    """A step of an earlier run whose outputs a rerun uses as they are."""

    step: str
    version: str | None = None
    outputs: dict[str, Reference] = {}


class Rerun(Contract):
    """What makes a run a rerun of another one.

    `origin` is the run that it repeats, `root` the first one of that line, by whose id sinks know effects again.
    `recovered` are steps that are not executed, parents before children; `skipped` are nodes that are left out. `feeds`
    gives ports of steps (by step, then port) other references than their edges; `elements` says which elements of a
    mapped node there are, where that is not all. `pieces` says where the pieces of rowwise nodes end (rows): the origin had
    cut them, and some pieces are taken over.
    """

    origin: str
    root: str
    recovered: tuple[Recovered, ...] = ()
    skipped: tuple[str, ...] = ()
    feeds: dict[str, dict[str, tuple[Reference, ...]]] = {}
    elements: dict[str, tuple[int, ...]] = {}
    pieces: dict[str, tuple[int, ...]] = {}


class Submission(Versioned):
    """A run to be created. Everything was validated; file versions are pinned; `inputs` are references.

    `notify` has the webhooks of the request and of the flow. `flow_revision` is the number of the saved flow's
    revision, where it was submitted by name. `request_hash` tells a repeated request from another one that uses
    its idempotency key. `deadline` is Unix time: the run ends then, whether it has begun or not; `timeout_s` counts from
    its beginning. `planned` says which columns and rows of it nobody uses (`None`: nothing was planned, all are used).
    """

    run: str
    namespace: str = DEFAULT_NAMESPACE
    flow: Flow
    inputs: dict[str, Reference] = {}
    params: dict[str, JsonValue] = {}
    idempotency_key: str | None = Field(default=None, max_length=200)
    timeout_s: float | None = Field(default=None, gt=0)
    actor: str = "local"
    labels: dict[str, str] = {}
    submitted_at: float = 0.0
    strict: bool = False
    notify: tuple[Notify, ...] = ()
    flow_revision: int | None = None
    request_hash: str | None = Field(default=None, max_length=64)
    priority: int = Field(default=0, ge=-PRIORITY_LIMIT, le=PRIORITY_LIMIT)
    deadline: float | None = None
    permit: Permit | None = None
    rerun: Rerun | None = None
    planned: Planned | None = None


class Receipt(Contract):
    """The answer to a submission: the run (an earlier one when the idempotency key was used before)."""

    run: str
    state: RunState
    repeated: bool = False


class Progress(Contract):
    """How far a running attempt says it is: `done` of `total` (`None`: unknown), in units of the module's own."""

    done: float
    total: float | None = None
    message: str = Field(default="", max_length=500)
    at: float = 0.0


class Command(Versioned):
    """What a person asks of a run; appended by the gateway, carried out by the owner of the run's shard."""

    command: str
    run: str
    kind: Literal["cancel", "pause", "resume"]
    actor: str = "local"
    at: float = 0.0
    reason: str = ""
