"""Asking live instances what their modules would do: the `plan` message and its answer.

Nobody waits longer than they say. A question that is on its way is not asked twice, and an answer that comes when nobody
waits any more is kept for who asks next.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Collection

from pydantic import ValidationError

from plugmesh.bus.port import Bus, Delivery, Subscription
from plugmesh.contracts.data import MESSAGE_LIMIT_BYTES
from plugmesh.contracts.messages import ANSWER_S, ANSWERS, DISPATCH, EVENTS, AskPlan, PlanAnswered
from plugmesh.contracts.plan import PlanAnswer, PlanQuestion
from plugmesh.errors import PlugmeshError
from plugmesh.runtime import Runtime
from registry.registry import Member, Registry

MOST_ASKED = 2
"""So many instances are asked the same, one after another, before there is no answer."""
MOST_OPEN = 500
"""So many questions are on their way at a time; there is no answer to further ones."""
MOST_KEPT = 256
LATE_S = 10.0
"""So long an answer that nobody waited for is still told: what it was found in may change."""
_log = logging.getLogger("plugmesh.gateway")


class Asking:
    """All questions of one gateway. `start` before the first one, `close` after the last."""

    def __init__(self, runtime: Runtime, bus: Bus, registry: Registry) -> None:
        self._runtime, self._bus, self._registry = runtime, bus, registry
        self._open: dict[str, asyncio.Task[PlanAnswer | None]] = {}
        self._sent: dict[str, asyncio.Future[PlanAnswered]] = {}
        self._late: OrderedDict[str, tuple[PlanAnswer, float]] = OrderedDict()
        self._subscription: Subscription | None = None

    def start(self) -> None:
        """Begin to listen to answers."""
        self._subscription = self._bus.subscribe(EVENTS, [ANSWERS], self._deliver)

    def close(self) -> None:
        """Give every question up."""
        if self._subscription is not None:
            self._subscription.close()
        for task in tuple(self._open.values()):
            task.cancel()

    async def ask(self, question: PlanQuestion, within_s: float) -> PlanAnswer | None:
        """What the module says; `None` if no live instance has said it after `within_s`, or too much is asked already."""
        key = question.key
        late, until = self._late.pop(key, (None, 0.0))
        if self._runtime.now() < until:
            return late
        task = self._open.get(key)
        if task is None:
            if len(self._open) >= MOST_OPEN:
                return None
            task = self._open[key] = self._runtime.spawn(self._find(question), "ask plan")
            task.add_done_callback(lambda done: self._open.pop(key, None))
        await asyncio.wait([task], timeout=within_s)
        if not task.done():
            task.add_done_callback(lambda done: self._keep(key, done))
            return None
        return None if task.cancelled() else task.result()

    async def _find(self, question: PlanQuestion) -> PlanAnswer | None:
        asked: set[str] = set()
        while len(asked) < MOST_ASKED:
            member = self._member(question, asked)
            if member is None:
                return None
            asked.add(member.instance)
            answered = await self._ask(member, question)
            if answered is not None and answered.answer is not None:
                return answered.answer
            reason = "it does not answer" if answered is None else answered.error
            _log.info("no plan of %s@%s from %s: %s", question.module, question.version, member.instance, reason)
        return None

    def _member(self, question: PlanQuestion, but: Collection[str]) -> Member | None:
        """The least busy instance that serves exactly this contract."""
        serving = [
            member
            for member in self._registry.serving(question.module, question.version)
            if member.instance not in but
            and any(
                offer.name == question.module and offer.digest == question.digest
                for offer in member.registration.offers
            )
        ]
        return min(serving, key=lambda one: (one.running / one.registration.slots, one.instance), default=None)

    async def _ask(self, member: Member, question: PlanQuestion) -> PlanAnswered | None:
        message = AskPlan(instance=member.instance, id=self._runtime.new_id("q"), question=question)
        text = message.encode()
        if len(text) > MESSAGE_LIMIT_BYTES:
            return PlanAnswered(instance=member.instance, id=message.id, error="the question is too long for a message")
        answered = self._sent[message.id] = asyncio.get_running_loop().create_future()
        try:
            await self._bus.publish(DISPATCH, member.registration.partition, text)
            async with asyncio.timeout(ANSWER_S + 1.0):  # it says itself when it cannot
                said: PlanAnswered = await answered
                return said
        except (TimeoutError, PlugmeshError):
            return None
        finally:
            del self._sent[message.id]

    def _keep(self, key: str, task: asyncio.Task[PlanAnswer | None]) -> None:
        """An answer that nobody waited for to the end."""
        found = None if task.cancelled() or task.exception() is not None else task.result()
        if found is not None:
            self._late[key] = found, self._runtime.now() + LATE_S
            if len(self._late) > MOST_KEPT:
                self._late.popitem(last=False)

    def _deliver(self, delivery: Delivery) -> None:
        for payload in delivery.messages:
            try:
                answered = PlanAnswered.model_validate_json(payload)
            except (ValidationError, PlugmeshError) as error:
                _log.warning("dropped an answer that cannot be read: %s", error)
                continue
            waiting = self._sent.get(answered.id)
            if waiting is not None and not waiting.done():
                waiting.set_result(answered)
        delivery.ack()
