"""The supervisor: takes assignments, hands them to executors, keeps leases, and sends results until they are safe.

One attempt's way: `Assign` arrives and is queued; a free executor gets its bytes; the executor's `done` or `failed`
goes to `results` as it is, and is kept until the bus says that it cannot be lost. `accepted` and `started` are only
sent for attempts that take longer than about 10 ms: the result says both.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial

from pydantic import ValidationError

from module_sdk.frames import Kind
from module_sdk.supervisor import answers
from module_sdk.supervisor.attempts import Attempts, Ending, Head, Held
from module_sdk.supervisor.clocks import Clocks
from module_sdk.supervisor.executor import Executor, Executors, Exit
from module_sdk.supervisor.outbox import Outbox
from module_sdk.supervisor.pool import Pool
from module_sdk.supervisor.presence import Presence
from module_sdk.supervisor.settings import Settings
from plugmesh.bus.port import Bus, Delivery, Subscription
from plugmesh.contracts.instance import Registration
from plugmesh.contracts.messages import (
    DISPATCH,
    Cancel,
    LogRef,
    Recall,
    Refused,
    Renewed,
    decode_dispatch,
    split_attempt_id,
)
from plugmesh.contracts.module import ModuleContract, ModuleKind, contract_key
from plugmesh.contracts.run import StepError
from plugmesh.discovery.port import Discovery
from plugmesh.errors import Conflict, PlugmeshError
from plugmesh.objects.port import ObjectStore
from plugmesh.runtime import Runtime

SUSPECTS = 1024
ALL_REFUSED = 3
"""Exit code when the mesh refused every module."""

_log = logging.getLogger(__name__)


class Supervisor:
    """One instance. `notice` gets the few lines that a person in front of the process should see."""

    def __init__(  # noqa: PLR0917  everything it touches is given to it
        self,
        runtime: Runtime,
        bus: Bus,
        discovery: Discovery,
        objects: ObjectStore,
        registration: Registration,
        contracts: Sequence[ModuleContract],
        executors: Executors,
        settings: Settings | None = None,
        notice: Callable[[str], None] = _log.info,
    ) -> None:
        self._runtime, self._bus, self._objects = runtime, bus, objects
        self._registration = registration
        self._settings = settings or Settings()
        self._notice = notice
        self._contracts = {(contract.name, contract.version): contract for contract in contracts}
        self._refused: set[tuple[str, str]] = set()
        self._attempts = Attempts()
        self._pool = Pool(executors, self)
        self._outbox = Outbox(runtime, bus)
        self._clocks = Clocks(runtime, self._settings, self, self._outbox.send)
        self._presence = Presence(
            runtime, discovery, registration, self._attempts, self._outbox, self._settings, self._look_around
        )
        self._terms: dict[int, int] = {}
        self._suspects: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._down_since: float | None = None
        self._subscription: Subscription | None = None
        self._changed = asyncio.Event()
        self.ended = asyncio.Event()
        self.exit_code = 0

    # -- life ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Publish the contracts, listen, register. Returns when the instance is in the phone book."""
        for contract in self._contracts.values():
            await self._runtime.run_sync(self._store_contract, contract)
        partition = self._registration.partition
        end = await self._bus.end(DISPATCH, partition)
        self._subscription = self._bus.subscribe(DISPATCH, [partition], self._deliver, end)
        await self._presence.enter()
        self._runtime.point("supervisor.registered")

    async def drain(self) -> None:
        """Take nothing new, give back what has not started, finish the rest, leave; `ended` is set at the end."""
        if self._presence.draining:
            return
        self._presence.draining = True
        self._runtime.spawn(self._presence.beat(), "beat")
        for attempt in list(self._attempts.queue):
            self._give_back(attempt, "draining")
        deadline = self._runtime.now() + self._settings.drain_s
        while self._attempts.held and self._runtime.now() < deadline:
            self._changed.clear()
            await self._wait_for_change(deadline)
        for attempt in list(self._attempts.running.values()):
            self.end(attempt, Ending.DRAINED)
        while any(attempt.ending is Ending.DRAINED for attempt in self._attempts.held.values()):
            self._changed.clear()
            await self._wait_for_change(deadline + self._settings.shared_grace_s)
            if self._runtime.now() >= deadline + self._settings.shared_grace_s:
                break
        await self.stop()

    async def stop(self) -> None:
        """Leave at once: executors are killed, results that are not acknowledged are lost with this process."""
        if self._subscription is not None:
            self._subscription.close()
        self._pool.kill_all()
        await self._presence.leave()
        self.ended.set()

    def is_refused(self, contract: ModuleContract) -> bool:
        """Whether the mesh has said that it does not take this module."""
        return (contract.name, contract.version) in self._refused

    def link_changed(self, up: bool) -> None:
        """The link to the mesh is up or down; work goes on either way."""
        self._down_since = None if up else self._down_since or self._runtime.now()

    # -- what arrives from the mesh ------------------------------------------------------------------------------

    def _deliver(self, delivery: Delivery) -> None:
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
        if head.instance != self._registration.instance:
            return  # several instances may share a partition
        if head.shard >= 0:
            if head.term < self._terms.get(head.shard, 0):
                return  # from a scheduler that no longer owns the shard
            self._terms[head.shard] = head.term
        if head.type == "assign":
            self._assign(head, payload)
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
            self.forget(newest)
        refusal = self._refusal(head)
        if refusal is not None:
            self._outbox.send(head.shard, answers.returned(head, refusal))
            return
        contract = self._contracts[head.module, head.version]
        attempt = self._attempts.add(head, payload, self._runtime.now(), concurrent=contract.traits.concurrent)
        if contract.kind is ModuleKind.SINK and not contract.traits.idempotent:
            attempt.lease_until = attempt.received_at + self._settings.lease_s
        self._clocks.watch(attempt)
        self._fill()

    def _refusal(self, head: Head) -> str | None:
        """Why an assignment is not taken."""
        module = (head.module, head.version)
        if module not in self._contracts or module in self._refused:
            return "unknown-module"
        if self._presence.draining:
            return "draining"
        room = self._registration.slots + self._registration.prefetch
        return "busy" if self._attempts.unended() >= room else None

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
        if isinstance(message, Cancel):
            self._cancel(message)
        elif isinstance(message, Recall):
            attempt = self._attempts.held.get(split_attempt_id(message.attempt))
            if attempt is not None and attempt in self._attempts.queue:
                self._give_back(attempt, "recalled")
        elif isinstance(message, Renewed):
            self._renewed(message)
        elif isinstance(message, Refused):
            self._refuse(message)

    def _cancel(self, message: Cancel) -> None:
        attempt = self._attempts.held.get(split_attempt_id(message.attempt))
        if attempt is None or attempt.result is not None:
            return
        if attempt in self._attempts.queue:
            self._give_back(attempt, "cancelled")
        elif attempt.executor is not None and attempt.ending is None:
            attempt.ending, attempt.reason = Ending.CANCELLED, message.reason
            attempt.kill_at = self._runtime.now() + message.grace_s
            self._clocks.watch(attempt)
            attempt.executor.cancel(attempt.number)

    def _renewed(self, message: Renewed) -> None:
        for identity in message.superseded:
            attempt = self._attempts.held.get(split_attempt_id(identity))
            if attempt is not None:
                self.forget(attempt)
        until = self._runtime.now() + self._settings.lease_s
        for identity in message.attempts:
            attempt = self._attempts.held.get(split_attempt_id(identity))
            if attempt is not None and attempt.lease_until is not None:
                attempt.lease_until = until

    def _refuse(self, message: Refused) -> None:
        self._refused.add((message.module, message.version))
        self._notice(
            f"{message.module}@{message.version} is refused: the mesh knows this version with another contract. "
            f"Give it a new version. The difference: {message.difference}"
        )
        if self._refused >= set(self._contracts):
            self.exit_code = ALL_REFUSED
            self.ended.set()

    # -- executors -----------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Hand queued attempts to executors while there are free slots."""
        queue, running = self._attempts.queue, self._attempts.running
        while queue and len(running) < self._registration.slots:
            attempt = queue.popleft()
            if attempt.is_late(self._runtime.wall()):
                self._attempts.forget(attempt)
                self._clocks.drop(attempt)
                continue
            try:
                executor = self._pool.take(attempt, alone=attempt.key[:2] in self._suspects)
            except OSError as error:
                self._finish(attempt, answers.failed(attempt.head, answers.not_started(attempt.head, error)))
                continue
            self._hand(attempt, executor)

    def _hand(self, attempt: Held, executor: Executor) -> None:
        """Give a queued attempt to its executor."""
        self._attempts.running[attempt.number] = attempt
        attempt.executor = executor
        attempt.handed_at = self._runtime.now()
        attempt.started_at = attempt.handed_at if self._pool.is_ready(executor) else None
        executor.assign(attempt.number, attempt.payload)
        attempt.payload = b""
        self._clocks.watch(attempt)

    def on_frame(self, executor: Executor, kind: int, number: int, payload: bytes) -> None:
        """An executor says something (see `Listener`)."""
        if kind == Kind.READY:
            self._pool.ready(executor)
            for attempt in self._pool.attempts_of(executor):
                attempt.started_at = self._runtime.now()
            return
        found = self._attempts.running.get(number)
        if found is None or found.executor is not executor:
            if kind == Kind.RESULT:  # of an attempt that was forgotten
                self._pool.release(executor, number, self._runtime.now())
            return
        if kind == Kind.RESULT:
            self._pool.release(executor, number, self._runtime.now())
            self._finish(found, payload if found.ending is None else answers.judged(found, payload))
            self._fill()
        elif kind == Kind.PREPARING:
            found.started_at = None
        elif kind == Kind.STARTED:
            found.started_at = self._runtime.now()

    def on_exit(self, executor: Executor, exit: Exit) -> None:
        """An executor ended (see `Listener`)."""
        victims = [attempt for attempt in self._pool.remove(executor) if attempt.result is None]
        blamed = [attempt for attempt in victims if attempt.ending is not None]
        for attempt in victims:
            self._attempts.running.pop(attempt.number, None)
            if attempt.ending is Ending.DRAINED:
                self._finish(attempt, answers.returned(attempt.head, "draining"))
            elif attempt.ending is not None:
                self._runtime.spawn(self._report(attempt, answers.ended(attempt, exit), exit), "report")
            elif len(victims) == 1 and not exit.killed:
                error = answers.died(attempt.head, exit)
                self._runtime.spawn(self._report(attempt, error, exit, convicting=True), "report")
            else:
                # Nobody knows which of them it was: none is convicted; if none is to blame yet, each runs alone next.
                if not blamed and not exit.killed:
                    self._suspect(attempt)
                self._finish(attempt, answers.returned(attempt.head, "executor-lost"))
        self._fill()

    async def _report(self, attempt: Held, error: StepError, exit: Exit, *, convicting: bool = False) -> None:
        log = await self._upload(attempt, exit)
        self._finish(attempt, answers.failed(attempt.head, error, convicting=convicting, log=log))

    async def _upload(self, attempt: Held, exit: Exit) -> LogRef | None:
        """Keep the log of an executor that could not do it itself."""
        if not exit.log:
            return None
        key = f"{attempt.head.prefix}/{self._runtime.new_id('log')}.jsonl"
        try:
            await self._runtime.run_sync(_put, self._objects, key, exit.log)
        except PlugmeshError as error:
            _log.warning("the log of %s could not be kept: %s", attempt.id, error)
            return None
        return LogRef(key=key, bytes=len(exit.log), lines=exit.lines, truncated=exit.cut)

    def _suspect(self, attempt: Held) -> None:
        self._suspects[attempt.key[:2]] = None
        if len(self._suspects) > SUSPECTS:
            self._suspects.popitem(last=False)

    # -- ends ----------------------------------------------------------------------------------------------------

    def _finish(self, attempt: Held, payload: bytes) -> None:
        """It has a result, which is sent until it is safe."""
        if attempt.key not in self._attempts.held:
            return
        attempt.result = payload
        self._attempts.running.pop(attempt.number, None)
        self._clocks.drop(attempt)
        self._outbox.send(attempt.shard, payload, partial(self._acknowledged, attempt))

    def _acknowledged(self, attempt: Held) -> None:
        """Its result cannot be lost any more."""
        self._attempts.forget(attempt)
        self._changed.set()

    def _give_back(self, attempt: Held, reason: str) -> None:
        """It has not started: return it."""
        self._attempts.queue.remove(attempt)
        self._finish(attempt, answers.returned(attempt.head, reason))

    def end(self, attempt: Held, ending: Ending) -> None:
        """End a running attempt: its executor is killed; beside others it is first asked."""
        executor = attempt.executor
        if executor is None:
            return
        attempt.ending = ending
        if len(self._pool.attempts_of(executor)) > 1 and attempt.kill_at is None:
            attempt.kill_at = self._runtime.now() + self._settings.shared_grace_s
            self._clocks.watch(attempt)
            executor.cancel(attempt.number)
        else:
            executor.kill()

    def forget(self, attempt: Held) -> None:
        """It is no longer ours: stop it, say nothing."""
        executor = attempt.executor
        running = attempt.number in self._attempts.running
        self._attempts.forget(attempt, keep_result=False)
        self._clocks.drop(attempt)
        self._changed.set()
        if running and executor is not None:
            if len(self._pool.attempts_of(executor)) > 1:
                executor.cancel(attempt.number)
            else:
                executor.kill()
        self._fill()

    def _look_around(self) -> None:
        """After each beat: end executors without work, and this process if nobody needs it."""
        self._pool.retire_idle(self._runtime.now() - self._settings.idle_s)
        limit = self._settings.orphan_exit_s
        if limit is None or self._down_since is None or self._attempts.running or self._attempts.queue:
            return  # a result that nobody fetches is no reason to stay: its step is done again
        if self._runtime.now() - self._down_since >= limit:
            self._notice(f"the mesh has been away for {limit:g} s and nothing is at work: this process ends")
            self.ended.set()

    # -- rim -----------------------------------------------------------------------------------------------------

    def _store_contract(self, contract: ModuleContract) -> None:
        try:
            _put(self._objects, contract_key(contract.digest), contract.encode())
        except Conflict:  # another instance brought it
            return

    async def _wait_for_change(self, deadline: float) -> None:
        """Until something ended, or the time is over."""
        waker = self._runtime.spawn(self._wake_at(deadline), "drain clock")
        await self._changed.wait()
        waker.cancel()

    async def _wake_at(self, deadline: float) -> None:
        await self._runtime.sleep(max(0.0, deadline - self._runtime.now()))
        self._changed.set()


def _put(objects: ObjectStore, key: str, data: bytes) -> None:
    writer = objects.create(key)
    try:
        writer.write(data)
        writer.commit()
    except BaseException:
        writer.abort()
        raise
