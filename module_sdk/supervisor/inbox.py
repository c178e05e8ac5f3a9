"""What schedulers say to an instance: each message looked at by its head, and carried out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from pydantic import ValidationError

from module_sdk.supervisor import answers
from module_sdk.supervisor.attempts import Head, Held
from module_sdk.supervisor.outbox import Outbox
from module_sdk.supervisor.settings import Settings
from module_sdk.supervisor.work import Work
from plugmesh.bus.port import Delivery
from plugmesh.contracts.messages import (
    AskPlan,
    Cancel,
    Drain,
    Recall,
    Refused,
    Renewed,
    SetSlots,
    decode_dispatch,
    split_attempt_id,
)
from plugmesh.contracts.module import ModuleContract
from plugmesh.errors import PlugmeshError
from plugmesh.runtime import Runtime

_log = logging.getLogger(__name__)


class Inbox:
    """Messages on `dispatch` for one instance. `refusal` says why nothing new is taken now, if that is so; `on_instance`
    is told what is about the instance as a whole: modules that the mesh does not take, draining, who has heard of it, the number
    of slots."""

    def __init__(  # noqa: PLR0917  everything it touches is given to it
        self,
        runtime: Runtime,
        instance: str,
        contracts: Sequence[ModuleContract],
        work: Work,
        outbox: Outbox,
        settings: Settings,
        refusal: Callable[[], str | None],
        on_instance: Callable[[Refused | Drain | SetSlots | Renewed], None],
    ) -> None:
        self._runtime, self._instance, self._settings = runtime, instance, settings
        self._contracts = {(contract.name, contract.version): contract for contract in contracts}
        self._work, self._attempts, self._outbox = work, work.attempts, outbox
        self._refusal, self._on_instance = refusal, on_instance
        self._terms: dict[int, int] = {}
        self.refused: set[tuple[str, str]] = set()

    @property
    def all_refused(self) -> bool:
        """Whether the mesh takes none of the modules."""
        return self.refused >= set(self._contracts)

    def deliver(self, delivery: Delivery) -> None:
        """Carry out what has arrived."""
        for payload in delivery.messages:
            try:
                self._receive(payload)
            except PlugmeshError as error:
                _log.warning("a message was dropped: %s", error)
        delivery.ack()

    def _receive(self, payload: bytes) -> None:
        try:
            head = Head.model_validate_json(payload)
        except ValidationError as error:
            _log.warning("a message on dispatch cannot be read: %s", error.errors(include_url=False)[0]["msg"])
            return
        if head.instance != self._instance:
            return  # several instances may share a partition
        if head.shard >= 0:
            if head.term < self._terms.get(head.shard, 0):
                return  # from a scheduler that no longer owns the shard
            self._terms[head.shard] = head.term
        if head.type == "assign":
            self._assign(head, payload)
        elif head.type == "ask-plan":
            self._ask(payload)
        else:
            self._other(decode_dispatch(payload))

    def _assign(self, head: Head, payload: bytes) -> None:
        key = (head.run, head.step, head.epoch)
        known = self._attempts.held.get(key)
        if known is not None:
            self._answer_again(known)
            return
        if self._attempts.ended(key):
            kept = self._attempts.result_of(key)
            if kept is not None:
                self._outbox.send(*kept)
            return
        newest = self._attempts.newest(key)
        if newest is not None:
            if newest.key[2] > head.epoch:
                return
            self._work.forget(newest)
        module = (head.module, head.version)
        contract = None if module in self.refused else self._contracts.get(module)
        refusal = "unknown-module" if contract is None else self._refusal()
        if contract is None or refusal is not None:
            self._outbox.send(head.shard, answers.returned(head, refusal or ""))
        else:
            self._work.take(head, payload, contract)

    def _ask(self, payload: bytes) -> None:
        message = decode_dispatch(payload)
        assert isinstance(message, AskPlan)
        question = message.question
        contract = self._contracts.get((question.module, question.version))
        self._work.planning.ask(message, payload, contract)

    def _answer_again(self, attempt: Held) -> None:
        """The assignment came twice: the scheduler does not know what became of it."""
        if attempt.result is not None:
            return  # it is being sent, for as long as that takes
        self._outbox.send(attempt.shard, answers.accepted(attempt.head))
        attempt.told_accepted = True
        if attempt.started_at is not None:
            self._outbox.send(attempt.shard, answers.started(attempt.head))
            attempt.told_started = True

    def _other(self, message: object) -> None:
        match message:
            case Cancel():
                self._cancel(message)
            case Recall():
                attempt = self._attempts.held.get(split_attempt_id(message.attempt))
                if attempt is not None and attempt in self._attempts.queue:
                    self._work.give_back(attempt, "recalled")
            case Renewed():
                self._renewed(message)
            case Refused():
                self.refused.add((message.module, message.version))
                self._on_instance(message)
            case Drain() | SetSlots():
                self._on_instance(message)

    def _cancel(self, message: Cancel) -> None:
        attempt = self._attempts.held.get(split_attempt_id(message.attempt))
        if attempt is None or attempt.result is not None:
            return
        if attempt in self._attempts.queue:
            self._work.give_back(attempt, "cancelled")
        else:
            self._work.cancel(attempt, message.reason, message.grace_s)

    def _renewed(self, message: Renewed) -> None:
        for identity in message.superseded:
            attempt = self._attempts.held.get(split_attempt_id(identity))
            if attempt is not None:
                self._work.forget(attempt)
        until = self._runtime.now() + self._settings.lease_s
        for identity in message.attempts:
            attempt = self._attempts.held.get(split_attempt_id(identity))
            if attempt is not None and attempt.lease_until is not None:
                attempt.lease_until = until
        if message.draining:
            self._on_instance(message)
