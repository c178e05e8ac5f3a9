"""What is to go: rows and a clock in, names out. Pure.

Two rules come before all others: what a person has pinned stays, whole; and data that somebody else still uses (a run
that has not ended, or a kept run whose outputs lie there) stays as data.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from plugmesh.contracts.flow import Retention
from plugmesh.state.file_versions import FileVersion
from plugmesh.state.retention import Kept, Part

_One = TypeVar("_One")


class RetentionSettings(Protocol):
    """What is read anew in each round. None: for ever, or as much as there is."""

    @property
    def retention_runs_s(self) -> float | None: ...
    @property
    def retention_data_s(self) -> float | None: ...
    @property
    def retention_logs_s(self) -> float | None: ...
    @property
    def retention_events_s(self) -> float | None: ...
    @property
    def retention_data_bytes(self) -> int | None: ...
    @property
    def retention_logs_bytes(self) -> int | None: ...
    @property
    def retention_runs(self) -> int | None: ...
    @property
    def retention_file_versions(self) -> int | None: ...
    @property
    def retention_files_s(self) -> float | None: ...
    @property
    def retention_files_bytes(self) -> int | None: ...
    @property
    def retention_grace_s(self) -> float: ...
    @property
    def sweep_every_s(self) -> float: ...


NO_RETENTION = Retention()


@dataclass(frozen=True, slots=True)
class Ages:
    """Seconds after its end for which each part of a run is kept; None: for ever."""

    runs_s: float | None
    data_s: float | None
    logs_s: float | None
    events_s: float | None


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done about one run now."""

    mark_data: bool = False
    mark_logs: bool = False
    release_data: bool = False
    release_logs: bool = False
    drop_events: bool = False
    remove: bool = False


NOTHING_DUE = Due()
AT_ONCE = Ages(0.0, 0.0, 0.0, 0.0)
"""The ages of a run that is one too many."""


def ages_of(settings: RetentionSettings, flow: Retention | None) -> Ages:
    """What the flow says, and where it says nothing the settings. When the run goes, everything goes."""
    said = flow or NO_RETENTION
    runs_s = _first(said.runs_s, settings.retention_runs_s)
    return Ages(
        runs_s,
        _earlier(_first(said.data_s, settings.retention_data_s), runs_s),
        _earlier(_first(said.logs_s, settings.retention_logs_s), runs_s),
        _earlier(_first(said.events_s, settings.retention_events_s), runs_s),
    )


def due(kept: Kept, ages: Ages, *, now: float, grace_s: float, pinned: bool, held: bool) -> Due:
    """What is to be done about a run that has ended.

    `held`: somebody else uses its data. What is marked is deleted when the grace is over; a run's rows are removed
    when its objects are gone.
    """
    over = now - grace_s
    release_data = kept.data_released_at is None and _before(kept.data_marked_at, over) and not held
    release_logs = kept.logs_released_at is None and _before(kept.logs_marked_at, over)
    if pinned and kept.key is not None:
        return Due(release_data=release_data, release_logs=release_logs)
    gone = kept.key is None  # deleted by a person: nothing refers to its objects but other runs
    return Due(
        mark_data=kept.data_marked_at is None and not held and (gone or _expired(kept, ages.data_s, now)),
        mark_logs=kept.logs_marked_at is None and (gone or _expired(kept, ages.logs_s, now)),
        release_data=release_data,
        release_logs=release_logs,
        drop_events=kept.events_gone_at is None and not gone and _expired(kept, ages.events_s, now),
        remove=kept.data_released_at is not None
        and kept.logs_released_at is not None
        and (gone or _expired(kept, ages.runs_s, now)),
    )


def oldest_to_go(
    rows: Iterable[Kept], excess_bytes: int, protected: Collection[str], part: Part = "data"
) -> list[Kept]:
    """The first of `rows` (oldest first) whose data (or logs) makes up `excess_bytes`; runs that keep nothing are left
    alone."""
    return _making_up(excess_bytes, ((row, row.unmarked(part)) for row in rows if row.run not in protected))


def versions_to_go(versions: Iterable[FileVersion], excess_bytes: int, protected: Collection[str]) -> list[FileVersion]:
    """The first of `versions` (oldest first, none the newest of its file) that make up `excess_bytes`; `protected` are
    objects that deleting would not free."""
    return _making_up(excess_bytes, ((one, one.bytes) for one in versions if one.object not in protected))


def _making_up(excess_bytes: int, sizes: Iterable[tuple[_One, int]]) -> list[_One]:
    chosen: list[_One] = []
    for one, size in sizes:
        if excess_bytes <= 0:
            break
        if size:
            chosen.append(one)
            excess_bytes -= size
    return chosen


def _expired(kept: Kept, age_s: float | None, now: float) -> bool:
    return age_s is not None and kept.ended_at + age_s <= now


def _before(at: float | None, limit: float) -> bool:
    return at is not None and at <= limit


def _first(said: float | None, otherwise: float | None) -> float | None:
    return otherwise if said is None else said


def _earlier(one: float | None, other: float | None) -> float | None:
    return min((value for value in (one, other) if value is not None), default=None)
