"""Things to do later. Pure: the clock is the caller's monotonic time, in seconds."""

from __future__ import annotations

import heapq
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Timer:
    """At `when`, look at this step of this run (an empty step: at the run itself).

    `due` is the Unix time that was asked for. It counts, and not what the clock on the wall shows at `when`: that one
    may have been set back meanwhile.
    """

    when: float
    run: str
    step: str = ""
    due: float = 0.0


class Timers:
    """A heap. Timers are never taken back: who is woken looks whether there still is something to do."""

    def __init__(self) -> None:
        self._heap: list[Timer] = []

    def __len__(self) -> int:
        return len(self._heap)

    def set(self, when: float, run: str, step: str = "", due: float = 0.0) -> None:
        """Add a timer."""
        heapq.heappush(self._heap, Timer(when, run, step, due))

    def due(self, now: float) -> list[Timer]:
        """Take what is due."""
        due: list[Timer] = []
        while self._heap and self._heap[0].when <= now:
            due.append(heapq.heappop(self._heap))
        return due

    def next(self) -> float | None:
        """When the next one is due."""
        return self._heap[0].when if self._heap else None
