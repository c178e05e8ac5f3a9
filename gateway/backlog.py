"""The last changes that the feed told, for clients that were away for a moment, and for slow ones. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

ENTRIES = 4096
"""So many changes are remembered. A client that is further behind reads everything anew, which is less work by then."""
STEPS_LISTED = 1000
"""A change of more steps at once is told without them: read the run."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change. `key` says of what: two changes of the same thing can be told as one."""

    number: int
    topic: str
    key: str
    document: dict[str, Any]


class Backlog:
    """Numbered entries, the oldest dropped when there are too many."""

    def __init__(self, limit: int = ENTRIES) -> None:
        self.newest = 0
        self._entries: deque[Entry] = deque(maxlen=limit)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, topic: str, key: str, document: dict[str, Any]) -> None:
        """Remember a change."""
        self.newest += 1
        self._entries.append(Entry(self.newest, topic, key, document))

    def forget(self) -> None:
        """Nobody listened for a while, so what was remembered has a gap: whoever comes back reads everything anew."""
        self.newest += 1
        self._entries.clear()

    def has_all_after(self, number: int) -> bool:
        """Every change behind `number` is still here."""
        return self.newest - len(self._entries) <= number <= self.newest

    def after(self, number: int, topics: Collection[str]) -> list[Entry]:
        """The changes behind `number` of these topics, oldest first, with one entry for each thing that changed."""
        behind = self.newest - number
        skipped = max(0, len(self._entries) - behind)
        found = (entry for place, entry in enumerate(self._entries) if place >= skipped and entry.topic in topics)
        return coalesced(found)


def coalesced(entries: Iterable[Entry]) -> list[Entry]:
    """One entry for each thing: the newest document, which for a run has the newest state of every step that changed."""
    kept: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        earlier = kept.pop((entry.topic, entry.key), None)
        merged = entry if earlier is None else replace(entry, document=_merged(earlier.document, entry.document))
        kept[entry.topic, entry.key] = merged
    return list(kept.values())


def _merged(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    if "steps" not in later:
        return later
    parts = (earlier["steps"], later["steps"])
    if None in parts or sum(map(len, parts)) > STEPS_LISTED:
        return {**later, "steps": None}
    steps = dict(parts[0])
    for step, change in parts[1].items():
        steps[step] = {**steps.get(step, {}), **change}
    return {**later, "steps": steps}
