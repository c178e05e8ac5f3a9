"""Questions about what modules would do: each is put to an executor, for a plan is its author's code.

A question waits for a free executor before attempts that are queued do, and takes the place of one while it is answered:
that is a matter of milliseconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from module_sdk.supervisor.executor import Executor, Exit
from module_sdk.supervisor.pool import Pool
from plugmesh.contracts.messages import ANSWER_S, AskPlan, PlanAnswered
from plugmesh.contracts.module import ModuleContract
from plugmesh.runtime import Runtime

MOST_WAITING = 256
"""More questions than this are not taken."""


class Hand(Protocol):
    """What questions need of the work."""

    def fill(self) -> None:
        """A place may be free, or wanted."""
        ...


@dataclass(slots=True, eq=False)
class Asked:
    """One question, until it is answered."""

    number: int
    message: AskPlan
    payload: bytes
    concurrent: bool
    executor: Executor | None = None


class Planning:
    """The questions of one instance. `say` sends an answer. `taken` counts the executors that are busy with one."""

    def __init__(self, runtime: Runtime, pool: Pool, hand: Hand, say: Callable[[bytes], None]) -> None:
        self._runtime, self._pool, self._hand, self._say = runtime, pool, hand, say
        self._asked: dict[int, Asked] = {}
        self._numbers = 0
        self.waiting: deque[Asked] = deque()
        self.taken = 0
        self.draining = False

    def ask(self, message: AskPlan, payload: bytes, contract: ModuleContract | None) -> None:
        """A question has come."""
        refusal = self._refusal(message, contract)
        if contract is None or refusal is not None:
            self._say(_without(message, refusal or ""))
            return
        self._numbers = self._numbers % 0xFFFF_FFFF + 1
        asked = Asked(self._numbers, message, payload, contract.traits.concurrent)
        self._asked[asked.number] = asked
        self.waiting.append(asked)
        self._runtime.spawn(self._expire(asked), "plan clock")
        self._hand.fill()

    def begin(self, places: int) -> None:
        """Put questions to executors; `places` more of these may be busy."""
        while self.waiting and (places > 0 or self.waiting[0].concurrent):
            asked = self.waiting.popleft()
            try:
                asked.executor = self._pool.lend(concurrent=asked.concurrent)
            except OSError as error:
                self._end(asked, _without(asked.message, f"no process could be started: {error}"))
                continue
            if not asked.concurrent:
                self.taken += 1
                places -= 1
            asked.executor.plan(asked.number, asked.payload)

    def answered(self, number: int, payload: bytes) -> None:
        """An executor has an answer."""
        asked = self._asked.get(number)
        if asked is None:
            return
        executor = asked.executor
        self._end(asked, payload)
        if executor is not None:
            self._pool.give_back(executor, self._runtime.now())
        self._hand.fill()

    def lost(self, executor: Executor, exit: Exit) -> None:
        """An executor ended."""
        for asked in [asked for asked in self._asked.values() if asked.executor is executor]:
            self._end(asked, _without(asked.message, f"its process ended: {exit.reason}"))

    def drain(self) -> None:
        """This instance leaves."""
        self.draining = True
        for asked in tuple(self.waiting):
            self._end(asked, _without(asked.message, "the instance drains"))

    def _refusal(self, message: AskPlan, contract: ModuleContract | None) -> str | None:
        if contract is None or contract.digest != message.question.digest:
            return "the instance does not serve this module"
        if self.draining:
            return "the instance drains"
        return "too many questions are waiting" if len(self.waiting) >= MOST_WAITING else None

    def _end(self, asked: Asked, payload: bytes) -> None:
        if self._asked.pop(asked.number, None) is None:
            return
        if asked.executor is None:
            if asked in self.waiting:
                self.waiting.remove(asked)
        elif not asked.concurrent:
            self.taken -= 1
        self._say(payload)

    async def _expire(self, asked: Asked) -> None:
        await self._runtime.sleep(ANSWER_S)
        if asked.number not in self._asked:
            return
        if asked.executor is None:
            self._end(asked, _without(asked.message, f"all executors were busy for {ANSWER_S:g} s"))
            return
        self._end(asked, _without(asked.message, f"its plan takes longer than {ANSWER_S:g} s"))
        if not asked.concurrent:
            asked.executor.kill()


def _without(message: AskPlan, error: str) -> bytes:
    return PlanAnswered(instance=message.instance, id=message.id, error=error).encode()
