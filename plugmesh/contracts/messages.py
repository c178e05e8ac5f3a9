"""What travels on the bus: `runs` (gateway to scheduler), `dispatch` (scheduler to instance), `results` (instance to
scheduler), `events` (to watchers).

Every message is one JSON object of at most 64 KiB, with its `type`. It carries references, never data, never secrets.
An attempt is named by run, step and epoch; its text id is `run/step/epoch`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from plugmesh.contracts.base import Contract, Versioned
from plugmesh.contracts.data import MESSAGE_LIMIT_BYTES, FileRef, Reference
from plugmesh.contracts.flow import Rejects
from plugmesh.contracts.module import Limits
from plugmesh.contracts.plan import PlanAnswer, PlanQuestion, Predicate
from plugmesh.contracts.run import SHARDS, StepError
from plugmesh.errors import InvalidMessage

_T = TypeVar("_T")

RUNS = "runs"
RESULTS = "results"
DISPATCH = "dispatch"
EVENTS = "events"

ANSWERS = SHARDS
"""The partition of `events` on which instances answer questions; the ones before it are those of the shards."""
NEWS = ANSWERS + 1
"""The partition of `events` for what schedulers do beside runs; it is the last one."""
ACCEPT_S = 3.0
"""An assigned attempt that is not accepted within this time is lost."""
LEASE_S = 15.0
"""An accepted attempt that is not renewed for this time is lost."""
RENEW_S = LEASE_S / 3
ANSWER_S = 5.0
"""An instance that is asked something has so long to answer."""
KILL_GRACE_S = 10.0
"""Time between the signal of a cancel and the kill."""


def attempt_id(run: str, step: str, epoch: int) -> str:
    """The text id of an attempt."""
    return f"{run}/{step}/{epoch}"


def split_attempt_id(attempt: str) -> tuple[str, str, int]:
    """The run, step and epoch in an attempt's text id. Raises `InvalidMessage`."""
    parts = attempt.split("/")
    if len(parts) != 3 or not parts[2].isdecimal():
        raise InvalidMessage(f"{attempt!r} is not an attempt id (run/step/epoch)")
    return parts[0], parts[1], int(parts[2])


# -- dispatch ----------------------------------------------------------------------------------------------------


class Assign(Versioned):
    """Run one attempt.

    `inputs` has a tuple of references per port (one, unless the port is variadic). `columns`, per table port, are
    the columns to hand over (`None`: all). `wanted`, per table output, are the columns that anybody uses, by the names of the
    flow and of the module: others are neither written nor passed on, and need not be there (`None`: all). Both may list more
    than there is, and are compared without regard to case (`plugmesh.planner.names.chosen`). `filters`, per table
    output of a source, are conditions that a row must meet to be used: rows may be left out by them. A port that is missing
    in one of the three has no such limit. `prefix` starts every object key that the attempt may write. `left_s`
    is what the run had left of its time when this was sent: past it the result is useless. `root` is the first run of a
    line of reruns, by which sinks know effects again (`None`: the run itself). `rejects` is how many rows the
    module may reject; `rejected`: an edge reads them, so that there is to be a table also if there are none.
    """

    type: Literal["assign"] = "assign"
    instance: str
    shard: int
    term: int
    run: str
    step: str
    epoch: int
    namespace: str
    module: str
    version: str
    digest: str
    params: dict[str, JsonValue] = {}
    inputs: dict[str, tuple[Reference, ...]] = {}
    bind: dict[str, str] = {}
    columns: dict[str, tuple[str, ...]] | None = None
    wanted: dict[str, tuple[str, ...]] | None = None
    filters: dict[str, tuple[Predicate, ...]] | None = None
    prefix: str
    timeout_s: float | None = None
    limits: Limits | None = None
    left_s: float | None = None
    root: str | None = None
    rejects: Rejects | None = None
    rejected: bool = False
    trace: dict[str, str] | None = None

    @property
    def attempt(self) -> str:
        """The attempt's text id."""
        return attempt_id(self.run, self.step, self.epoch)


class Cancel(Versioned):
    """Stop an attempt: a signal, and after `grace_s` a kill. It answers `returned` or `failed` (or nothing)."""

    type: Literal["cancel"] = "cancel"
    instance: str
    shard: int
    term: int
    attempt: str
    reason: str = ""
    grace_s: float = KILL_GRACE_S


