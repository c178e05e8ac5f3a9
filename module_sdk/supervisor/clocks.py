"""What time does to attempts: it tells on those that take longer, and ends those that take too long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from module_sdk.supervisor import answers
from module_sdk.supervisor.attempts import Ending, Held
from module_sdk.supervisor.settings import Settings
from plugmesh.runtime import Runtime


class Hand(Protocol):
    """What the clocks may do to an attempt."""

    def end(self, attempt: Held, ending: Ending) -> None:
        """End it, and say so."""
        ...

    def forget(self, attempt: Held) -> None:
        """End it silently."""
        ...

    def takes_long(self, attempt: Held) -> None:
        """It runs, and did not end at once."""
        ...


class Clocks:
    """Two clocks that only tick while an attempt needs them, one for many attempts: a timer for each would cost more
    than a short step does."""

    def __init__(self, runtime: Runtime, settings: Settings, hand: Hand, send: Callable[[int, bytes], None]) -> None:
        self._runtime, self._settings, self._hand, self._send = runtime, settings, hand, send
        self._unsettled: dict[int, Held] = {}
        self._limited: dict[int, Held] = {}
        self._settling = self._limiting = False

    def watch(self, attempt: Held) -> None:
        """Look at an attempt that is new, was handed to an executor, or got another limit."""
        if not (attempt.told_accepted and attempt.told_started):
            self._unsettled[attempt.number] = attempt
            if not self._settling:
                self._settling = True
                self._runtime.spawn(self._settle(), "settle")
        if attempt.limited:
            self._limited[attempt.number] = attempt
            if not self._limiting:
                self._limiting = True
                self._runtime.spawn(self._limit(), "limits")

    def drop(self, attempt: Held) -> None:
        """It is over."""
        self._unsettled.pop(attempt.number, None)
        self._limited.pop(attempt.number, None)

    async def _settle(self) -> None:
        """Tell what was accepted and started, of attempts that did not end at once."""
        while self._unsettled:
            await self._runtime.sleep(self._settings.settle_s)
            young = self._runtime.now() - self._settings.settle_s * 0.9
            for attempt in list(self._unsettled.values()):
                self._tell(attempt, young)
        self._settling = False

    def _tell(self, attempt: Held, young: float) -> None:
        if attempt.received_at <= young and not attempt.told_accepted:
            attempt.told_accepted = True
            self._send(attempt.shard, answers.accepted(attempt.head))
        if attempt.executor is None and attempt.told_accepted:
            del self._unsettled[attempt.number]  # looked at again when it runs
        elif attempt.started_at is not None and attempt.started_at <= young:
            attempt.told_started = True
            self._send(attempt.shard, answers.started(attempt.head))
            del self._unsettled[attempt.number]
            self._hand.takes_long(attempt)

    async def _limit(self) -> None:
        """End what is over its time."""
        while self._limited:
            await self._runtime.sleep(self._settings.limits_s)
            now = self._runtime.now()
            for attempt in list(self._limited.values()):
                if attempt.number in self._limited:  # not ended together with another one just now
                    self._check(attempt, now)
        self._limiting = False

    def _check(self, attempt: Held, now: float) -> None:
        if attempt.is_late(now):
            self._hand.forget(attempt)
        elif attempt.kill_at is not None and now >= attempt.kill_at:
            attempt.kill_at = None
            if attempt.executor is not None:
                attempt.executor.kill()
        elif attempt.ending is None:
            self._check_lease_and_timeout(attempt, now)

    def _check_lease_and_timeout(self, attempt: Held, now: float) -> None:
        if attempt.lease_until is not None and now >= attempt.lease_until:
            if attempt.executor is None:
                self._hand.forget(attempt)
            else:
                self._hand.end(attempt, Ending.LEASE_LOST)
        elif attempt.head.timeout_s is not None and attempt.handed_at is not None:
            # Until its code runs, a file has to be imported, which the timeout does not count.
            begin = attempt.started_at
            begin = attempt.handed_at + self._settings.prepare_s if begin is None else begin
            if now >= begin + attempt.head.timeout_s:
                self._hand.end(attempt, Ending.TIMED_OUT)
