"""Which ready step goes to which instance. Pure: it sees the roster, the load and measured durations."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from plugmesh.errors import FlowInvalid
from registry.versions import choose, parse_reference
from scheduler.durations import Durations


@dataclass(frozen=True, slots=True)
class Seat:
    """An instance as placement sees it. `offers` maps module names to the versions it serves; `open`: takes new work."""

    instance: str
    slots: int
    prefetch: int
    offers: Mapping[str, tuple[str, ...]]
    labels: Mapping[str, str] = field(default_factory=dict)
    open: bool = True


class Need(NamedTuple):
    """What a step asks for: a module reference (`name@^1`), the version its run is pinned to, and labels."""

    module: str
    pinned: str | None = None
    labels: frozenset[tuple[str, str]] = frozenset()

    @property
    def name(self) -> str:
        """The module's name."""
        return self.module.partition("@")[0]


class Waiting(NamedTuple):
    """A ready step in line: deeper nodes first (so that data is freed early), then in order of arrival."""

    depth: int
    order: int
    run: str
    step: str


@dataclass(frozen=True, slots=True)
class Placed:
    """A step, its seat, and the version to run."""

    run: str
    step: str
    seat: Seat
    version: str


class Placement:
    """Ready steps in line, one queue for each need."""

    def __init__(self, durations: Durations) -> None:
        self._durations = durations
        self._queues: dict[Need, list[Waiting]] = {}
        self._candidates: dict[Need, tuple[str, tuple[Seat, ...]]] = {}
        self._seats: tuple[Seat, ...] = ()
        self._order = 0

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def entries(self) -> Iterator[Waiting]:
        """Every step in line, in no order."""
        return chain.from_iterable(self._queues.values())

    def roster(self, seats: Iterable[Seat]) -> None:
        """The instances there are now."""
        self._seats = tuple(sorted(seats, key=lambda seat: seat.instance))
        self._candidates.clear()

    def add(self, need: Need, depth: int, run: str, step: str) -> None:
        """Put a ready step in line."""
        self._order += 1
        heapq.heappush(self._queues.setdefault(need, []), Waiting(-depth, self._order, run, step))

    def served(self, need: Need) -> bool:
        """Some instance that takes work offers what `need` asks for."""
        return bool(self._fit(need)[1])

    def unserved(self) -> list[tuple[Need, list[Waiting]]]:
        """Needs that nobody can meet now, with the steps in line for them; they stay in line."""
        return [(need, sorted(queue)) for need, queue in self._queues.items() if queue and not self.served(need)]

    def remove(self, need: Need) -> None:
        """Forget the line of `need`: its steps were parked."""
        self._queues.pop(need, None)

    def place(
        self,
        load: Callable[[str], int],
        still_ready: Callable[[str, str], bool],
        closed: Container[str] = (),
    ) -> Iterator[Placed]:
        """Give out work as long as someone has credit. The caller raises the load before it asks for the next one.

        Credits of an instance are its slots plus a prefetch, which depends on how short the module's steps are.
        """
        blocked: set[Need] = set()
        while (need := self._next_need(blocked)) is not None:
            queue = self._queues[need]
            if not still_ready(queue[0].run, queue[0].step):
                self._pop(need)
                continue
            version, seats = self._fit(need)
            seat = self._best(need, seats, load, closed)
            if seat is None:
                blocked.add(need)
                continue
            waiting = self._pop(need)
            yield Placed(waiting.run, waiting.step, seat, version)

    def _pop(self, need: Need) -> Waiting:
        queue = self._queues[need]
        waiting = heapq.heappop(queue)
        if not queue:
            del self._queues[need]
        return waiting

    def _next_need(self, blocked: set[Need]) -> Need | None:
        open_needs = [need for need in self._queues if need not in blocked]
        if len(open_needs) < 2:
            return open_needs[0] if open_needs else None
        return min(open_needs, key=lambda need: self._queues[need][0])

    def _best(
        self, need: Need, seats: tuple[Seat, ...], load: Callable[[str], int], closed: Container[str]
    ) -> Seat | None:
        ahead = self._durations.ahead(need.name)
        best: tuple[float, Seat] | None = None
        for seat in seats:
            credit = min(seat.slots + seat.prefetch, seat.slots * (1 + ahead))
            held = load(seat.instance)
            if held >= credit or seat.instance in closed:
                continue
            share = held / seat.slots
            if best is None or share < best[0]:
                best = (share, seat)
        return None if best is None else best[1]

    def _fit(self, need: Need) -> tuple[str, tuple[Seat, ...]]:
        """The version to run and who serves it; no seats when nobody fits."""
        found = self._candidates.get(need)
        if found is None:
            found = self._candidates[need] = self._find(need)
        return found

    def _find(self, need: Need) -> tuple[str, tuple[Seat, ...]]:
        try:
            name, requirement = parse_reference(need.module)
        except FlowInvalid:  # validation says so; here it only means that nobody serves it
            return "", ()
        fitting = [
            seat
            for seat in self._seats
            if seat.open and name in seat.offers and need.labels <= frozenset(seat.labels.items())
        ]
        offered = {version for seat in fitting for version in seat.offers[name]}
        version = need.pinned if need.pinned in offered else None
        if need.pinned is None:
            version = choose(requirement, offered)
        if version is None:
            return "", ()
        return version, tuple(seat for seat in fitting if version in seat.offers[name])
