"""Objects that no row refers to: of runs that were deleted, of attempts that were replaced, of uploads cut off."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from plugmesh.data.named import NOTHING
from plugmesh.objects.keys import attempt_prefix
from plugmesh.objects.port import Stored
from plugmesh.runtime import Runtime
from plugmesh.state.file_versions import known_objects
from plugmesh.state.retention import Known, Unmeasured, known_runs, lent, named_by_run, stale_attempts
from plugmesh.state.store import State
from plugmesh.state.sweeping import save_measured
from scheduler.sweep.guarded import guarded
from scheduler.sweep.measuring import Holds, Measuring
from scheduler.sweep.objects import SweptObjects
from scheduler.sweep.places import FILES, is_log, run_prefix
from scheduler.sweep.report import Report

A_ROUND = 1_000
"""Most folders that are looked into in a round."""
_STALE = 500
_PART = 200
UPLOAD_S = 3600.0
"""An object of a file without a row is left alone for this long: its row may be on its way."""


class Strays:
    """Walks through the store, in parts."""

    def __init__(
        self,
        runtime: Runtime,
        state: State,
        objects: SweptObjects,
        measuring: Measuring,
        *,
        owned: Callable[[], Collection[int]],
        reading: Callable[[], Collection[str]],
    ) -> None:
        self._runtime, self._state, self._objects, self._measuring = runtime, state, objects, measuring
        self._owned, self._reading = owned, reading
        self._after = ("", "")

    async def runs(self, holds: Holds, report: Report, settled: float, now: float, *, whole: bool) -> None:
        """Look into the folders of runs: all of them, or the next part."""
        after, most = (("", ""), None) if whole else (self._after, A_ROUND)
        following = await self._objects.run_folders(after, frozenset(self._owned()), most)
        self._after = following[-1] if not whole and len(following) == A_ROUND else ("", "")
        for at in range(0, len(following), _PART):
            part = following[at : at + _PART]
            names = [run for _, run in part]
            known = await self._state.read(known_runs, names)
            held = holds.used | (await self._state.read(lent, names)).keys() | frozenset(self._reading())
            for namespace, run in part:
                looked = self._run(namespace, run, known.get(run), run in held, (holds, report, settled, now))
                await guarded(f"run {run}", looked, report)

    async def _run(
        self, namespace: str, run: str, known: Known | None, held: bool, round: tuple[Holds, Report, float, float]
    ) -> None:
        _, report, settled, _ = round
        if known is None or known.released_at is not None:  # what came after all was deleted
            if not held:
                there = await self._objects.below(run_prefix(namespace, run))
                old = [one for one in there if one.modified <= settled and (known is None or not is_log(one.key))]
                await self._drop(old, report)
        elif known.key is not None and known.ended_at is None:
            await self._replaced(namespace, run, known.key, settled, report)
        elif known.objects is not None and known.marked_at is None and not held:
            await self._late(namespace, run, known, round)

    async def _replaced(self, namespace: str, run: str, key: int, settled: float, report: Report) -> None:
        """Objects of attempts that a later one replaced, in a run that goes on."""
        stale = await self._state.read(stale_attempts, key, _STALE)
        if not stale:
            return
        named = await self._state.read(named_by_run, key)
        for step, epoch in stale:
            there = await self._objects.below(attempt_prefix(namespace, run, step, epoch) + "/")
            old = [one for one in there if one.modified <= settled and not is_log(one.key)]
            await self._drop([one for one in old if one.key not in named.keys], report)

    async def _late(self, namespace: str, run: str, known: Known, round: tuple[Holds, Report, float, float]) -> None:
        """A run that has another number of objects than it had: something came after its end."""
        holds, report, settled, now = round
        there = await self._objects.below(run_prefix(namespace, run))
        if sum(not is_log(one.key) for one in there) == known.objects or known.key is None:
            return
        stored = Unmeasured(known.key, run, namespace, known.flow, known.ended_at, NOTHING)
        again = await self._measuring.one(stored, holds, report, settled)
        await self._state.write(save_measured, [again], now)

    async def files(self, holds: Holds, report: Report, now: float) -> None:
        """Objects of uploads that were cut off between the object and its row."""
        for namespace in await self._objects.folders(FILES):
            there = [one for one in await self._objects.below(f"{FILES}{namespace}/") if one.modified <= now - UPLOAD_S]
            for at in range(0, len(there), _PART):
                await self._files(there[at : at + _PART], holds, report)

    async def _files(self, part: Sequence[Stored], holds: Holds, report: Report) -> None:
        keys = [one.key for one in part]
        known = await self._state.read(known_objects, keys)
        held = holds.used | (await self._state.read(lent, keys)).keys() | frozenset(self._reading())
        await self._drop([one for one in part if one.key not in known and one.key not in held], report)

    async def _drop(self, objects: Sequence[Stored], report: Report) -> None:
        report.add_deleted(await self._objects.delete(objects), garbage=True)