class Recall(Versioned):
    """Give an attempt back if it has not started."""

    type: Literal["recall"] = "recall"
    instance: str
    shard: int
    term: int
    attempt: str


class Renewed(Versioned):
    """Answer to `renew`: leases that go on, and attempts that are no longer current (kill them at once). `draining`: the renewal
    said so, and its sender assigns nothing more to the instance."""

    type: Literal["renewed"] = "renewed"
    instance: str
    shard: int
    term: int
    attempts: tuple[str, ...] = ()
    superseded: tuple[str, ...] = ()
    draining: bool = False


class Refused(Versioned):
    """The registry refuses one of the instance's modules: the same name@version is known with another contract."""

    type: Literal["refused"] = "refused"
    instance: str
    module: str
    version: str
    difference: str


class Drain(Versioned):
    """Take no new work, finish what has started (at most `within_s` seconds; `None`: as it was configured), and end."""

    type: Literal["drain"] = "drain"
    instance: str
    actor: str = "local"
    within_s: float | None = Field(default=None, ge=0)


class SetSlots(Versioned):
    """Run so many attempts at a time from now on; the instance registers again with the new number."""

    type: Literal["set-slots"] = "set-slots"
    instance: str
    slots: int = Field(ge=1, le=1024)
    actor: str = "local"


class AskPlan(Versioned):
    """What would a module read and give, with these params and columns? The answer is a `plan-answered` with the same `id`.

    An instance that cannot say so within `ANSWER_S` says that.
    """

    type: Literal["ask-plan"] = "ask-plan"
    instance: str
    id: str
    question: PlanQuestion


AnyDispatch = Assign | Cancel | Recall | Renewed | Refused | Drain | SetSlots | AskPlan
DispatchMessage = Annotated[AnyDispatch, Field(discriminator="type")]


# -- results -----------------------------------------------------------------------------------------------------


class StoreUse(Contract):
    """What a process asked of an object store on another machine while an attempt ran: requests, those that were made again,
    bytes that came, and reads and bytes of them that the host's cache had."""

    requests: int = 0
    retries: int = 0
    fetched_bytes: int = 0
    cache_hits: int = 0
    cache_hit_bytes: int = 0


class AttemptStats(Contract):
    """What an attempt used. `read` and `written` list columns per port; bytes are those of the references. `bytes_whole` is
    what `bytes_read` would be if all columns of the inputs were handed over (`None`: they were).

    `rows_passed` are those rows of the outputs of which columns are an input's own: passed on by reference, not written.
    `rows_failed` are the rows that the module left out because they could not be used (`ctx.reject`), `reasons` the most
    frequent reasons with the rows that each was given for.
    """

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_memory_bytes: int = 0
    rows_in: int = 0
    rows_out: int = 0
    rows_passed: int = 0
    rows_failed: int = 0
    bytes_read: int = 0
    bytes_whole: int | None = None
    bytes_written: int = 0
    bytes_passed: int = 0
    read: dict[str, tuple[str, ...]] | None = None
    written: dict[str, tuple[str, ...]] | None = None
    passed: dict[str, tuple[str, ...]] | None = None
    reasons: dict[str, int] | None = None
    store: StoreUse | None = None


class LogRef(Contract):
    """An attempt's log: JSON lines in one object, or in `chunks` of them (`0`: one) of which `key` is the first.

    `plugmesh/steplog.py` reads both.
    """

    key: str
    bytes: int
    lines: int
    truncated: bool = False
    chunks: int = 0


class _FromInstance(Versioned):
    instance: str
    run: str
    step: str
    epoch: int

    @property
    def attempt(self) -> str:
        """The attempt's text id."""
        return attempt_id(self.run, self.step, self.epoch)


class Accepted(_FromInstance):
    """The instance has the attempt; its lease begins."""

    type: Literal["accepted"] = "accepted"


class Started(_FromInstance):
    """User code runs; the timeout begins. Sent only for attempts that last longer than about 10 ms."""

    type: Literal["started"] = "started"


class Progressed(_FromInstance):
    """How far the attempt says it is; at most about once a second. `done` of `total`, in units of the module's own."""

    type: Literal["progressed"] = "progressed"
    done: float = Field(allow_inf_nan=False)
    total: float | None = Field(default=None, allow_inf_nan=False)
    message: str = Field(default="", max_length=500)


