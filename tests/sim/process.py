"""Simulated processes and the `Runtime` that each of them is given."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from plugmesh.runtime import SystemRuntime, Worker
from tests.sim.loop import OWNER, SimLoop

T = TypeVar("T")

EPOCH = 1_800_000_000.0
"""The wall clock at the start of every simulation."""


class Crashed(BaseException):
    """The process has ended in the middle of what it did. No `except Exception` can catch it."""


class House(Protocol):
    """What a process needs of the world it lives in."""

    loop: SimLoop

    def outside(self, when: float, function: Callable[..., Any], *args: Any) -> None:
        """Call something that belongs to no process (the network, the world) at a time of the loop's clock."""
        ...

    def note(self, who: str, what: str) -> None:
        """Add an event to the trace."""
        ...

    def reached(self, process: SimProcess, point: str) -> None:
        """A crash point was reached; may crash the process or raise what a failing disk would."""
        ...


class SimProcess:
    """One process. `kind` groups processes that may be crashed at the same points."""

    def __init__(self, house: House, name: str, kind: str, seed: int, skew_s: float = 0.0) -> None:
        self.house, self.name, self.kind = house, name, kind
        self.alive = True
        self.stalled = False
        self.context = contextvars.copy_context()
        self.context.run(OWNER.set, self)
        self.runtime = SimRuntime(self, seed, skew_s)
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.on_death: list[Callable[[], None]] = []
        self._parked: list[asyncio.Handle] = []
        self._steps_left: int | None = None

    def holds(self, handle: asyncio.Handle) -> bool:
        if not self.alive:
            return True
        if self.stalled:
            self._parked.append(handle)
            return True
        if self._steps_left is not None:
            self._steps_left -= 1
            if self._steps_left <= 0:
                self.kill("at a step of its loop")
                return True
        return False

    def doom(self, steps: int) -> None:
        """Let it die when, counted from now, it is to take its `steps`-th step: at an await, wherever that is."""
        self._steps_left = max(1, steps)

    def spare(self) -> None:
        """Let it live, whatever it was doomed to."""
        self._steps_left = None

    def check(self) -> None:
        """Raise if this process is dead: nothing that it still tries has an effect."""
        if not self.alive:
            raise Crashed(f"{self.name} is dead")

    def kill(self, why: str) -> None:
        """End it at once."""
        if not self.alive:
            return
        self.house.note(self.name, f"dies: {why}")
        self.alive = False
        for hook in self.on_death:
            hook()

    def stall(self) -> None:
        """Stop it (SIGSTOP)."""
        self.stalled = True

    def go_on(self) -> None:
        """Let it go on (SIGCONT)."""
        self.stalled = False
        parked, self._parked = self._parked, []
        self.house.loop.resume(parked)

    def spawn(self, coroutine: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Start a task of this process, from wherever this is called."""
        if not self.alive:
            coroutine.close()
            raise Crashed(f"{self.name} is dead")
        task = self.house.loop.create_task(coroutine, name=name, context=self.context.copy())
        self.tasks[task] = None
        task.add_done_callback(lambda done: self.tasks.pop(done, None), context=contextvars.Context())
        return task

    def call_soon(self, function: Callable[..., Any], *args: Any) -> asyncio.Handle:
        """Call a function in this process, behind what is already to be called."""
        return self.house.loop.call_soon(function, *args, context=self.context.copy())

    def call_later(self, delay_s: float, function: Callable[..., Any], *args: Any) -> asyncio.TimerHandle:
        """Call a function in this process after a delay."""
        return self.call_at(self.house.loop.time() + delay_s, function, *args)

    def call_at(self, when: float, function: Callable[..., Any], *args: Any) -> asyncio.TimerHandle:
        """Call a function in this process at a time of the loop's clock."""
        return self.house.loop.call_at(when, function, *args, context=self.context.copy())

    def bury(self) -> None:
        """Close the coroutines that never ended, so that the garbage collector finds nothing to complain about."""
        self.alive = False
        for task in list(self.tasks):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            coroutine = task.get_coro()
            try:
                coroutine.close()
            except (Crashed, RuntimeError):
                continue  # it awaited while it was being closed; it is dead anyway


class SimRuntime(SystemRuntime):
    """The `Runtime` of one simulated process."""

    def __init__(self, process: SimProcess, seed: int, skew_s: float) -> None:
        super().__init__(seed)
        self._process = process
        self._house = process.house
        self._base_s = self._random.uniform(0.0, 10_000.0)  # monotonic clocks of two processes have nothing in common
        self._skew_s = skew_s
        self._delays = random.Random(seed + 1)  # apart from what the process itself draws

    def now(self) -> float:
        return self._house.loop.time() + self._base_s

    def wall(self) -> float:
        return EPOCH + self._house.loop.time() + self._skew_s

    def new_id(self, prefix: str) -> str:
        self._process.check()
        return super().new_id(prefix)

    def set_clock(self, by_s: float) -> None:
        """Somebody sets the machine's clock."""
        self._skew_s += by_s

    async def sleep(self, seconds: float) -> None:
        late = self._delays.uniform(0.0, 0.001) if seconds > 0 else 0.0
        await asyncio.sleep(seconds + late)

    def spawn(self, coroutine: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        return self._process.spawn(coroutine, name)

    def worker(self, name: str) -> Worker:
        return SimWorker(self._process, self._delays, name)

    async def run_sync(self, function: Callable[..., T], *args: Any) -> T:
        await asyncio.sleep(self._delays.uniform(0.0, 0.003))
        self._process.check()
        result = function(*args)
        await asyncio.sleep(self._delays.uniform(0.0, 0.003))
        return result

    def point(self, name: str) -> None:
        self._process.check()
        self._house.reached(self._process, name)


class SimWorker:
    """A thread that runs calls one after another; each takes a little virtual time before and after."""

    def __init__(self, process: SimProcess, delays: random.Random, name: str) -> None:
        self._process, self._delays, self._name = process, delays, name
        self._calls: deque[tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]]] = deque()
        self._busy = False

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        return await self.begin(function, *args)

    def begin(self, function: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        self._process.check()
        future: asyncio.Future[T] = self._process.house.loop.create_future()
        self._calls.append((future, function, args))
        if not self._busy:
            self._busy = True
            self._process.spawn(self._run(), self._name)
        return future

    def brief(self, function: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        return self.begin(function, *args)

    @property
    def waiting(self) -> int:
        return len(self._calls)

    def close(self) -> None:
        while self._calls:  # what was queued is finished
            self._one(*self._calls.popleft())

    async def _run(self) -> None:
        while self._calls:
            await asyncio.sleep(self._delays.uniform(0.00005, 0.001))
            refusal = await self._admitted()
            if not self._calls:
                break
            future, function, args = self._calls.popleft()
            outcome = (None, refusal) if refusal is not None else self._outcome(function, args)
            await asyncio.sleep(self._delays.uniform(0.00005, 0.001))
            self._settle(future, *outcome)
        self._busy = False

    async def _admitted(self) -> Exception | None:
        """Wait until the next call may be made; the error that it gets instead."""
        return None

    def _one(self, future: asyncio.Future[Any], function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._settle(future, *self._outcome(function, args))

    def _outcome(self, function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Any, Exception | None]:
        try:
            return function(*args), None
        except Exception as error:  # noqa: BLE001  the awaiting task is told, whatever it was
            return None, error

    @staticmethod
    def _settle(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
