"""What a watcher of Consul knows, and what it tells: a pure function of Consul's answers and a clock that is passed in.

Two lists make an entry: the services, with their checks, and the documents. They come by questions of their own, in any
order. What left for good has neither; who is in only one of them was forgotten by one part of Consul, or is on its way.
A list that comes after a break may come from a Consul that was started anew and knows nobody yet: who is missing in it
is only silent, until it is back or has been silent for too long.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from plugmesh.contracts.instance import Beat
from plugmesh.discovery.consul.entry import DEAD_S, FORGET_S, SUSPECT_S, TTL_S, Page, folder
from plugmesh.discovery.port import Entry, Patience
from plugmesh.errors import ProtocolMismatch

News = tuple[str, Entry | None]
PATIENCE = Patience(suspect_s=SUSPECT_S, dead_s=DEAD_S)
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Known:
    """One instance. `passing` is None without a service; `here` says that the document is there; `missed`, that a list
    after a break was without it. `beat_at` is the last proven sign of life."""

    page: Page | None = None
    index: int = -1
    here: bool = False
    passing: bool | None = None
    missed: bool = False
    beat_at: float = 0.0
    told: Entry | None = None


class Roster:
    """The entries of one watch."""

    def __init__(self, mesh: str) -> None:
        self._folder = folder(mesh)
        self._known: dict[str, _Known] = {}

    def services(self, found: Mapping[str, bool], now: float, *, after_break: bool) -> list[News]:
        """All services of the mesh as they are now, and whether each one passes."""
        for instance, passing in found.items():
            known = self._known.setdefault(instance, _Known())
            if known.passing is None and not passing:
                known.beat_at = max(known.beat_at, now - SUSPECT_S)  # nobody knows since when
            elif passing and not known.passing:
                known.beat_at = now
            elif known.passing and not passing:  # its time has run out, or a person has put it into maintenance
                known.beat_at = min(known.beat_at, now - TTL_S)
            known.passing, known.missed = passing, False
        for instance, known in self._known.items():
            if instance not in found and known.passing is not None:
                known.passing, known.missed = None, known.missed or after_break
        return self._news(now)

    def documents(self, found: Iterable[Mapping[str, Any]], now: float, *, after_break: bool) -> list[News]:
        """All documents of the mesh as they are now, in the words of Consul's key-value store."""
        seen = set()
        for item in found:
            instance = item["Key"].removeprefix(self._folder)
            seen.add(instance)
            known = self._known.setdefault(instance, _Known())
            if after_break:
                known.index = -1  # a Consul that was started anew counts from the beginning
            self._document(known, item, now)
        for instance, known in self._known.items():
            if instance not in seen and known.here:
                known.here, known.missed = False, known.missed or after_break
        return self._news(now)

    def time(self, now: float) -> list[News]:
        """Time has passed. Without an answer of Consul the last known list stays as it is."""
        for known in self._known.values():
            if known.passing:
                known.beat_at = max(known.beat_at, now - TTL_S)
        return self._news(now)

    def _document(self, known: _Known, item: Mapping[str, Any], now: float) -> None:
        known.here = True
        if item["ModifyIndex"] == known.index:
            return
        known.index = item["ModifyIndex"]
        try:
            page = Page.model_validate_json(item["Value"] or b"")
        except (ValidationError, ProtocolMismatch) as error:
            _log.warning("the document %s in Consul cannot be read: %s", item["Key"], error)
            return
        if known.page not in (None, page) and known.passing:  # at first sight it may be old
            known.beat_at = max(known.beat_at, now)
        known.page = page

    def _news(self, now: float) -> list[News]:
        news: list[News] = []
        for instance, known in tuple(self._known.items()):
            if self._left(known, now):
                del self._known[instance]
                if known.told is not None:
                    news.append((instance, None))
                continue
            entry = _entry(known)
            if entry is not None and entry != known.told:
                known.told = entry
                news.append((instance, entry))
        return news

    def _left(self, known: _Known, now: float) -> bool:
        silence = now - known.beat_at
        if known.passing is not None:
            return False
        if known.here:  # its agent has forgotten it, or it is just being entered
            return known.told is not None and silence > FORGET_S
        return not known.missed or silence > DEAD_S


def _entry(known: _Known) -> Entry | None:
    """What to tell; `None` as long as a half is missing that was never there."""
    if known.page is None or (known.passing is None and known.told is None):
        return None
    if known.passing is None:
        assert known.told is not None
        return replace(known.told, beat_at=known.beat_at)
    beat = known.page.beat or Beat(instance=known.page.registration.instance)
    return Entry(
        registration=known.page.registration,
        beat_at=known.beat_at,
        draining=beat.draining,
        running=beat.running,
        held=beat.held,
        patience=PATIENCE,
    )
