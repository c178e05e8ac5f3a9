"""The sweeper of one server: a round every few minutes, each in small steps, each step safe to be killed in.

A round first learns what is held, then deletes what was marked long enough ago, then marks what is due now. So an
object goes only if it was marked for the whole grace and is still used by nobody; and a full disk, on which nothing
can be marked, is no obstacle to deleting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Any

from plugmesh.contracts.run import shard_of
from plugmesh.figures import Latency
from plugmesh.objects.port import SweptStore
from plugmesh.runtime import Runtime
from plugmesh.state.borrowing import forget_borrowers
from plugmesh.state.store import State
from plugmesh.state.usage import holders, marked_data, usage_of_files, usage_of_runs
from plugmesh.steady_clock import SteadyClock
from scheduler.sweep.decide import RetentionSettings
from scheduler.sweep.expiring import Expiring
from scheduler.sweep.files import Files
from scheduler.sweep.guarded import guarded
from scheduler.sweep.measuring import Holds, Measuring
from scheduler.sweep.objects import SweptObjects
from scheduler.sweep.report import Report
from scheduler.sweep.strays import Strays

_log = logging.getLogger(__name__)

_HOLDERS_SHOWN = 1_000
BEHIND_S = 5.0
"""Pause between two rounds while there are more ended runs than one round looks at."""
SUMS_S = 60.0
"""Sums over all runs are computed anew after this time, or after a round."""
BORROWED_S = 3600.0
"""What is held for a rerun that is about to be made is let go after this time, if it was not made."""
ROUNDS_S = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 1800.0)
_GLOBAL_SHARD = 0  # who owns it sweeps what belongs to no run


class Sweeper:
    """`start` before use, `stop` after it.

    `owned` gives the shards whose runs this process sweeps, `reading` the runs and file
    versions whose bytes are being read; `told`
    hears what each round did.
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
        told: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        self._runtime, self._state, self._settings = runtime, state, settings
        self._owned, self._told = owned, told
        self._clock = SteadyClock(runtime)
        self._objects = objects = SweptObjects(runtime, store)
        self._measuring = Measuring(runtime, state, objects)
        self._strays = Strays(runtime, state, objects, self._measuring, owned=owned, reading=reading)
        self._files = Files(runtime, state, objects, settings, reading)
        self._expiring = Expiring(runtime, state, objects, settings=settings, owned=owned, reading=reading)
        self._one_at_a_time = asyncio.Lock()
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._summed: tuple[float, int, list[dict[str, Any]]] | None = None
        self.rounds = 0
        self.totals = Report()
        """Sums since the start, for metrics."""
        self.swept_at: float | None = None
        """When the last round ended (Unix seconds)."""
        self.stuck = 0
        """Objects that could not be deleted in the last round, for metrics."""
        self.lasted = Latency("plugmesh_sweeper_round_seconds", "Time of a round of the sweeper", ROUNDS_S)

    @property
    def age_s(self) -> float:
        """Seconds since the last round ended; 0 before the first."""
        return 0.0 if self.swept_at is None else max(0.0, self._runtime.wall() - self.swept_at)

    def start(self) -> None:
        """Begin; the first round comes after the time between two."""
        self._task = self._runtime.spawn(self._run(), "sweeper")

    async def stop(self) -> None:
        """End at once; the next server goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """The settings have changed: look again how long to wait for the next round."""
        self._woken.set()

    async def usage(self) -> dict[str, Any]:
        """What is kept, by flow and kind, what holds it, and what is about to go."""
        runs = await self._sums()
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
            "free_bytes": await self._objects.free_bytes(),
            "swept_at": self.swept_at,
            "kinds": kinds,
            "flows": runs,
            "files": files,
            "held": await self._state.read(holders, _HOLDERS_SHOWN),
        }

    async def _sums(self) -> list[dict[str, Any]]:
        """Sums over all ended runs take long when there are very many, and only sweepers change them."""
        now, rounds = self._runtime.now(), self.rounds
        if self._summed is None or now - self._summed[0] > SUMS_S or self._summed[1] != rounds:
            self._summed = (now, rounds, await self._state.read(usage_of_runs))
        return self._summed[2]

    async def collect(self, dry_run: bool) -> dict[str, Any]:
        """A whole round now, over everything; with `dry_run` it only says what would go."""
        report = await self.round(whole=True, dry_run=dry_run)
        return report.document(dry_run=dry_run)

    async def round(self, *, whole: bool = False, dry_run: bool = False) -> Report:
        """One round. Each part that fails is logged and does not keep the others from their work."""
        report = Report()
        if not self._owned():
            return report
        if not dry_run and await self._objects.are_held():
            _log.info("nothing is swept while a backup is being taken")
            return report
        async with self._one_at_a_time:
            begun = self._runtime.now()
            now = self._clock.now()
            settled = now - self._settings.retention_grace_s
            if not dry_run:
                await guarded("reruns that were not made", self._forget_borrowers(now), report)
            holds, unmeasured = await self._measuring.holds(now)
            if not dry_run:
                await guarded("temporary files", self._abandoned(report), report)
            ours = [one for one in unmeasured if shard_of(one.run) in self._owned()]
            times = {"settled": settled, "now": now}
            measured = self._measuring.measure(ours, holds, report, **times, dry_run=dry_run)
            await guarded("what runs keep", measured, report)
            expired = self._expiring.by_age(holds, report, now, whole=whole, dry_run=dry_run)
            await guarded("runs", expired, report)
            if self._is_global():
                await guarded("files", self._files.sweep(holds, report, now, dry_run=dry_run), report)
            if not dry_run:
                await self._strayed(holds, report, settled, now, whole)
            await guarded("the size", self._expiring.by_size(holds, report, now, dry_run=dry_run), report)
            if not dry_run:
                self._count(report, self._runtime.now() - begun)
        return report

    async def _run(self) -> None:
        while True:
            begun = self._runtime.now()
            while (left := begun + self._pause_s() - self._runtime.now()) > 0:
                await self._rest(left)
            try:
                await self.round()
            except Exception:  # noqa: BLE001  whatever it was, the next round may go better
                _log.exception("a round of the sweeper failed; the next one comes in its time")

    def _pause_s(self) -> float:
        """Less than usual when the last round left runs that it had no time to look at."""
        every = self._settings.sweep_every_s
        return min(every, BEHIND_S) if self._measuring.behind else every

    async def _rest(self, seconds: float) -> None:
        self._woken.clear()
        alarm = self._runtime.spawn(self._alarm(seconds), "sweeper clock")
        try:
            await self._woken.wait()
        finally:
            alarm.cancel()

    async def _alarm(self, seconds: float) -> None:
        await self._runtime.sleep(seconds)
        self._woken.set()

    async def _forget_borrowers(self, now: float) -> None:
        if self._is_global():
            await self._state.write(forget_borrowers, now - BORROWED_S)

    async def _abandoned(self, report: Report) -> None:
        if self._is_global():
            report.abandoned_writes += await self._objects.remove_abandoned()

    async def _strayed(self, holds: Holds, report: Report, settled: float, now: float, whole: bool) -> None:
        strays = self._strays
        await guarded("objects of runs", strays.runs(holds, report, settled, now, whole=whole), report)
        if self._is_global():
            await guarded("objects of files", strays.files(holds, report, now), report)

    def _count(self, report: Report, seconds: float) -> None:
        self.rounds += 1
        self.totals.add(report)
        self.stuck = report.stuck_objects
        self.swept_at = self._runtime.wall()
        self.lasted.observe(seconds)
        self._told({"swept_at": self.swept_at, **report.document(dry_run=False)})
        if report:
            _log.info("swept: %s", report)

    def _is_global(self) -> bool:
        return _GLOBAL_SHARD in self._owned()


def _sum(rows: list[dict[str, Any]], name: str) -> int:
    return sum(row[name] for row in rows)
