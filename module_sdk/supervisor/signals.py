"""What signals mean to a supervisor: the first one drains, the next one ends it at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

ASKED_BY_SERVER = signal.SIGUSR1
"""How the server that started this process asks it to drain.

Not SIGTERM: whoever stops a whole group of processes (a service manager, a terminal) has sent that to this one as well, and
two of them mean that somebody is in a hurry.
"""


class Signals:
    """Takes SIGTERM, Ctrl-C and `ASKED_BY_SERVER` until the process ends.

    `asked` is set by the first of any of them; `hurry` is called for each SIGTERM or Ctrl-C but the first.
    """

    def __init__(self, hurry: Callable[[], None]) -> None:
        self._hurry = hurry
        self._by_people = 0
        self.asked = asyncio.Event()

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take them from now on."""
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.by_people)
        loop.add_signal_handler(ASKED_BY_SERVER, self.asked.set)

    def by_people(self) -> None:
        """Somebody sent SIGTERM, or pressed Ctrl-C."""
        self._by_people += 1
        self.asked.set()
        if self._by_people > 1:
            self._hurry()
