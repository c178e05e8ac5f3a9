"""Which ready step goes to which instance. Pure: it sees the roster, the load and measured durations.

Namespaces share what there is: whoever has the fewest attempts out goes first, so that none can keep the others from
working, whatever the priorities of its runs. Inside a namespace a higher priority goes first, then the deeper node (so
that data is freed early), then who came first. Of instances that are equally busy the one gets a step that has made its
inputs, or else one on the same host: there the data is in memory.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple, Protocol

from plugmesh.errors import FlowInvalid
from registry.versions import choose, parse_reference, previous, successor
from scheduler.durations import Durations


@dataclass(frozen=True, slots=True)
class Seat:
    """An instance as placement sees it. `offers` maps module names to the versions it serves; `open`: takes new work;
    `host`: the machine that it runs on."""

    instance: str
    slots: int
    prefetch: int
    offers: Mapping[str, tuple[str, ...]]
    labels: Mapping[str, str] = field(default_factory=dict)
    open: bool = True
    host: str = ""


class Need(NamedTuple):
    """What a step asks for: a module reference (`name@^1`), the version its run is pinned to, and labels. Where nobody serves
    that any more, a newer one that keeps its promise is taken. `previous`: for a version that is quarantined an older one
    will do."""

    module: str
    pinned: str | None = None
    labels: frozenset[tuple[str, str]] = frozenset()
    previous: bool = False

    @property
    def name(self) -> str:
        """The module's name."""
        return self.module.partition("@")[0]


class Line(NamedTuple):
    """Steps that differ in nothing but their urgency. `alone`: they get an instance to themselves."""

    namespace: str
    need: Need
    alone: bool = False


class Waiting(NamedTuple):
    """A ready step in a line. The smallest is the first one. `near`: the instance that made its inputs."""

    priority: int
    depth: int
    order: int
    run: str
    step: str
    near: str | None = None


_Turn = tuple[bool, int, Waiting]
"""Who goes first: who waits to be alone, whose namespace has the fewest attempts out, and who is first in its line."""


class Placed(NamedTuple):
    """A step, its seat, the version to run, and whether it is to be alone there."""

    run: str
    step: str
    seat: Seat
    version: str
    alone: bool


class Load(Protocol):
    """What is out there now."""

    def load(self, instance: str) -> int:
        """Attempts that the instance has."""
        ...

    def load_of_namespace(self, namespace: str) -> int:
        """Attempts of the namespace's runs."""
        ...

    @property
    def taken(self) -> Collection[str]:
        """Instances whose attempt is to be alone there."""
        ...


def _nobody_minds(name: str, version: str) -> bool:
    return False


