"""Who waits for a run, and what wakes them: `RunChanged` messages on the bus topic `events`.

Events are a hint that SQL has something new; they may be lost, so whoever waits also asks SQL now and then. Register
first, then read: what is committed after the read wakes the watcher.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections import OrderedDict, deque
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from plugmesh.bus.port import Bus, Delivery, Subscription
from plugmesh.contracts.base import Versioned
from plugmesh.contracts.messages import EVENTS
from plugmesh.contracts.run import RUN_TERMINAL, SHARDS, RunState
from plugmesh.errors import PlugmeshError
from plugmesh.runtime import Runtime

ENDED = frozenset(state.value for state in RUN_TERMINAL)
_REMEMBERED = 20_000
_log = logging.getLogger("plugmesh.gateway")


class Change(Versioned):
    """The head of a `RunChanged` message: all that most watchers need, a fraction of the work to decode."""

    run: str
    seq: int
    state: str


class Watcher:
    """One request that waits for one run. Use it as a context manager.

    `changes` holds at most `backlog` messages with their numbers; when more came in, `missed` is set and the reader
    goes back to SQL.
    """

    def __init__(self, waiting: Waiting, run: str, backlog: int) -> None:
        self.run = run
        self.ended = False
        self.missed = False
        self.changes: deque[tuple[int, bytes]] = deque()
        self.backlog = backlog
        self._waiting = waiting
        self._awake: asyncio.Future[None] | None = None

    def offer(self, change: Change, payload: bytes) -> None:
        """Take a message; called by `Waiting`."""
        if change.state in ENDED:
            self.ended = True
        if self.backlog:
            if len(self.changes) >= self.backlog:
                self.changes.clear()
                self.missed = True
            self.changes.append((change.seq, payload))
        if self.ended or self.backlog:
            self.wake()

    def wake(self) -> None:
        """Let `wait` return."""
        if self._awake is not None and not self._awake.done():
            self._awake.set_result(None)

    async def wait(self, seconds: float) -> None:
        """Return when something was offered (without a backlog: when the run has ended), when the gateway closes,
        or after about `seconds`."""
        if self.ended or self.changes or self.missed or self._waiting.closed:
            return
        self._awake = asyncio.get_running_loop().create_future()
        self._waiting.wake_later(self, seconds)
        try:
            await self._awake
        finally:
            self._awake = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.forget(self)


class Waiting:
    """All watchers of a gateway, one subscription for all of them, and one task that keeps their time."""

    def __init__(self, runtime: Runtime, bus: Bus) -> None:
        self._runtime = runtime
        self._bus = bus
        self._watchers: dict[str, set[Watcher]] = {}
        self._states: OrderedDict[str, str] = OrderedDict()
        self._subscription: Subscription | None = None
        self._deadlines: list[tuple[float, int, Watcher]] = []
        self._numbers = itertools.count()
        self._timekeeper: asyncio.Task[None] | None = None
        self.closed = False
        self.ended: dict[str, int] = dict.fromkeys(sorted(ENDED), 0)
        """How many runs were seen to end, by state; for metrics."""

    def __len__(self) -> int:
        return sum(len(watchers) for watchers in self._watchers.values())

    @property
    def streams(self) -> int:
        """Watchers that follow every change; the others wait for an end."""
        return sum(watcher.backlog > 0 for watchers in self._watchers.values() for watcher in watchers)

    def start(self) -> None:
        """Begin to listen."""
        self._subscription = self._bus.subscribe(EVENTS, range(SHARDS), self._deliver)

    def close(self) -> None:
        """Stop listening and let everybody who waits go."""
        self.closed = True
        if self._subscription is not None:
            self._subscription.close()
        if self._timekeeper is not None:
            self._timekeeper.cancel()
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.wake()

    def watch(self, run: str, backlog: int = 0) -> Watcher:
        """Start watching; without a backlog only the end of the run is seen."""
        watcher = Watcher(self, run, backlog)
        self._watchers.setdefault(run, set()).add(watcher)
        return watcher

    def forget(self, watcher: Watcher) -> None:
        """Stop watching."""
        watchers = self._watchers.get(watcher.run)
        if watchers is not None:
            watchers.discard(watcher)
            if not watchers:
                del self._watchers[watcher.run]

    def submitted(self, run: str) -> None:
        """Remember that `run` is new, unless more is known already."""
        if run not in self._states:
            self._remember(run, RunState.QUEUED.value)

    def state(self, run: str) -> str | None:
        """The last state heard of `run`, if it is one of the recent ones. It may be behind SQL, never ahead."""
        return self._states.get(run)

    def wake_later(self, watcher: Watcher, seconds: float) -> None:
        """Wake `watcher` in `seconds`, and not more than a quarter of a second later."""
        heapq.heappush(self._deadlines, (self._runtime.now() + seconds, next(self._numbers), watcher))
        if self._timekeeper is None or self._timekeeper.done():
            self._timekeeper = self._runtime.spawn(self._keep_time(), "gateway-waiting")

    async def _keep_time(self) -> None:
        while self._deadlines:
            now = self._runtime.now()
            while self._deadlines and self._deadlines[0][0] <= now:
                heapq.heappop(self._deadlines)[2].wake()
            if self._deadlines:
                await self._runtime.sleep(min(0.25, self._deadlines[0][0] - now))

    def _deliver(self, delivery: Delivery) -> None:
        for payload in delivery.messages:
            try:
                change = Change.model_validate_json(payload)
            except (ValidationError, PlugmeshError) as error:
                _log.warning("dropped an event that cannot be read: %s", error)
                continue
            self._heard(change, payload)
        delivery.ack()

    def _heard(self, change: Change, payload: bytes) -> None:
        if change.state in ENDED and self._states.get(change.run) not in ENDED:
            self.ended[change.state] += 1
        self._remember(change.run, change.state)
        for watcher in tuple(self._watchers.get(change.run, ())):
            watcher.offer(change, payload)

    def _remember(self, run: str, state: str) -> None:
        if self._states.get(run) in ENDED:  # an older message, come late
            return
        self._states[run] = state
        self._states.move_to_end(run)
        if len(self._states) > _REMEMBERED:
            self._states.popitem(last=False)
