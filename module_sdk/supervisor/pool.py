"""The executors of one supervisor: which are free, which run what."""

from __future__ import annotations

from dataclasses import dataclass, field

from module_sdk.supervisor.attempts import Held
from module_sdk.supervisor.executor import Executor, Executors, Listener


@dataclass(slots=True)
class _Member:
    executor: Executor
    ready: bool = False
    alone: bool = False
    leaving: bool = False
    attempts: dict[int, Held] = field(default_factory=dict)


class Pool:
    """Executors are started on first use; the one that was used last is used next, so that the others can retire."""

    def __init__(self, executors: Executors, listener: Listener) -> None:
        self._executors = executors
        self._listener = listener
        self._members: dict[Executor, _Member] = {}
        self._idle: dict[Executor, float] = {}
        self._shared: Executor | None = None

    def take(self, attempt: Held, *, alone: bool) -> Executor:
        """An executor for `attempt`. One that is `alone` shares its executor with nobody, though it could."""
        member = self._free(attempt, alone)
        member.attempts[attempt.number] = attempt
        return member.executor

    def take_fresh(self, attempt: Held) -> Executor:
        """An executor for `attempt` that has not run anything yet; one that can be shared is shared with what comes."""
        if attempt.concurrent:
            return self.take(attempt, alone=False)
        member = self._start(shared=False)
        member.attempts[attempt.number] = attempt
        return member.executor

    def lend(self, *, concurrent: bool) -> Executor:
        """An executor for something that is no attempt, until `give_back`; a free one, or one that is shared anyway."""
        if concurrent:
            if self._shared is None:
                self._shared = self._start(shared=True).executor
            return self._shared
        for executor in reversed(self._idle):
            if not executor.shared:
                del self._idle[executor]
                return executor
        return self._start(shared=False).executor

    def give_back(self, executor: Executor, now: float) -> None:
        """What it was lent for is done."""
        member = self._members.get(executor)
        if member is not None and not member.attempts and not member.leaving:
            self._idle[executor] = now

    def leave(self, executor: Executor) -> None:
        """Nothing more is handed to it, and it ends when it has finished what it runs."""
        member = self._members.get(executor)
        if member is None:
            return
        member.leaving = True
        self._idle.pop(executor, None)
        if self._shared is executor:
            self._shared = None
        if not member.attempts:
            executor.retire()

    def is_ready(self, executor: Executor) -> bool:
        """Whether it has come up."""
        return self._members[executor].ready

    def ready(self, executor: Executor) -> None:
        """It has come up."""
        if executor in self._members:
            self._members[executor].ready = True

    def attempts_of(self, executor: Executor) -> list[Held]:
        """What it runs."""
        member = self._members.get(executor)
        return list(member.attempts.values()) if member else []

    def release(self, executor: Executor, number: int, now: float) -> None:
        """It is done with one attempt."""
        member = self._members.get(executor)
        if member is None:
            return
        member.attempts.pop(number, None)
        if member.leaving or member.alone:
            if not member.attempts:
                executor.retire()
        elif not member.attempts:
            self._idle[executor] = now

    def remove(self, executor: Executor) -> list[Held]:
        """It ended; what it ran."""
        member = self._members.pop(executor, None)
        self._idle.pop(executor, None)
        if self._shared is executor:
            self._shared = None
        return list(member.attempts.values()) if member else []

    def retire_idle(self, before: float) -> None:
        """End those that have been free since `before`."""
        for executor in [executor for executor, since in self._idle.items() if since <= before]:
            del self._idle[executor]
            if self._shared is executor:
                self._shared = None
            executor.retire()

    def kill_all(self) -> None:
        """End all."""
        for executor in list(self._members):
            executor.kill()

    def _free(self, attempt: Held, alone: bool) -> _Member:
        if attempt.concurrent and not alone:
            if self._shared is None:
                self._shared = self._start(shared=True).executor
            self._idle.pop(self._shared, None)
            return self._members[self._shared]
        if not attempt.concurrent:
            for executor in reversed(self._idle):
                if not executor.shared:
                    del self._idle[executor]
                    return self._members[executor]
        return self._start(shared=attempt.concurrent, alone=alone and attempt.concurrent)

    def _start(self, *, shared: bool, alone: bool = False) -> _Member:
        executor = self._executors.start(self._listener, shared=shared)
        member = self._members[executor] = _Member(executor, alone=alone)
        return member
