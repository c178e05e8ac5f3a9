"""Clock, ids, randomness, tasks and threads: the only door to the machine, so that a simulation can own it.

Nothing in Plugmesh calls `time.time`, `uuid4`, `random` or `asyncio.create_task` directly. Components receive a
`Runtime`; tests pass one whose clock is virtual, whose randomness has a seed and whose processes can be crashed
at named points.
"""

from __future__ import annotations

import asyncio
import queue
import random
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base 32, lower case


class Worker(Protocol):
    """One thread that runs blocking calls one after another."""

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Run `function(*args)` on the thread and return its result; its exception is raised here."""
        ...

    def begin(self, function: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Like `call`, but begun at once: the caller can do something else before it awaits the outcome."""
        ...

    def brief(self, function: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Like `begin`, for a call that is expected to take less than a millisecond and that somebody waits for: where
        nothing else is under way it may run here and now, which saves two hops between threads."""
        ...

    @property
    def waiting(self) -> int:
        """Calls that no thread has begun yet."""
        ...

    def close(self) -> None:
        """Let queued calls finish, then end the thread."""
        ...


class Threads(Protocol):
    """A few threads that run blocking calls at the same time."""

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Run `function(*args)` on one of them, when one is free; its exception is raised here. Raises `RuntimeError` when
        they are closed."""
        ...

    def close(self) -> None:
        """Take no more calls. Those that there are go on, and nobody waits for them."""
        ...


class Runtime(Protocol):
    """What a component may ask of the machine it runs on."""

    def now(self) -> float:
        """Monotonic seconds; for durations and deadlines inside one process."""
        ...

    def wall(self) -> float:
        """Unix time in seconds; for what is stored or shown, never for deciding who owns work."""
        ...

    def new_id(self, prefix: str) -> str:
        """A fresh id, `prefix-` and 16 characters that sort by creation time (to the millisecond)."""
        ...

    def random(self) -> random.Random:
        """The process's source of randomness (jitter, tie-breaking); never for secrets."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; under simulation, virtual time."""
        ...

    def spawn(self, coroutine: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Start a task that belongs to this process. The caller keeps the task and awaits or cancels it."""
        ...

    def worker(self, name: str) -> Worker:
        """A dedicated thread for blocking calls (database, object store)."""
        ...

    def threads(self, name: str, most: int) -> Threads:
        """Up to `most` threads for blocking calls that may wait long, so that no others wait with them."""
        ...

    async def run_sync(self, function: Callable[..., T], *args: Any) -> T:
        """Run one blocking call on some thread; for calls that are rare or long."""
        ...

    def point(self, name: str) -> None:
        """A named crash point: inert, unless a test runtime is loaded that ends the process here."""
        ...


BRIEF_S = 0.001
"""Calls that should be brief and block the event loop for longer than this, on average, are not trusted for a while."""
DISTRUST_S = 10.0
_BRIEF_WEIGHT = 0.05
"""Of the last call in the average: one in a hundred may take 15 ms, as a checkpoint of SQLite's log does."""


class ThreadWorker:
    """`Worker` over a `SimpleQueue`: a hop of about 30 µs, where `run_in_executor` costs about 130."""

    def __init__(self, name: str) -> None:
        self._open = 0
        """Calls that have not come back to the event loop, which alone counts them: one that nobody awaits any more
        still runs."""
        self._brief_s = self._distrusted_until = 0.0
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        return await self.begin(function, *args)

    def begin(self, function: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._open += 1
        self._calls.put(_Call(loop, self._ended, future, function, args))
        return future

    def brief(self, function: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        begun = time.monotonic()
        if self._open or begun < self._distrusted_until:
            return self.begin(function, *args)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        try:
            future.set_result(function(*args))
        except Exception as error:  # noqa: BLE001  it is raised where the outcome is awaited
            future.set_exception(error)
        ended = time.monotonic()
        self._brief_s += _BRIEF_WEIGHT * (ended - begun - self._brief_s)
        if self._brief_s > BRIEF_S:
            self._brief_s, self._distrusted_until = 0.0, ended + DISTRUST_S
        return future

    @property
    def waiting(self) -> int:
        return self._calls.qsize()

    def close(self) -> None:
        self._calls.put(None)
        self._thread.join()

    def _ended(self) -> None:
        self._open -= 1

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call.run()


class ThreadPool:
    """`Threads` that are begun when there is something to do for them. A process does not wait for them at its end."""

    def __init__(self, name: str, most: int) -> None:
        self._name, self._most = name, most
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._open = 0
        """Calls that have not come back to the event loop, which alone counts them."""
        self._closed = False
        self.begun = 0

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        if self._closed:
            raise RuntimeError(
                f"the threads for {self._name} are closed: nothing more can be asked of what they were for"
            )
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._open += 1
        self._calls.put(_Call(loop, self._ended, future, function, args))
        if self.begun < min(self._open, self._most):
            self.begun += 1
            threading.Thread(target=self._run, name=f"{self._name}-{self.begun}", daemon=True).start()
        return await future

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            for _ in range(self.begun):
                self._calls.put(None)

    def _ended(self) -> None:
        self._open -= 1

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call.run()


class _Call:
    __slots__ = ("args", "ended", "function", "future", "loop")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ended: Callable[[], None],
        future: asyncio.Future[Any],
        function: Callable[..., Any],
        args: tuple[Any, ...],
    ) -> None:
        self.loop, self.ended, self.future, self.function, self.args = loop, ended, future, function, args

    def run(self) -> None:
        try:
            result, error = self.function(*self.args), None
        except BaseException as exc:  # noqa: BLE001  the awaiting task is told, whatever it was
            result, error = None, exc
        try:
            self.loop.call_soon_threadsafe(self._resolve, result, error)
        except RuntimeError:  # the loop was closed while we worked: nobody waits any more
            return

    def _resolve(self, result: Any, error: BaseException | None) -> None:
        self.ended()
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)


class SystemRuntime:
    """The real machine."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)
        self._tasks: set[asyncio.Task[Any]] = set()

    def now(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    def new_id(self, prefix: str) -> str:
        number = (int(self.wall() * 1000) << 32) | self._random.getrandbits(32)
        digits = []
        for _ in range(16):
            number, digit = divmod(number, 32)
            digits.append(_ALPHABET[digit])
        return f"{prefix}-{''.join(reversed(digits))}"

    def random(self) -> random.Random:
        return self._random

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def spawn(self, coroutine: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)  # the loop itself only keeps weak references
        task.add_done_callback(self._tasks.discard)
        return task

    def worker(self, name: str) -> Worker:
        return ThreadWorker(name)

    def threads(self, name: str, most: int) -> Threads:
        return ThreadPool(name, most)

    async def run_sync(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.to_thread(function, *args)

    def point(self, name: str) -> None:
        return None
