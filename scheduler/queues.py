"""Runs that wait for their turn because their flow limits how many may be under way. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from plugmesh.contracts.run import RunState as State
from plugmesh.state.permits import Wanted
from scheduler.runstate import RunState

LineName = tuple[str, str]
"""Namespace, and the name in the permits of its runs."""


class Queues:
    """One line for each namespace and permit name. In a line a higher priority goes first, then who came first."""

    def __init__(self) -> None:
        self._lines: dict[LineName, dict[str, RunState]] = {}

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines.values())

    def add(self, run: RunState) -> None:
        """The run waits from now on."""
        if (name := _line_of(run)) is not None:
            self._lines.setdefault(name, {})[run.id] = run

    def remove(self, run: RunState) -> None:
        """The run does not wait any more."""
        name = _line_of(run)
        line = None if name is None else self._lines.get(name)
        if name is None or line is None:
            return
        line.pop(run.id, None)
        if not line:
            del self._lines[name]

    def lines(self) -> Mapping[LineName, list[RunState]]:
        """The runs of each line that wait, the next one first."""
        return {name: sorted(_waiting(line), key=lambda run: -run.priority) for name, line in self._lines.items()}

    def wanted(self) -> list[Wanted]:
        """What to ask permits for: of each line as many runs as could get one."""
        return [_wanted(name, run) for name, line in self.lines().items() for run in line[: _most(line)]]


def _line_of(run: RunState) -> LineName | None:
    return None if run.permit is None else (run.namespace, run.permit.name)


def _waiting(line: Mapping[str, RunState]) -> Iterator[RunState]:
    return (run for run in line.values() if run.state is State.QUEUED)


def _most(line: list[RunState]) -> int:
    return max((run.permit.limit for run in line if run.permit is not None), default=0)


def _wanted(name: LineName, run: RunState) -> Wanted:
    assert run.permit is not None
    return Wanted(run.id, run.shard, *name, run.permit.limit)
