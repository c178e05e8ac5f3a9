"""What an instance works on: attempts from the queue to an executor, and from their end until the result is safe.

The data path is thin on purpose: bytes in, bytes out, and of a message only its head is looked at.
"""

from __future__ import annotations

import asyncio
from functools import partial

from module_sdk.frames import Kind
from module_sdk.supervisor import answers
from module_sdk.supervisor.attempts import Attempts, Ending, Head, Held
from module_sdk.supervisor.clocks import Clocks
from module_sdk.supervisor.deaths import Deaths
from module_sdk.supervisor.executor import Executor, Executors, Exit
from module_sdk.supervisor.outbox import Outbox
from module_sdk.supervisor.pool import Pool
from module_sdk.supervisor.settings import Settings
from plugmesh.contracts.module import ModuleContract, ModuleKind
from plugmesh.objects.port import ObjectStore
from plugmesh.runtime import Runtime


class Work:
    """The attempts of one instance, and the executors that run them (it is their `Listener`).

    `changed` is set whenever an attempt is over.
    """

    def __init__(  # noqa: PLR0917  everything it touches is given to it
        self,
        runtime: Runtime,
        objects: ObjectStore,
        executors: Executors,
        outbox: Outbox,
        settings: Settings,
        slots: int,
    ) -> None:
        self._runtime, self._outbox, self._settings = runtime, outbox, settings
        self.slots = slots
        self.attempts = Attempts()
        self.changed = asyncio.Event()
        self._pool = Pool(executors, self)
        self._clocks = Clocks(runtime, settings, self, outbox.send)
        self._deaths = Deaths(runtime, objects, self.finish)

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
        self._clocks.watch(attempt)
        self.fill()

    def fill(self) -> None:
        """Hand queued attempts to executors while there are free slots."""
        queue, running = self.attempts.queue, self.attempts.running
        while queue and len(running) < self.slots:
            attempt = queue.popleft()
            if attempt.is_late(self._runtime.wall()):
                self.attempts.forget(attempt)
                self._clocks.drop(attempt)
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
        attempt.payload = b""
        self._clocks.watch(attempt)

    # -- what executors say ----------------------------------------------------------------------------------------

    def on_frame(self, executor: Executor, kind: int, number: int, payload: bytes) -> None:
        """An executor says something (see `Listener`)."""
        if kind == Kind.READY:
            self._pool.ready(executor)
            for attempt in self._pool.attempts_of(executor):
                attempt.started_at = self._runtime.now()
            return
        found = self.attempts.running.get(number)
        if found is None or found.executor is not executor:
            if kind == Kind.RESULT:  # of an attempt that was forgotten
                self._pool.release(executor, number, self._runtime.now())
            return
        if kind == Kind.RESULT:
            self._pool.release(executor, number, self._runtime.now())
            self.finish(found, payload if found.ending is None else answers.judged(found, payload))
            self.fill()
        elif kind == Kind.PREPARING:
            found.started_at = None
        elif kind == Kind.STARTED:
            found.started_at = self._runtime.now()

    def on_exit(self, executor: Executor, exit: Exit) -> None:
        """An executor ended (see `Listener`)."""
        victims = [attempt for attempt in self._pool.remove(executor) if attempt.result is None]
        for attempt in victims:
            self.attempts.running.pop(attempt.number, None)
        self._deaths.judge(victims, exit)
        self.fill()

    # -- ends ------------------------------------------------------------------------------------------------------

    def finish(self, attempt: Held, payload: bytes) -> None:
        """It has a result, which is sent until it is safe."""
        if attempt.key not in self.attempts.held:
            return
        attempt.result = payload
        self.attempts.running.pop(attempt.number, None)
        self._clocks.drop(attempt)
        self._outbox.send(attempt.shard, payload, partial(self._acknowledged, attempt))

    def _acknowledged(self, attempt: Held) -> None:
        """Its result cannot be lost any more."""
        self.attempts.forget(attempt)
        self.changed.set()

    def give_back(self, attempt: Held, reason: str) -> None:
        """It has not started: return it."""
        self.attempts.queue.remove(attempt)
        self.finish(attempt, answers.returned(attempt.head, reason))

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
        if len(self._pool.attempts_of(executor)) > 1 and attempt.kill_at is None:
            attempt.kill_at = self._runtime.now() + self._settings.shared_grace_s
            self._clocks.watch(attempt)
            executor.cancel(attempt.number)
        else:
            executor.kill()

    def forget(self, attempt: Held) -> None:
        """It is no longer ours: stop it, say nothing."""
        executor = attempt.executor
        running = attempt.number in self.attempts.running
        self.attempts.forget(attempt, keep_result=False)
        self._clocks.drop(attempt)
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
