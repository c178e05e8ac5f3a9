"""One step in its run's owner's memory, and one mapped node: a cursor over its elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from plugmesh.contracts.data import FileRef
from plugmesh.contracts.messages import AttemptStats, LogRef
from plugmesh.contracts.run import Progress, StepError, StepState
from scheduler.changes import Outputs

_LIVE = frozenset({StepState.ASSIGNED, StepState.RUNNING})

ALONE_AFTER = 2
"""A step that has lost so many instances gets the next one to itself: if it is what ends them, it ends no other work."""


@dataclass(slots=True)
class Step:
    """A step that something happened to. `item` is the element of a mapped node, or the piece of one that was cut, else -1.
    Times are Unix seconds. `pieces` says after which rows a node was cut: it stays pending until its pieces have ended. With
    none of them it was cut in vain, and is done whole."""

    id: str
    node: int
    item: int = -1
    state: StepState = StepState.PENDING
    reason: str | None = None
    epoch: int = 0
    failures: int = 0
    losses: int = 0
    instance: str | None = None
    version: str | None = None
    outputs: Outputs | None = None
    error: StepError | None = None
    stats: AttemptStats | None = None
    log: LogRef | None = None
    ready_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    wake_at: float | None = None
    progress: Progress | None = None
    artifacts: tuple[FileRef, ...] = ()
    pieces: tuple[int, ...] | None = None

    @property
    def live(self) -> bool:
        """An attempt of it is out there."""
        return self.state in _LIVE

    @property
    def alone(self) -> bool:
        """It gets an instance to itself."""
        return self.losses >= ALONE_AFTER


@dataclass(slots=True)
class MapState:
    """A mapped node that is running: a cursor over its elements, and what came back. `wanted` (`None`: all) are those
    that a rerun is about. `error` is that of the first element that failed, `failed_item`."""

    items: list[Any]
    wanted: frozenset[int] | None = None
    cursor: int = 0
    open: int = 0
    failed: int = 0
    outputs: dict[int, Outputs] = field(default_factory=dict)
    error: StepError | None = None
    failed_item: int = -1

    @property
    def exhausted(self) -> bool:
        """Every element was issued."""
        return self.cursor >= len(self.items)

    @property
    def total(self) -> int:
        """How many elements the node has in this run."""
        return len(self.items) if self.wanted is None else len(self.wanted)

    def skip(self) -> None:
        """Move the cursor past elements that have their outputs already, or that nobody wants."""
        while self.cursor < len(self.items) and (
            self.cursor in self.outputs or (self.wanted is not None and self.cursor not in self.wanted)
        ):
            self.cursor += 1


def piece_rows(ends: Sequence[int], item: int) -> tuple[int, int]:
    """First row and number of rows of a piece."""
    start = ends[item - 1] if item else 0
    return start, ends[item] - start
