"""Things to do at some time, and threads that do them."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable

Deed = Callable[[], float | None]
"""Something to do: `None` when it is done, else after how many seconds it is to be tried again."""


class Agenda:
    """Deeds by the time when they are due. `broken` says what went wrong with deeds that raised something."""

    def __init__(self, threads: int) -> None:
        self.broken: list[str] = []
        self._entries: list[tuple[float, int, Deed]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._at_work = 0
        self._closed = False
        self._threads = [threading.Thread(target=self._work, name=f"client-{n}", daemon=True) for n in range(threads)]

    def start(self) -> None:
        """Begin; returns at once."""
        for thread in self._threads:
            thread.start()

    @property
    def idle(self) -> bool:
        """Everything is done."""
        with self._changed:
            return not self._entries and not self._at_work

    def close(self) -> None:
        """Forget what is left to do, and end the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def later(self, seconds: float, deed: Deed) -> None:
        """Let it be done after so many seconds."""
        with self._changed:
            heapq.heappush(self._entries, (time.monotonic() + seconds, next(self._numbers), deed))
            self._changed.notify()

    def _work(self) -> None:
        while (deed := self._next()) is not None:
            try:
                again = deed()
                if again is not None:
                    self.later(again, deed)
            except Exception as error:  # noqa: BLE001  nobody may believe that it was done
                self.broken.append(f"a client broke: {type(error).__name__}: {error}")
            finally:
                with self._changed:
                    self._at_work -= 1

    def _next(self) -> Deed | None:
        with self._changed:
            while not self._closed:
                wait_s = self._entries[0][0] - time.monotonic() if self._entries else None
                if wait_s is not None and wait_s <= 0:
                    self._at_work += 1
                    return heapq.heappop(self._entries)[2]
                self._changed.wait(wait_s)
        return None
