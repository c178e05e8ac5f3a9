"""An event loop whose clock is virtual: when nothing is ready it jumps to the next timer. Real I/O is impossible.

Every callback belongs to the simulated process in whose context it was scheduled. One that is stalled has its
callbacks parked until it goes on; those of a dead one are dropped, as after `kill -9`: no `finally` runs.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import traceback
from collections.abc import Callable
from typing import Any, Protocol

MOST_STEPS_AT_ONCE = 100_000
"""So many rounds of the loop without any progress of the clock are a livelock."""


class Owner(Protocol):
    """A simulated process, as the loop sees it."""

    def holds(self, handle: asyncio.Handle) -> bool:
        """Whether the callback must not run now: it was parked, or dropped."""
        ...


OWNER: contextvars.ContextVar[Owner | None] = contextvars.ContextVar("owner", default=None)


class Stuck(Exception):
    """Nothing can ever happen again, or the clock does not move any more."""


class _Handle(asyncio.Handle):
    def _run(self) -> None:
        owner = self._context.get(OWNER)  # type: ignore[attr-defined]
        if owner is None or not owner.holds(self):
            super()._run()


class _TimerHandle(asyncio.TimerHandle):
    def _run(self) -> None:
        owner = self._context.get(OWNER)  # type: ignore[attr-defined]
        if owner is None or not owner.holds(self):
            super()._run()


class SimLoop(asyncio.BaseEventLoop):
    """See the module's text. `time()` starts at 0."""

    def __init__(self, failed: Callable[[str], None]) -> None:
        super().__init__()
        self._clock = 0.0
        self._steps = 0
        self._selector = self
        self.set_exception_handler(lambda _, context: self._unhandled(context, failed))

    def time(self) -> float:
        return self._clock

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any, **rest: Any) -> asyncio.Handle:  # type: ignore[override]
        raise Stuck(f"a thread calls {callback!r}: threads do not exist in the simulation")

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        timer = _TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def resume(self, handles: list[asyncio.Handle]) -> None:
        """Let parked callbacks run, in their order."""
        self._ready.extend(handles)  # type: ignore[attr-defined]

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        raise Stuck(f"{func!r} wants a thread: use Runtime.worker or Runtime.run_sync")

    # -- what BaseEventLoop asks of a real loop ----------------------------------------------------------------------

    def select(self, timeout: float | None) -> list[Any]:
        """The selector: no I/O, only time."""
        if timeout == 0:
            self._steps += 1
            if self._steps > MOST_STEPS_AT_ONCE:
                raise Stuck(f"the clock stands still at {self._clock:.3f}: something runs in circles")
            return []
        self._steps = 0
        if timeout is None:
            raise Stuck("nothing is scheduled any more")
        timers = self._scheduled  # type: ignore[attr-defined]
        self._clock = max(self._clock, timers[0]._when)
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        return None

    def _write_to_self(self) -> None:
        return None

    def _unhandled(self, context: dict[str, Any], failed: Callable[[str], None]) -> None:
        error = context.get("exception")
        if error is not None and not isinstance(error, Exception):
            return  # a simulated crash that went through a callback
        task = context.get("future") or context.get("task")
        name = task.get_name() if isinstance(task, asyncio.Task) else task
        place = traceback.format_tb(error.__traceback__)[-2:] if error is not None else []
        failed(f"unhandled in the loop: {context.get('message')}: {name!r}: {error!r} at {' '.join(place)}")