class Placement:
    """Ready steps in lines."""

    def __init__(self, durations: Durations) -> None:
        self._durations = durations
        self._lines: dict[Line, list[Waiting]] = {}
        self._joined: set[Line] = set()
        self._candidates: dict[Need, tuple[str, tuple[Seat, ...]]] = {}
        self._seats: tuple[Seat, ...] = ()
        self._hosts: Mapping[str, str] = {}
        self._quarantined: Collection[tuple[str, str]] = frozenset()
        self._awaited: Collection[tuple[str, str]] = frozenset()
        self._is_disabled: Callable[[str, str], bool] = _nobody_minds
        self._order = 0

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._lines.values())

    def entries(self) -> Iterator[Waiting]:
        """Every step in line, in no order."""
        return chain.from_iterable(self._lines.values())

    def roster(
        self,
        seats: Iterable[Seat],
        quarantined: Collection[tuple[str, str]] = frozenset(),
        awaited: Collection[tuple[str, str]] = frozenset(),
        is_disabled: Callable[[str, str], bool] = _nobody_minds,
    ) -> None:
        """The instances there are now, the names and versions that nobody is given any more, and those of them that count
        when a version is chosen although nobody serves them just now. `is_disabled`: a person does not want this version."""
        self._is_disabled = is_disabled
        self._quarantined, self._awaited = quarantined, awaited
        self._seats = tuple(sorted(seats, key=lambda seat: seat.instance))
        self._hosts = {seat.instance: seat.host for seat in self._seats}
        self._candidates.clear()

    def add(
        self, line: Line, run: str, step: str, *, priority: int = 0, depth: int = 0, near: str | None = None
    ) -> None:
        """Put a ready step in line. `near` is the instance that made what it reads."""
        self._order += 1
        heapq.heappush(self._lines.setdefault(line, []), Waiting(-priority, -depth, self._order, run, step, near))
        self._joined.add(line)

    def served(self, need: Need) -> bool:
        """Some instance that takes work offers what `need` asks for."""
        return bool(self._fit(need)[1])

    def version(self, need: Need) -> str:
        """The version that `need` gets; empty if none."""
        return self._fit(need)[0]

    def withheld(self, need: Need) -> str | None:
        """The version that `need` would get if it were not quarantined."""
        try:
            name, requirement = parse_reference(need.module)
        except FlowInvalid:
            return None
        wanted = need.pinned or choose(requirement, self._choice(name, _offered(name, self._fitting(name, need))))
        return wanted if wanted is not None and (name, wanted) in self._quarantined else None

    def unserved(self) -> list[tuple[Line, list[Waiting]]]:
        """Lines that nobody can serve now, with their steps, which stay in line."""
        return [(line, sorted(queue)) for line, queue in self._lines.items() if queue and not self.served(line.need)]

    def remove(self, line: Line) -> None:
        """Forget a line: its steps were parked."""
        self._lines.pop(line, None)

    def place(
        self, load: Load, still_ready: Callable[[str, str], bool], resting: Iterable[str] = ()
    ) -> Iterator[Placed]:
        """Give out work as long as someone has credit. The caller raises the load before it asks for the next one.

        Credits of an instance are its slots plus a prefetch, which depends on how short the module's steps are. An
        instance that somebody waits to have alone gets nothing new until it is idle.
        """
        blocked: set[Line] = set()
        closed = {*resting, *load.taken}
        self._joined.update(self._lines)
        turns: list[tuple[_Turn, Line]] = []
        while (line := self._next_line(turns, blocked, load)) is not None:
            head = self._lines[line][0]
            if not still_ready(head.run, head.step):
                self._pop(line)
                continue
            version, seats = self._fit(line.need)
            seat = _idle(seats, load, closed) if line.alone else self._best(line.need, seats, load, closed, head.near)
            if seat is None:
                blocked.add(line)
                continue
            waiting = self._pop(line)
            yield Placed(waiting.run, waiting.step, seat, version, line.alone)

    def _pop(self, line: Line) -> Waiting:
        queue = self._lines[line]
        waiting = heapq.heappop(queue)
        if not queue:
            del self._lines[line]
        self._joined.add(line)
        return waiting

    def _next_line(self, turns: list[tuple[_Turn, Line]], blocked: set[Line], load: Load) -> Line | None:
        """Whose turn it is. What stands in `turns` may be out of date: it is looked at when it comes up."""
        while turns or self._joined:
            for joined in self._joined:
                if joined in self._lines and joined not in blocked:
                    heapq.heappush(turns, (self._turn(joined, load), joined))
            self._joined.clear()
            if not turns:
                break
            turn, line = heapq.heappop(turns)
            if line in blocked or line not in self._lines:
                continue
            if turn == self._turn(line, load):
                return line
            self._joined.add(line)
        return None

    def _turn(self, line: Line, load: Load) -> _Turn:
        return (not line.alone, load.load_of_namespace(line.namespace), self._lines[line][0])

    def _best(self, need: Need, seats: tuple[Seat, ...], load: Load, closed: set[str], near: str | None) -> Seat | None:
        ahead = self._durations.ahead(need.name)
        best: tuple[float, Seat] | None = None
        for seat in seats:
            held = load.load(seat.instance)
            if held >= min(seat.slots + seat.prefetch, seat.slots * (1 + ahead)) or seat.instance in closed:
                continue
            share = held / seat.slots
            if best is None or share < best[0] or (share == best[0] and self._is_nearer(seat, best[1], near)):
                best = (share, seat)
        return None if best is None else best[1]

    def _is_nearer(self, seat: Seat, other: Seat, near: str | None) -> bool:
        """Whether `seat` has the data of `near`, and `other` has not, or only the same host."""
        if near is None or other.instance == near:
            return False
        if seat.instance == near:
            return True
        host = self._hosts.get(near)
        return bool(host) and seat.host == host != other.host

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
        fitting = self._fitting(name, need)
        offered = _offered(name, fitting)
        version = need.pinned or choose(requirement, self._choice(name, offered))
        if version is not None and (name, version) in self._quarantined:
            usable = {one for one in offered if (name, one) not in self._quarantined}
            version = previous(requirement, version, usable) if need.previous else None
        elif need.pinned is not None and need.pinned not in offered and not self._is_disabled(name, need.pinned):
            usable = {one for one in offered if (name, one) not in self._quarantined}
            version = successor(requirement, need.pinned, usable)
        if version not in offered:
            return "", ()
        return version, tuple(seat for seat in fitting if version in seat.offers[name])

    def _choice(self, name: str, offered: set[str]) -> set[str]:
        if not self._awaited:
            return offered
        return offered | {version for module, version in self._awaited if module == name}

    def _fitting(self, name: str, need: Need) -> list[Seat]:
        """Seats with the module and the labels."""
        open_seats = (seat for seat in self._seats if seat.open and name in seat.offers)
        return [seat for seat in open_seats if need.labels <= frozenset(seat.labels.items())]


def _offered(name: str, seats: Iterable[Seat]) -> set[str]:
    return {version for seat in seats for version in seat.offers[name]}


def _idle(seats: tuple[Seat, ...], load: Load, closed: set[str]) -> Seat | None:
    """A seat with nothing to do. If there is none, the one that is nearest to it; either is closed to all others now."""
    usable = [seat for seat in seats if seat.instance not in closed]
    if not usable:
        return None
    seat = min(usable, key=lambda seat: (load.load(seat.instance), seat.instance))
    closed.add(seat.instance)
    return None if load.load(seat.instance) else seat
