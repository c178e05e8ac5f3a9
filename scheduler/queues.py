"""Runs that wait for their turn because their flow limits how many may be under way. Pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

from plugmesh.contracts.run import Permit
from plugmesh.contracts.run import RunState as State
from plugmesh.state.permits import Wanted
from scheduler.runstate import RunState

LineName = tuple[str, str]
"""Namespace, and the name in the permits of its runs."""

MOST_ASKED = 500
"""So many runs are asked permits for at a time, or those of one line: other transactions wait meanwhile."""


class Queues:
    """One line for each namespace and permit name. In a line a higher priority goes first, then who came first.

    A line is `due` when something has changed in it: only then there may be a permit for one of its runs.
    """

    def __init__(self) -> None:
        self._lines: dict[LineName, _Line] = {}
        self._due: dict[LineName, None] = {}

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines.values())

    @property
    def due(self) -> bool:
        """Some line has to be asked for."""
        return bool(self._due)

    def add(self, run: RunState) -> None:
        """The run waits from now on."""
        if run.permit is not None:
            self._lines.setdefault(_line_of(run, run.permit), _Line()).add(run, run.permit)
            self.changed(run)

    def remove(self, run: RunState) -> None:
        """The run does not wait any more."""
        if run.permit is None:
            return
        name = _line_of(run, run.permit)
        line = self._lines.get(name)
        if line is not None and line.remove(run):
            del self._lines[name]

    def changed(self, run: RunState) -> None:
        """What was decided about the run is written: it may have given a permit back, or can be given one now."""
        if run.permit is not None and (name := _line_of(run, run.permit)) in self._lines:
            self._due[name] = None

    def ask_again(self, names: Iterable[LineName] | None = None) -> None:
        """Ask for these lines again, or for all."""
        self._due.update(dict.fromkeys(self._lines if names is None else names))

    def wanted(self) -> list[Wanted]:
        """What to ask permits for: of lines that are due as many runs as could get one. They are not due any more."""
        found: list[Wanted] = []
        while self._due and len(found) < MOST_ASKED:
            name = next(iter(self._due))
            del self._due[name]
            if (line := self._lines.get(name)) is not None:
                found.extend(Wanted(run.id, run.shard, *name, permit.limit) for run, permit in line.first())
        return found

    def hasty(self, name: LineName) -> list[tuple[RunState, Permit]]:
        """The runs of a line that do not want to wait if there is no room, in the order in which they came."""
        line = self._lines.get(name)
        return [] if line is None else line.hasty()


class _Line:
    """A run that is not written yet has no number, and can have no permit: it stands aside until then."""

    def __init__(self) -> None:
        self._runs: dict[str, tuple[RunState, Permit]] = {}
        self._aside: dict[str, RunState] = {}
        self._order: list[tuple[int, int, str]] = []
        self._hasty: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, run: RunState, permit: Permit) -> None:
        if run.id in self._runs:
            return
        self._runs[run.id] = (run, permit)
        self._aside[run.id] = run
        if permit.when_full != "queue":
            self._hasty[run.id] = None

    def remove(self, run: RunState) -> bool:
        """Whether nobody is left."""
        if self._runs.pop(run.id, None) is not None:
            self._hasty.pop(run.id, None)
            if self._aside.pop(run.id, None) is None:
                del self._order[bisect_left(self._order, _rank(run))]
        return not self._runs

    def first(self) -> Iterator[tuple[RunState, Permit]]:
        """As many as could get a permit; where somebody does not want to wait, also the first one who could not."""
        self._settle()
        most = taken = 0
        for _, _, name in self._order:
            run, permit = self._runs[name]
            if run.state is not State.QUEUED:
                continue
            most = max(most, permit.limit)
            if taken >= most + bool(self._hasty):
                return
            taken += 1
            yield run, permit

    def hasty(self) -> list[tuple[RunState, Permit]]:
        self._settle()
        found = [self._runs[name] for name in self._hasty if name not in self._aside]
        return sorted((one for one in found if one[0].state is State.QUEUED), key=lambda one: one[0].key)

    def _settle(self) -> None:
        for run in [run for run in self._aside.values() if run.key]:
            del self._aside[run.id]
            insort(self._order, _rank(run))


def _line_of(run: RunState, permit: Permit) -> LineName:
    return (run.namespace, permit.name)


def _rank(run: RunState) -> tuple[int, int, str]:
    return (-run.priority, run.key, run.id)
