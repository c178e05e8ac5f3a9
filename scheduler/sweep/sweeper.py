"""The sweeper of one server: a round every few minutes, each in small steps, each step safe to be killed in.

A round first learns what is held, then deletes what was marked long enough ago, then marks what is due now. So an
object goes only if it was marked for the whole grace and is still used by nobody; and a full disk, on which nothing
can be marked, is no obstacle to deleting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine
from typing import Any

from plugmesh.contracts.run import shard_of
from plugmesh.objects.port import SweptStore
from plugmesh.runtime import Runtime
from plugmesh.state.store import State
from plugmesh.state.usage import holders, marked_data, usage_of_files, usage_of_runs
from scheduler.sweep.clock import SweepClock
from scheduler.sweep.decide import RetentionSettings
from scheduler.sweep.expiring import Expiring
from scheduler.sweep.files import Files
from scheduler.sweep.measuring import Holds, Measuring
from scheduler.sweep.objects import SweptObjects
from scheduler.sweep.report import Report
from scheduler.sweep.strays import Strays

_log = logging.getLogger(__name__)

GRACE_S = 300.0
"""Between marking and deleting; and between a run's end and looking at what it keeps."""
_HOLDERS_SHOWN = 1_000
_GLOBAL_SHARD = 0  # who owns it sweeps what belongs to no run


class Sweeper:
    """`start` before use, `stop` after it.

    `owned` gives the shards whose runs this process sweeps, `reading` the runs whose data is being looked at.
    """

    def __init__(
        self,
        runtime: Runtime,
        state: State,
        store: SweptStore,
        *,
        settings: RetentionSettings,
        owned: Callable[[], Collection[int]],
        reading: Callable[[], Collection[str]],
        grace_s: float = GRACE_S,
    ) -> None:
        self._runtime, self._state, self._settings = runtime, state, settings
        self._owned, self._grace_s = owned, grace_s
        self._clock = SweepClock(runtime)
        self._objects = objects = SweptObjects(runtime, store)
        self._measuring = Measuring(runtime, state, objects)
        self._strays = Strays(runtime, state, objects, self._measuring, owned=owned, reading=reading)
        self._files = Files(runtime, state, objects, settings, grace_s)
        self._expiring = Expiring(
            runtime, state, objects, settings=settings, grace_s=grace_s, owned=owned, reading=reading
        )
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.rounds = 0
        self.totals = Report()
        """Sums since the start, for metrics."""
        self.swept_at: float | None = None
        """When the last round ended (Unix seconds)."""

    def start(self) -> None:
        """Begin; the first round comes after the time between two."""
        self._task = self._runtime.spawn(self._run(), "sweeper")

    async def stop(self) -> None:
        """End at once; the next server goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def usage(self) -> dict[str, Any]:
        """What is kept, by flow and kind, what holds it, and what is about to go."""
        runs = await self._state.read(usage_of_runs)
        files = await self._state.read(usage_of_files)
        marked_runs, marked_bytes = await self._state.read(marked_data)
        kinds = [
            {"kind": "data", "objects": _sum(runs, "objects"), "bytes": _sum(runs, "bytes")},
            {"kind": "logs", "objects": _sum(runs, "log_objects"), "bytes": _sum(runs, "log_bytes")},
            {"kind": "files", "objects": _sum(files, "versions"), "bytes": _sum(files, "bytes")},
        ]
        return {
            "bytes": _sum(kinds, "bytes"),
            "limit_bytes": self._settings.retention_data_bytes,
            "marked_runs": marked_runs,
            "marked_bytes": marked_bytes,
            "swept_at": self.swept_at,
            "kinds": kinds,
            "flows": runs,
            "files": files,
            "held": await self._state.read(holders, _HOLDERS_SHOWN),
        }

    async def collect(self, dry_run: bool) -> dict[str, Any]:
        """A whole round now, over everything; with `dry_run` it only says what would go."""
        report = await self.round(whole=True, dry_run=dry_run)
        return report.document(dry_run=dry_run)

    async def round(self, *, whole: bool = False, dry_run: bool = False) -> Report:
        """One round. Each part that fails is logged and does not keep the others from their work."""
        report = Report()
        if not self._owned():
            return report
        async with self._one_at_a_time:
            now = self._clock.now()
            settled = now - self._grace_s
            holds, unmeasured = await self._measuring.holds(now)
            if not dry_run:
                await self._guarded("temporary files", self._abandoned(report), report)
            ours = [one for one in unmeasured if shard_of(one.run) in self._owned()]
            times = {"settled": settled, "now": now}
            measured = self._measuring.measure(ours, holds, report, **times, dry_run=dry_run)
            await self._guarded("what runs keep", measured, report)
            expired = self._expiring.by_age(holds, report, now, whole=whole, dry_run=dry_run)
            await self._guarded("runs", expired, report)
            if self._is_global():
                await self._guarded("files", self._files.sweep(holds, report, now, dry_run=dry_run), report)
            if not dry_run:
                await self._strayed(holds, report, settled, now, whole)
            await self._guarded("the size", self._expiring.by_size(holds, report, now, dry_run=dry_run), report)
        if not dry_run:
            self._count(report)
        return report

    async def _run(self) -> None:
        while True:
            await self._runtime.sleep(self._settings.sweep_every_s)
            try:
                await self.round()
            except Exception:  # noqa: BLE001  whatever it was, the next round may go better
                _log.exception("a round of the sweeper failed; the next one comes in its time")

    async def _abandoned(self, report: Report) -> None:
        if self._is_global():
            report.abandoned_writes += await self._objects.remove_abandoned()

    async def _strayed(self, holds: Holds, report: Report, settled: float, now: float, whole: bool) -> None:
        strays = self._strays
        await self._guarded("objects of runs", strays.runs(holds, report, settled, now, whole=whole), report)
        if self._is_global():
            await self._guarded("objects of files", strays.files(holds, report, now), report)

    async def _guarded(self, what: str, part: Coroutine[Any, Any, None], report: Report) -> None:
        try:
            await part
        except Exception:  # noqa: BLE001  a full disk, above all, must not keep the rest from making room
            report.failures += 1
            _log.warning("%s could not be swept; it is tried again in the next round", what, exc_info=True)

    def _count(self, report: Report) -> None:
        self.rounds += 1
        self.totals.add(report)
        self.swept_at = self._runtime.wall()
        if report:
            _log.info("swept: %s", report)

    def _is_global(self) -> bool:
        return _GLOBAL_SHARD in self._owned()


def _sum(rows: list[dict[str, Any]], name: str) -> int:
    return sum(row[name] for row in rows)
