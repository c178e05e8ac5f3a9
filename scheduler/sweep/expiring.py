"""Going through the runs that have ended: marking what is due, deleting what was marked, removing what is empty."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from plugmesh.contracts.flow import Retention
from plugmesh.contracts.run import shard_of
from plugmesh.runtime import Runtime
from plugmesh.state.retention import (
    FlowName,
    Kept,
    Part,
    first_of_newest,
    flow_retention,
    kept_bytes,
    kept_of_flows,
    kept_runs,
    lent,
    oldest_kept,
)
from plugmesh.state.store import State
from plugmesh.state.sweeping import drop_events, expire_run, forget_run, mark_data, mark_logs, mark_released
from plugmesh.state.writes import Writer
from scheduler.sweep.decide import AT_ONCE, NO_RETENTION, Due, RetentionSettings, ages_of, due, oldest_to_go
from scheduler.sweep.guarded import guarded
from scheduler.sweep.measuring import Holds
from scheduler.sweep.objects import SweptObjects
from scheduler.sweep.places import is_log, run_prefix
from scheduler.sweep.report import Deleted, Report

_PAGE = 200
_MARKED_AT_ONCE = 50
PAGES = 100
"""Pages of runs that are looked at in a round; the next round goes on behind them."""
_FLOWS_REMEMBERED = 10_000


class Expiring:
    """Carries out what `scheduler.sweep.decide` says."""

    def __init__(
        self,
        runtime: Runtime,
        state: State,
        objects: SweptObjects,
        *,
        settings: RetentionSettings,
        owned: Callable[[], Collection[int]],
        reading: Callable[[], Collection[str]],
    ) -> None:
        self._runtime, self._state, self._objects = runtime, state, objects
        self._settings = settings
        self._owned, self._reading = owned, reading
        self._after = ""
        self._retention: dict[int, Retention | None] = {}

    async def by_age(self, holds: Holds, report: Report, now: float, *, whole: bool, dry_run: bool) -> None:
        """One pass over ended runs, or the next part of one."""
        after, pages = ("", 0) if whole else (self._after, 0)
        most = self._settings.retention_runs
        first = None if most is None else await self._state.read(first_of_newest, most)
        while whole or pages < PAGES:
            rows = await self._state.read(kept_runs, after, _PAGE)
            await self._page([row for row in rows if self._is_ours(row.run)], holds, report, now, dry_run, first=first)
            after, pages = (rows[-1].run if len(rows) == _PAGE else ""), pages + 1
            if not after:
                break
        if not whole:
            self._after = after

    async def by_size(self, holds: Holds, report: Report, now: float, *, dry_run: bool) -> None:
        """Mark data and logs of the oldest runs until no more is kept than may be: of each flow, then of all."""
        for flow, size, revision in await self._state.read(kept_of_flows):
            most = (await self._flow_says(revision) or NO_RETENTION).data_bytes
            if most is not None and size > most:
                await self._shrink(size - most, "data", holds, report, now, flow=flow, dry_run=dry_run)
        limits: dict[Part, int | None] = {
            "data": self._settings.retention_data_bytes,
            "logs": self._settings.retention_logs_bytes,
        }
        for part, limit in limits.items():
            if limit is not None:
                excess = await self._state.read(kept_bytes, part) - limit
                await self._shrink(excess, part, holds, report, now, dry_run=dry_run)

    async def _shrink(
        self,
        excess: int,
        part: Part,
        holds: Holds,
        report: Report,
        now: float,
        *,
        dry_run: bool,
        flow: FlowName | None = None,
    ) -> None:
        after = (float("-inf"), "")
        while excess > 0:
            rows = await self._state.read(oldest_kept, after, _PAGE, part, flow)
            ours = [row for row in rows if self._is_ours(row.run)]
            held = await self._held([row.run for row in ours], holds) if part == "data" else frozenset()
            chosen = oldest_to_go(ours, excess, held | holds.pinned, part)
            excess -= sum(row.unmarked(part) for row in chosen)
            data, logs = (chosen, []) if part == "data" else ([], chosen)
            await self._mark(data, logs, report, now, dry_run)
            if len(rows) < _PAGE:
                return
            after = (rows[-1].ended_at, rows[-1].run)

    async def _page(
        self,
        rows: Sequence[Kept],
        holds: Holds,
        report: Report,
        now: float,
        dry_run: bool,
        *,
        first: tuple[float, str] | None,
    ) -> None:
        """`first`: what ended before that run is one too many."""
        held = await self._held([row.run for row in rows], holds)
        found: list[tuple[Kept, Due]] = []
        for row in rows:
            surplus = first is not None and (row.ended_at, row.run) < first
            ages = AT_ONCE if surplus else ages_of(self._settings, await self._flow_says(row.revision))
            limits = {"now": now, "grace_s": self._settings.retention_grace_s}
            found.append((row, due(row, ages, **limits, pinned=row.run in holds.pinned, held=row.run in held)))
        for row, wanted in found:  # deleting needs no room; marking does
            await guarded(f"run {row.run}", self._carry_out(row, wanted, report, now, dry_run), report)
        data = [row for row, wanted in found if wanted.mark_data]
        logs = [row for row, wanted in found if wanted.mark_logs]
        if data or logs:
            await self._mark(data, logs, report, now, dry_run)

    async def _carry_out(self, row: Kept, wanted: Due, report: Report, now: float, dry_run: bool) -> None:
        if row.run in self._reading():
            return
        if wanted.release_data or wanted.release_logs:
            await self._release(row, wanted, report, now, dry_run)
        elif row.data_marked_at is not None and row.data_released_at is None:
            report.later_runs += 1
            report.later_bytes += row.bytes
        if wanted.drop_events:
            report.event_runs += 1
            while not dry_run and await self._state.write(drop_events, row.run, now):
                self._runtime.point("sweep.events")
        if wanted.remove:
            report.removed_runs += row.key is not None
            await self._remove(row, now, dry_run)

    async def _release(self, row: Kept, wanted: Due, report: Report, now: float, dry_run: bool) -> None:
        there = await self._objects.below(run_prefix(row.namespace, row.run))
        going = [one for one in there if (wanted.release_logs if is_log(one.key) else wanted.release_data)]
        if dry_run:
            report.add_deleted(Deleted(len(going), sum(one.bytes for one in going)))
            return
        self._runtime.point("sweep.before_release")
        deleted = await self._objects.delete(going)
        report.add_deleted(deleted)
        self._runtime.point("sweep.after_release")
        data = wanted.release_data and all(is_log(key) for key in deleted.stuck)
        logs = wanted.release_logs and not any(is_log(key) for key in deleted.stuck)
        if data or logs:
            await self._state.write(mark_released, row.run, data=data, logs=logs, at=now)

    async def _remove(self, row: Kept, now: float, dry_run: bool) -> None:
        if dry_run:
            return
        while await self._state.write(expire_run, row.run, now):
            self._runtime.point("sweep.rows")
        await self._state.write(forget_run, row.run)

    async def _mark(
        self, data: Sequence[Kept], logs: Sequence[Kept], report: Report, now: float, dry_run: bool
    ) -> None:
        sizes = {row.run: row.bytes for row in data}
        marked = list(sizes) if dry_run else await self._write(mark_data, list(sizes), now)
        self._runtime.point("sweep.marked")
        if not dry_run:
            await self._write(mark_logs, [row.run for row in logs], now)
        report.data_runs += len(marked)
        report.data_bytes += sum(sizes[run] for run in marked)
        report.log_runs += len(logs)
        report.later_runs += len(marked)
        report.later_bytes += sum(sizes[run] for run in marked)

    async def _write(
        self, mark: Callable[[Writer, Sequence[str], float], list[str]], runs: list[str], at: float
    ) -> list[str]:
        """Mark a few at a time: whoever submits a run must not wait long for the database."""
        marked: list[str] = []
        for start in range(0, len(runs), _MARKED_AT_ONCE):
            marked += await self._state.write(mark, runs[start : start + _MARKED_AT_ONCE], at)
        return marked

    async def _held(self, runs: Collection[str], holds: Holds) -> frozenset[str]:
        """Those of `runs` whose data somebody else uses, or looks at."""
        borrowed = await self._state.read(lent, runs)
        return (holds.used | borrowed.keys() | frozenset(self._reading())).intersection(runs)

    async def _flow_says(self, revision: int | None) -> Retention | None:
        if revision is None:
            return None
        if revision not in self._retention:
            if len(self._retention) >= _FLOWS_REMEMBERED:
                self._retention.clear()
            self._retention[revision] = await self._state.read(flow_retention, revision)
        return self._retention[revision]

    def _is_ours(self, run: str) -> bool:
        return shard_of(run) in self._owned()
