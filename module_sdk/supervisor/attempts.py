"""The attempts that an instance holds, and the ends of those it held. No I/O."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from enum import Enum

from pydantic import BaseModel

from module_sdk.supervisor.executor import Executor
from plugmesh.contracts.base import PROTOCOL, ProtocolVersion
from plugmesh.contracts.data import FileRef
from plugmesh.contracts.messages import attempt_id
from plugmesh.contracts.module import Limits

KNOWN_ENDS = 16_384
"""So many ended attempts are known by id, so that a message that comes twice starts nothing."""
KEPT_RESULTS = 256
"""So many of their results are kept, to be sent again when an assignment comes twice."""

NO_LIMITS = Limits()
Key = tuple[str, str, int]


class Head(BaseModel):
    """The part of a dispatch message that a supervisor looks at; the rest goes to the executor as it came."""

    v: ProtocolVersion = PROTOCOL
    type: str
    instance: str
    shard: int = -1
    term: int = 0
    run: str = ""
    step: str = ""
    epoch: int = 0
    module: str = ""
    version: str = ""
    prefix: str = ""
    timeout_s: float | None = None
    limits: Limits | None = None
    left_s: float | None = None


class Ending(Enum):
    """Why the supervisor ends an attempt before its result.

    `DRAINED`: its instance had no more time; `RECALLED`: its instance drains, and it had not begun.
    """

    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"
    MEMORY = "too much memory"
    CPU = "too much CPU time"
    STUCK = "stuck"
    LEASE_LOST = "lease lost"
    DRAINED = "drained"
    RECALLED = "draining"


GIVEN_BACK = frozenset({Ending.DRAINED, Ending.RECALLED})
"""Attempts that end for these reasons are returned, with the reason: another instance begins them anew, at no cost."""


@dataclass(slots=True, eq=False)
class Held:
    """One attempt from its assignment until its result is acknowledged. Times are monotonic seconds.

    `answered`: its result is here, but not yet its log. `own_limits`: what its module says of limits. `most_bytes`: the
    most memory that it was seen with. `progress`: a message that was not sent yet; `last_progress`: the last one that
    came. `artifacts`: files that it left for people.
    """

    key: Key
    head: Head
    number: int
    payload: bytes
    received_at: float
    concurrent: bool
    executor: Executor | None = None
    handed_at: float | None = None
    started_at: float | None = None
    told_accepted: bool = False
    told_started: bool = False
    result: bytes | None = None
    ending: Ending | None = None
    kill_at: float | None = None
    lease_until: float | None = None
    reason: str = ""
    answered: bool = False
    own_limits: Limits = NO_LIMITS
    most_bytes: int = 0
    progress: bytes = b""
    progress_at: float = 0.0
    last_progress: bytes = b""
    artifacts: list[FileRef] = field(default_factory=list)

    @property
    def limited(self) -> bool:
        """Whether a clock may end it."""
        head = self.head
        return (
            head.timeout_s is not None
            or head.left_s is not None
            or self.kill_at is not None
            or self.lease_until is not None
        )

    @property
    def watched(self) -> bool:
        """Whether what it uses has to be looked at while it runs."""
        limits = self.head.limits
        return limits is not None and (
            limits.memory_bytes is not None or limits.cpu_s is not None or limits.silent_s is not None
        )

    def is_late(self, now: float) -> bool:
        """Whether its run's time is over: its result is useless."""
        return self.head.left_s is not None and now >= self.received_at + self.head.left_s

    @property
    def id(self) -> str:
        """The attempt's text id."""
        return attempt_id(*self.key)

    @property
    def shard(self) -> int:
        """The shard that owns its run."""
        return self.head.shard


@dataclass(slots=True)
class Attempts:
    """All that an instance holds, by key and by the number that executors know it under."""

    held: dict[Key, Held] = field(default_factory=dict)
    queue: deque[Held] = field(default_factory=deque)
    running: dict[int, Held] = field(default_factory=dict)
    _ended: OrderedDict[Key, tuple[int, bytes] | None] = field(default_factory=OrderedDict)
    _kept: deque[Key] = field(default_factory=deque)
    _newest: dict[tuple[str, str], Held] = field(default_factory=dict)
    _numbers: int = 0

    def add(self, head: Head, payload: bytes, now: float, *, concurrent: bool) -> Held:
        """A new attempt, at the end of the queue."""
        self._numbers = self._numbers % 0xFFFF_FFFF + 1
        key = (head.run, head.step, head.epoch)
        attempt = Held(key, head, self._numbers, payload, now, concurrent)
        self.held[key] = self._newest[key[:2]] = attempt
        self.queue.append(attempt)
        return attempt

    def ended(self, key: Key) -> bool:
        """Whether it was here and is done with."""
        return key in self._ended

    def result_of(self, key: Key) -> tuple[int, bytes] | None:
        """Shard and result of an ended attempt, if it is still kept."""
        return self._ended.get(key)

    def newest(self, key: Key) -> Held | None:
        """The newest held attempt of the same step."""
        return self._newest.get(key[:2])

    def forget(self, attempt: Held, *, keep_result: bool = True) -> None:
        """It is over: acknowledged, superseded or given back."""
        if self.held.pop(attempt.key, None) is None:
            return
        self.running.pop(attempt.number, None)
        if attempt.executor is None and attempt in self.queue:
            self.queue.remove(attempt)
        if self._newest.get(attempt.key[:2]) is attempt:
            del self._newest[attempt.key[:2]]
        kept = keep_result and attempt.result is not None
        self._ended[attempt.key] = (attempt.shard, attempt.result) if kept and attempt.result is not None else None
        if kept:
            self._kept.append(attempt.key)
            if len(self._kept) > KEPT_RESULTS:
                oldest = self._kept.popleft()
                if oldest in self._ended:
                    self._ended[oldest] = None
        if len(self._ended) > KNOWN_ENDS:
            self._ended.popitem(last=False)

    def unended(self) -> int:
        """How many are queued or running."""
        return len(self.queue) + len(self.running)

    def by_shard(self) -> dict[int, list[str]]:
        """Ids of what was accepted, by shard: what leases are renewed for."""
        shards: dict[int, list[str]] = {}
        for attempt in self.held.values():
            if attempt.told_accepted or attempt.result is not None:
                shards.setdefault(attempt.shard, []).append(attempt.id)
        return shards