class Done(_FromInstance):
    """The attempt has written its outputs. `artifacts` are files that it leaves for people, by name."""

    type: Literal["done"] = "done"
    outputs: dict[str, Reference] = {}
    artifacts: tuple[FileRef, ...] = ()
    stats: AttemptStats | None = None
    log: LogRef | None = None


class Failed(_FromInstance):
    """The attempt ended without outputs. `convicting`: a supervisor saw its executor die of it (signal, memory, exit).
    `rejected`: rows that it had rejected until then, with their reasons."""

    type: Literal["failed"] = "failed"
    error: StepError
    convicting: bool = False
    rejected: Reference | None = None
    artifacts: tuple[FileRef, ...] = ()
    stats: AttemptStats | None = None
    log: LogRef | None = None


class Returned(_FromInstance):
    """The attempt comes back at no cost, unstarted: `busy`, `draining`, `recalled`, `unknown-module`; or ended by what was no
    fault of its own: `drained` (its instance had no more time), `executor-lost`."""

    type: Literal["returned"] = "returned"
    reason: str


class Renew(Versioned):
    """The instance still holds these attempts of one shard. `draining`: it takes nothing new, and waits for the answer that
    says that this was heard."""

    type: Literal["renew"] = "renew"
    instance: str
    shard: int
    attempts: tuple[str, ...]
    draining: bool = False


AnyResult = Accepted | Started | Progressed | Done | Failed | Returned | Renew
ResultMessage = Annotated[AnyResult, Field(discriminator="type")]


# -- runs --------------------------------------------------------------------------------------------------------


class Wake(Versioned):
    """The database has something new for a shard's owner: these runs were submitted, or something was asked of them.

    A hint, which may be lost: the owner also looks by itself. `runs` may leave some out when there are very many.
    """

    type: Literal["wake"] = "wake"
    shard: int
    runs: tuple[str, ...] = ()


# -- events ------------------------------------------------------------------------------------------------------


class RunChanged(Versioned):
    """What one commit changed in one run: the event row's number and its changes, in order."""

    type: Literal["run"] = "run"
    run: str
    seq: int
    state: str
    at: float
    changes: tuple[dict[str, Any], ...] = ()


class PlanAnswered(Versioned):
    """The answer to `ask-plan`, or (`error`) why there is none. Sent on the partition behind those of the shards."""

    type: Literal["plan-answered"] = "plan-answered"
    instance: str
    id: str
    answer: PlanAnswer | None = None
    error: str | None = None


class News(Versioned):
    """What a scheduler did beside the changes of runs, for whoever watches: a webhook was called, data was swept.

    Sent on the partition `NEWS`; `document` is what `GET /events` shows of it under `topic`.
    """

    type: Literal["news"] = "news"
    topic: str
    key: str
    document: dict[str, Any]


_DISPATCH: TypeAdapter[AnyDispatch] = TypeAdapter(DispatchMessage)
_RESULT: TypeAdapter[AnyResult] = TypeAdapter(ResultMessage)
_WAKE: TypeAdapter[Wake] = TypeAdapter(Wake)


def decode_wake(payload: bytes) -> Wake:
    """Read a `runs` message. Raises `InvalidMessage`, `ProtocolMismatch`."""
    return _decode(_WAKE, payload, RUNS)


def decode_dispatch(payload: bytes) -> AnyDispatch:
    """Read a `dispatch` message. Raises `InvalidMessage`, `ProtocolMismatch`."""
    return _decode(_DISPATCH, payload, DISPATCH)


def decode_result(payload: bytes) -> AnyResult:
    """Read a `results` message. Raises `InvalidMessage`, `ProtocolMismatch`."""
    return _decode(_RESULT, payload, RESULTS)


def _decode(adapter: TypeAdapter[_T], payload: bytes, topic: str) -> _T:
    if len(payload) > MESSAGE_LIMIT_BYTES:
        raise InvalidMessage(f"a message of {len(payload)} bytes on {topic!r} is over {MESSAGE_LIMIT_BYTES}")
    try:
        return adapter.validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidMessage(f"a message on {topic!r} cannot be read at {place!r}: {first['msg']}") from error
