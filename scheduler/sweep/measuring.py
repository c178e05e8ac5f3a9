"""Taking stock: what each ended run keeps, whom it borrows from, and what lies there that nobody refers to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from plugmesh.objects.port import Stored
from plugmesh.runtime import Runtime
from plugmesh.state.pins import pinned_runs
from plugmesh.state.retention import (
    WINDOW,
    Measured,
    Unmeasured,
    highest_run_key,
    inputs_of,
    named_by_run,
    open_runs,
    unmeasured_runs,
)
from plugmesh.state.store import State
from plugmesh.state.sweeping import save_measured
from scheduler.sweep.guarded import guarded
from scheduler.sweep.late_keys import LATE_S, LateKeys
from scheduler.sweep.objects import SweptObjects
from scheduler.sweep.places import is_log, lenders, run_prefix
from scheduler.sweep.report import Deleted, Report

_SAVED_AT_ONCE = 50
A_ROUND = 2_000
"""Most runs that are measured in a round; the others are held as if they had not ended."""


_BREATH_RUNS = 100
"""Others get their turn after so many runs."""
_AGAIN = 10_000
"""So many keys are looked at again: a database may give the keys of deleted runs to new ones."""


@dataclass(frozen=True, slots=True)
class Holds:
    """What must stay, as seen at the beginning of a round: `pinned` runs, and `used`, the runs and file versions that
    runs use which have not ended (or of which it is not known yet what they keep)."""

    pinned: frozenset[str]
    used: frozenset[str]


class Measuring:
    """Looks at runs that ended and were not looked at yet."""

    def __init__(self, runtime: Runtime, state: State, objects: SweptObjects) -> None:
        self._runtime, self._state, self._objects = runtime, state, objects
        self._from = 0
        self._late = LateKeys(0.0 if state.exclusive else LATE_S)
        self.behind = False
        """Whether the last round left runs that it could have looked at."""

    async def holds(self, now: float) -> tuple[Holds, list[Unmeasured]]:
        """What is held now, and every run that is not measured."""
        found = await self._unmeasured()
        pinned = await self._state.read(pinned_runs, now)
        used: set[str] = set()
        for number, one in enumerate(found):
            used |= lenders(one.used.keys, but=one.run) | await self._lenders_inside(one.used.spilled, one.run)
            if number % _BREATH_RUNS == 0:
                await self._runtime.sleep(0)
        by_pinned = await self._state.read(inputs_of, pinned)
        used |= lenders(by_pinned.keys) | await self._lenders_inside(by_pinned.spilled, "")
        return Holds(pinned, frozenset(used)), found

    async def _unmeasured(self) -> list[Unmeasured]:
        highest = await self._state.read(highest_run_key)
        began = self._runtime.now()
        found: dict[str, Unmeasured] = {}
        after = 0
        while rows := await self._state.read(open_runs, after):
            found.update((one.run, one) for one in rows)
            after = rows[-1].key
        after = max(0, min(self._from, self._late.settled, highest) - _AGAIN)
        while after < highest:
            found.update((one.run, one) for one in await self._state.read(unmeasured_runs, after))
            after += WINDOW
        self._late.looked(began, highest)
        self._from = min((one.key for one in found.values()), default=highest)
        return list(found.values())

    async def measure(
        self,
        runs: Collection[Unmeasured],
        holds: Holds,
        report: Report,
        *,
        settled: float,
        now: float,
        dry_run: bool = False,
    ) -> None:
        """Measure those that ended before `settled`: later ones may still get results that come too late."""
        ended = [(one, one.ended_at) for one in runs if one.ended_at is not None]
        every = [one for one, ended_at in ended if ended_at <= settled]
        report.young_runs = len(ended) - len(every)
        ready, self.behind = every[:A_ROUND], len(every) > A_ROUND
        for at in range(0, len(ready), _SAVED_AT_ONCE):
            part: list[Measured] = []

            async def add(run: Unmeasured, part: list[Measured] = part) -> None:
                part.append(await self.one(run, holds, report, settled, dry_run=dry_run))

            for run in ready[at : at + _SAVED_AT_ONCE]:
                await guarded(f"run {run.run}", add(run), report)
            self._runtime.point("sweep.measured")
            await self._state.write(save_measured, part, now)
            report.measured_runs += len(part)

    async def one(
        self, run: Unmeasured, holds: Holds, report: Report, settled: float, *, dry_run: bool = False
    ) -> Measured:
        """What one run keeps. Objects that its rows do not name and that are older than `settled` are deleted (not in
        a dry run): they are of attempts that were lost, or came too late. Younger ones do not count yet."""
        assert run.ended_at is not None
        named = await self._state.read(named_by_run, run.key)
        inside = await self._objects.inside(named.spilled)
        live = named.keys if inside is None else named.keys | inside.keys
        there = await self._objects.below(run_prefix(run.namespace, run.run))
        if inside is not None:
            garbage = [one for one in there if self._is_garbage(one, live, settled)]
            if run.run not in holds.used:
                await self._drop(garbage, report, dry_run)
            there = [one for one in there if one.key in live or is_log(one.key)]
        logs = [one for one in there if is_log(one.key)]
        return Measured(
            run=run.run,
            namespace=run.namespace,
            flow=run.flow,
            ended_at=run.ended_at,
            objects=len(there) - len(logs),
            bytes=sum(one.bytes for one in there) - sum(one.bytes for one in logs),
            log_objects=len(logs),
            log_bytes=sum(one.bytes for one in logs),
            lenders=lenders(live, but=run.run),
        )

    async def _drop(self, garbage: Sequence[Stored], report: Report, dry_run: bool) -> None:
        would_go = Deleted(len(garbage), sum(one.bytes for one in garbage))
        report.add_deleted(would_go if dry_run else await self._objects.delete(garbage), garbage=True)

    def _is_garbage(self, one: Stored, live: frozenset[str], settled: float) -> bool:
        return one.key not in live and not is_log(one.key) and one.modified <= settled

    async def _lenders_inside(self, spilled: frozenset[str], but: str) -> frozenset[str]:
        inside = await self._objects.inside(spilled) if spilled else None
        return frozenset() if inside is None else lenders(inside.keys, but=but)
