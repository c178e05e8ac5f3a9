"""What an instance works on: attempts from the queue to an executor, and from their end until the result is safe.

The data path is thin on purpose: bytes in, bytes out, and of a message only its head is looked at.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial

from module_sdk.frames import Kind
from module_sdk.supervisor import answers
from module_sdk.supervisor.attempts import Attempts, Ending, Head, Held
from module_sdk.supervisor.clocks import Clocks
from module_sdk.supervisor.deaths import Deaths
from module_sdk.supervisor.executor import Executor, Executors, Exit
from module_sdk.supervisor.livelogs import LiveLogs
from module_sdk.supervisor.outbox import Outbox
from module_sdk.supervisor.planning import Planning
from module_sdk.supervisor.pool import Pool
from module_sdk.supervisor.settings import Settings
from module_sdk.supervisor.told import log_told
from module_sdk.supervisor.watch import Watch
from plugmesh.contracts.data import FileRef
from plugmesh.contracts.module import ModuleContract, ModuleKind
from plugmesh.objects.port import ObjectStore
from plugmesh.runtime import Runtime

_ASKED_WHERE = frozenset({Ending.TIMED_OUT, Ending.CPU, Ending.STUCK})
"""An executor that ends for these reasons is first asked where its code is."""


class Work:
    """The attempts of one instance, and the executors that run them (it is their `Listener`).

    `changed` is set whenever an attempt is over; `on_spans` gets what executors traced.
    """

    def __init__(  # noqa: PLR0917  everything it touches is given to it
        self,
        runtime: Runtime,
        objects: ObjectStore,
        executors: Executors,
        outbox: Outbox,
        settings: Settings,
        slots: int,
        on_spans: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        self._runtime, self._outbox, self._settings = runtime, outbox, settings
        self._on_spans = on_spans
        self.slots = slots
        self.attempts = Attempts()
        self.changed = asyncio.Event()
        self._draining = False
        self._pool = Pool(executors, self)
        self.planning = Planning(runtime, self._pool, self, outbox.answer)
        self._clocks = Clocks(runtime, settings, self, outbox.send)
        self._logs = LiveLogs(runtime, objects)
        self._watch = Watch(runtime, settings, self, self._logs, outbox.send)
        self._deaths = Deaths(runtime, objects, self._logs, self.finish)

    @property
    def idle(self) -> bool:
        """Whether nothing is queued and nothing runs."""
        return not self.attempts.running and not self.attempts.queue

    # -- the way in ------------------------------------------------------------------------------------------------

    def take(self, head: Head, payload: bytes, contract: ModuleContract) -> None:
        """A new attempt."""
        attempt = self.attempts.add(head, payload, self._runtime.now(), concurrent=contract.traits.concurrent)
        if contract.kind is ModuleKind.SINK and not contract.traits.idempotent:
            attempt.lease_until = attempt.received_at + self._settings.lease_s
        attempt.own_limits = contract.limits
        self._clocks.watch(attempt)
        self.fill()

    def fill(self) -> None:
        """Hand queued attempts to executors while there are free slots."""
        queue, running, planning = self.attempts.queue, self.attempts.running, self.planning
        if planning.waiting:
            planning.begin(self.slots - len(running) - planning.taken)
        while queue and len(running) + planning.taken < self.slots:
            attempt = queue.popleft()
            if attempt.is_late(self._runtime.now()):
                self.attempts.forget(attempt)
                self._drop(attempt)
                continue
            try:
                executor = self._pool.take(attempt, alone=self._deaths.suspects(attempt))
            except OSError as error:
                self.finish(attempt, answers.failed(attempt.head, answers.not_started(attempt.head, error)))
                continue
            self._hand(attempt, executor)

    def _hand(self, attempt: Held, executor: Executor) -> None:
        """Give a queued attempt to its executor."""
        self.attempts.running[attempt.number] = attempt
        attempt.executor = executor
        attempt.handed_at = self._runtime.now()
        attempt.started_at = attempt.handed_at if self._pool.is_ready(executor) else None
        executor.assign(attempt.number, attempt.payload)
        if attempt.concurrent:  # of the others there are few at a time, and a crash asks for their inputs
            attempt.payload = b""
        self._clocks.watch(attempt)
        if attempt.watched:
            self._watch.begin(attempt)

    def takes_long(self, attempt: Held) -> None:
        """It runs, and did not end at once."""
        self._watch.long(attempt)

    # -- what executors say ----------------------------------------------------------------------------------------

    def on_frame(self, executor: Executor, kind: int, number: int, payload: bytes) -> None:
        """An executor says something (see `Listener`)."""
        if kind == Kind.READY:
            self._pool.ready(executor)
            for attempt in self._pool.attempts_of(executor):
                attempt.started_at = self._runtime.now()
            return
        if kind == Kind.PLANNED:
            self.planning.answered(number, payload)
            return
        found = self.attempts.running.get(number)
        if found is None or found.executor is not executor:
            self._of_forgotten(executor, kind, number, payload)
            return
        if kind == Kind.RESULT:
            self._pool.release(executor, number, self._runtime.now())
            self.finish(found, payload if found.ending is None else answers.judged(found, payload))
            self.fill()
        else:
            self._on_rare_frame(found, executor, kind, payload)

    def _on_rare_frame(self, attempt: Held, executor: Executor, kind: int, payload: bytes) -> None:
        match kind:
            case Kind.PREPARING:
                attempt.started_at = None
            case Kind.STARTED:
                attempt.started_at = self._runtime.now()
            case Kind.PROGRESS:
                attempt.progress = attempt.last_progress = payload
            case Kind.ARTIFACT:
                attempt.artifacts.append(FileRef.model_validate_json(payload))
            case Kind.UNLOGGED:
                attempt.answered = True
                self._drop(attempt)
                log = None if executor.log is None else os.dup(executor.log)
                self._runtime.spawn(self._finish_with_log(attempt, executor, payload, log), "keep log")
            case Kind.SPANS:
                self._on_spans(payload)
            case Kind.LOGGED:
                log_told(payload)
            case Kind.LEAVING:
                self._pool.leave(executor)
            case Kind.AGAIN:
                self._pool.leave(executor)
                self._pool.release(executor, attempt.number, self._runtime.now())
                attempt.payload = payload
                self._start_again(attempt)

    def _of_forgotten(self, executor: Executor, kind: int, number: int, payload: bytes) -> None:
        """A frame about no attempt that runs here."""
        if kind == Kind.SPANS:
            self._on_spans(payload)
        elif kind == Kind.LOGGED:
            log_told(payload)
        elif kind == Kind.LEAVING:
            self._pool.leave(executor)
        elif kind == Kind.RESULT:
            self._pool.release(executor, number, self._runtime.now())
        elif kind == Kind.AGAIN:
            self._pool.leave(executor)
            self._pool.release(executor, number, self._runtime.now())
        elif kind == Kind.UNLOGGED:
            if executor.log is not None:
                os.ftruncate(executor.log, 0)
            self._pool.release(executor, number, self._runtime.now())

    def _start_again(self, attempt: Held) -> None:
        """Hand it to a fresh executor: the one it was on is not fit for it."""
        if self._draining:
            self.finish(attempt, answers.returned(attempt.head, "draining"))
            return
        try:
            executor = self._pool.take_fresh(attempt)
        except OSError as error:
            self.finish(attempt, answers.failed(attempt.head, answers.not_started(attempt.head, error)))
            return
        self._hand(attempt, executor)

    async def _finish_with_log(self, attempt: Held, executor: Executor, payload: bytes, log: int | None) -> None:
        """The end of one that took long: its executor is free when the log was read from its file."""
        kept = await self._logs.close(attempt, log)
        self._pool.release(executor, attempt.number, self._runtime.now())
        if attempt.ending is not None:
            payload = answers.judged(attempt, payload)
        self.finish(attempt, answers.with_log(payload, kept))
        self.fill()

    def on_exit(self, executor: Executor, exit: Exit) -> None:
        """An executor ended (see `Listener`)."""
        ran = self._pool.remove(executor)
        self.planning.lost(executor, exit)
        victims = [attempt for attempt in ran if attempt.result is None and not attempt.answered]
        for attempt in victims:
            self.attempts.running.pop(attempt.number, None)
        self._deaths.judge(victims, exit)
        self.fill()

    # -- ends ------------------------------------------------------------------------------------------------------

    def finish(self, attempt: Held, payload: bytes) -> None:
        """It has a result, which is sent until it is safe."""
        if attempt.key not in self.attempts.held:
            return
        self._drop(attempt)
        attempt.result, attempt.payload = payload, b""
        self.attempts.running.pop(attempt.number, None)
        self._outbox.send(attempt.shard, payload, partial(self._acknowledged, attempt))

    def _drop(self, attempt: Held) -> None:
        self._clocks.drop(attempt)
        self._watch.drop(attempt)

    def _acknowledged(self, attempt: Held) -> None:
        """Its result cannot be lost any more."""
        self.attempts.forget(attempt)
        self.changed.set()

    def give_back(self, attempt: Held, reason: str) -> None:
        """It has not started: return it."""
        self.attempts.queue.remove(attempt)
        self.finish(attempt, answers.returned(attempt.head, reason))

    def withdraw(self) -> None:
        """This instance drains: give back all that has not begun, from now on at once.

        That is what is queued, and what waits for its executor to come up or to import its file. A sink that is not
        idempotent is not taken from an executor that is up: it may have begun, and nobody knows it yet.
        """
        self._draining = True
        self.planning.drain()
        for attempt in list(self.attempts.queue):
            self.give_back(attempt, "draining")
        for attempt in list(self.attempts.running.values()):
            executor = attempt.executor
            if executor is None or attempt.ending is not None or attempt.started_at is not None:
                continue
            if attempt.lease_until is not None and self._pool.is_ready(executor):
                continue
            if all(other.started_at is None for other in self._pool.attempts_of(executor)):
                attempt.ending = Ending.RECALLED
                executor.kill()

    def cancel(self, attempt: Held, reason: str, grace_s: float) -> None:
        """Ask a running attempt to stop, and kill its executor after `grace_s`."""
        if attempt.executor is None or attempt.ending is not None:
            return
        attempt.ending, attempt.reason = Ending.CANCELLED, reason
        attempt.kill_at = self._runtime.now() + grace_s
        self._clocks.watch(attempt)
        attempt.executor.cancel(attempt.number)

    def end(self, attempt: Held, ending: Ending) -> None:
        """End a running attempt: its executor is killed; beside others it is first asked."""
        executor = attempt.executor
        if executor is None:
            return
        attempt.ending = ending
        if ending in _ASKED_WHERE and not attempt.concurrent and executor.pid is not None:
            attempt.kill_at = self._runtime.now() + self._settings.dump_s
            self._clocks.watch(attempt)
            executor.dump()
        elif len(self._pool.attempts_of(executor)) > 1 and attempt.kill_at is None:
            attempt.kill_at = self._runtime.now() + self._settings.shared_grace_s
            self._clocks.watch(attempt)
            executor.cancel(attempt.number)
        else:
            executor.kill()

    def end_all(self) -> None:
        """There is no more time: what runs is ended and given back; what is being ended gets no more grace."""
        for attempt in list(self.attempts.running.values()):
            if attempt.ending is None:
                self.end(attempt, Ending.DRAINED)
            else:
                attempt.kill_at = self._runtime.now()
                self._clocks.watch(attempt)

    def forget(self, attempt: Held) -> None:
        """It is no longer ours: stop it, say nothing."""
        executor = attempt.executor
        running = attempt.number in self.attempts.running
        self.attempts.forget(attempt, keep_result=False)
        attempt.progress = b""
        self._drop(attempt)
        self._logs.drop(attempt)
        self.changed.set()
        if running and executor is not None:
            if len(self._pool.attempts_of(executor)) > 1:
                executor.cancel(attempt.number)
            else:
                executor.kill()
        self.fill()

    # -- executors without work --------------------------------------------------------------------------------------

    def retire_idle(self) -> None:
        """End executors that have had nothing to do for long."""
        self._pool.retire_idle(self._runtime.now() - self._settings.idle_s)

    def kill_all(self) -> None:
        """End all executors at once."""
        self._pool.kill_all()
