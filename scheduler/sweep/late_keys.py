"""Which runs may still turn up behind those that were seen: a server numbers rows in one order, and shows them in another.

A row has its number (its key) from the moment it is inserted, and is there for others when its transaction is over. On
SQLite one transaction follows the other; on a server a lower key can turn up after a higher one, and whoever goes on behind
the highest key that he has seen would never look at it. Pure.
"""

from __future__ import annotations

from collections import deque

LATE_S = 600.0
"""No transaction lasts so long: a client gives up an answer after 30 s (unless `?timeout_s=` says more), and a server ends one
that says nothing for 10 s (MySQL: 60 s)."""


class LateKeys:
    """What the looks of one process have seen. Keys up to `settled` have turned up, or never will, and were looked at since.

    A key that is not above the highest one of a look was given out before it began. So a look that begins `late_s` seconds
    later finds its transaction over.
    """

    def __init__(self, late_s: float = LATE_S) -> None:
        self._late_s = late_s
        self._seen: deque[tuple[float, int]] = deque()
        self.settled = 0

    def looked(self, began: float, highest: int) -> None:
        """All from `settled` on was looked at, by a look that began then (seconds of a clock that never goes back), right after
        it had asked for the highest key."""
        self._seen.append((began, highest))
        while self._seen and self._seen[0][0] <= began - self._late_s:
            self.settled = self._seen.popleft()[1]
