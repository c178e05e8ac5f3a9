"""Watching attempts that take longer: what they use against their limits, whether they live, and their log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from module_sdk.supervisor.attempts import Ending, Held
from module_sdk.supervisor.livelogs import LiveLogs
from module_sdk.supervisor.settings import Settings
from module_sdk.supervisor.usage import cpu_seconds, data_bytes, family
from plugmesh.runtime import Runtime

_IDLE_SHARE = 0.001
"""A process that uses less of a CPU than this is waiting."""
_LOOKS = 10
"""So often within `silent_s` somebody looks for a sign of life."""


class Hand(Protocol):
    """What the watch may do to an attempt."""

    def end(self, attempt: Held, ending: Ending) -> None:
        """End it, and say so."""
        ...


@dataclass(slots=True)
class _Life:
    """The last signs of life. Times are monotonic seconds."""

    cpu_at_start: float
    cpu_s: float
    alive_at: float
    next_look: float
    log_bytes: int = 0
    progress: bytes = b""


class Watch:
    """One clock that ticks while an attempt needs it: often for attempts with limits, else a few times a second.

    Attempts of a shared process are only watched for their progress: nobody knows what is whose.
    """

    def __init__(
        self,
        runtime: Runtime,
        settings: Settings,
        hand: Hand,
        logs: LiveLogs,
        send: Callable[[int, bytes], None],
    ) -> None:
        self._runtime, self._settings, self._hand = runtime, settings, hand
        self._logs, self._send = logs, send
        self._limited: dict[int, Held] = {}
        self._long: dict[int, Held] = {}
        self._lives: dict[int, _Life] = {}
        self._limiting = self._looking = False

    def begin(self, attempt: Held) -> None:
        """It was handed to an executor; called for attempts that are `watched`."""
        if attempt.concurrent or attempt.executor is None or attempt.executor.pid is None:
            return
        self._limited[attempt.number] = attempt
        if not self._limiting:
            self._limiting = True
            self._runtime.spawn(self._limit(), "watch limits")

    def long(self, attempt: Held) -> None:
        """It runs and has not ended at once."""
        self._long[attempt.number] = attempt
        if not self._looking:
            self._looking = True
            self._runtime.spawn(self._look(), "watch")

    def drop(self, attempt: Held) -> None:
        """It is over."""
        if self._long.pop(attempt.number, None) is not None and attempt.progress:
            self._tell(attempt)
        if self._limited.pop(attempt.number, None) is not None:
            self._lives.pop(attempt.number, None)

    # -- limits ------------------------------------------------------------------------------------------------------

    async def _limit(self) -> None:
        while self._limited:
            await self._runtime.sleep(self._settings.limits_s)
            now = self._runtime.now()
            for attempt in list(self._limited.values()):
                if attempt.started_at is not None and attempt.ending is None and attempt.executor is not None:
                    self._check(attempt, now)
        self._limiting = False

    def _check(self, attempt: Held, now: float) -> None:
        limits = attempt.head.limits
        pid = None if attempt.executor is None else attempt.executor.pid
        if limits is None or pid is None:
            return
        pids = family(pid)
        if limits.memory_bytes is not None:
            used = data_bytes(pids)
            attempt.most_bytes = max(attempt.most_bytes, used)
            if used > limits.memory_bytes:
                self._hand.end(attempt, Ending.MEMORY)
                return
        if limits.cpu_s is None and limits.silent_s is None:
            return
        cpu = cpu_seconds(pids)
        life = self._lives.get(attempt.number)
        if life is None:
            life = self._lives[attempt.number] = _Life(cpu, cpu, now, now)
        if limits.cpu_s is not None and cpu - life.cpu_at_start > limits.cpu_s:
            self._hand.end(attempt, Ending.CPU)
        elif limits.silent_s is not None and now >= life.next_look:
            life.next_look = now + min(limits.silent_s / _LOOKS, 1.0)
            if not self._shows_life(attempt, life, cpu, now) and now - life.alive_at >= limits.silent_s:
                self._hand.end(attempt, Ending.STUCK)

    def _shows_life(self, attempt: Held, life: _Life, cpu: float, now: float) -> bool:
        log = self._logs.size(attempt)
        worked = cpu - life.cpu_s > max(_IDLE_SHARE * (now - life.alive_at), 0.002)
        if not worked and log == life.log_bytes and attempt.last_progress is life.progress:
            return False
        life.cpu_s, life.alive_at, life.log_bytes, life.progress = cpu, now, log, attempt.last_progress
        return True

    # -- what people see -----------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        while self._long:
            await self._runtime.sleep(self._settings.look_s)
            now = self._runtime.now()
            for attempt in list(self._long.values()):
                if attempt.progress and now - attempt.progress_at >= self._settings.progress_s:
                    self._tell(attempt)
                    attempt.progress_at = now
                self._logs.look(attempt, now)
        self._looking = False

    def _tell(self, attempt: Held) -> None:
        self._send(attempt.shard, attempt.progress)
        attempt.progress = b""
