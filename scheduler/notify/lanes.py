"""Who is called next: a lane for each host, so that a slow receiver holds up nobody but itself."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from plugmesh.state.notifications import StoredNotification

AT_A_TIME = 4
"""Calls to one host at a time."""
WAITING = 100
"""Rows that wait in one lane; more stay in SQL."""


@dataclass(slots=True)
class _Lane:
    waiting: OrderedDict[str, StoredNotification] = field(default_factory=OrderedDict)
    runs: set[str] = field(default_factory=set)


class Lanes:
    """Due notifications by host. A run's own are called one after another, in their order."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[str, _Lane] = OrderedDict()
        self._known: set[str] = set()
        self._left_out: set[str] = set()

    def __len__(self) -> int:
        return len(self._known)

    def offer(self, host: str, row: StoredNotification) -> None:
        """Queue a row, unless it is known already or its lane is full."""
        if row.id in self._known:
            return
        lane = self._lanes.setdefault(host, _Lane())
        if len(lane.waiting) >= WAITING:
            self._left_out.add(host)
            return
        self._known.add(row.id)
        lane.waiting[row.id] = row

    def take(self) -> tuple[str, StoredNotification] | None:
        """The next row that may be called now, and its host; hosts take turns."""
        for host, lane in list(self._lanes.items()):
            if len(lane.runs) >= AT_A_TIME:
                continue
            row = next((row for row in lane.waiting.values() if row.run not in lane.runs), None)
            if row is not None:
                del lane.waiting[row.id]
                lane.runs.add(row.run)
                self._lanes.move_to_end(host)
                return host, row
        return None

    def done(self, host: str, row: StoredNotification) -> bool:
        """A call is over. Says whether there is room for rows of this host that found none: they are still in SQL."""
        lane = self._lanes[host]
        lane.runs.discard(row.run)
        self._known.discard(row.id)
        if not lane.runs and not lane.waiting:
            del self._lanes[host]
        if host not in self._left_out or len(lane.waiting) > WAITING // 2:
            return False
        self._left_out.discard(host)
        return True
