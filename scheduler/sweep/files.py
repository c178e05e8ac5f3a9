"""Versions of files: those beyond what is kept are deleted as a person would; deleted ones go when no run needs them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from plugmesh.objects.port import Stored
from plugmesh.runtime import Runtime
from plugmesh.state.file_versions import FileVersion, deleted_files, file_bytes, surplus_files
from plugmesh.state.retention import lent
from plugmesh.state.store import State
from plugmesh.state.sweeping import delete_surplus, forget_files
from scheduler.sweep.decide import RetentionSettings, versions_to_go
from scheduler.sweep.measuring import Holds
from scheduler.sweep.objects import SweptObjects
from scheduler.sweep.report import Deleted, Report

_PAGE = 200


class Files:
    """Sweeps the versions of files."""

    def __init__(
        self,
        runtime: Runtime,
        state: State,
        objects: SweptObjects,
        settings: RetentionSettings,
        reading: Callable[[], Collection[str]],
    ) -> None:
        self._runtime, self._state, self._objects = runtime, state, objects
        self._settings, self._reading = settings, reading

    async def sweep(self, holds: Holds, report: Report, now: float, *, dry_run: bool) -> None:
        """Delete the objects of deleted versions, then mark what is too much or too old."""
        await self._release(holds, report, now, dry_run)
        await self._surplus(report, now, dry_run)
        await self._shrink(holds, report, now, dry_run)

    async def _surplus(self, report: Report, now: float, dry_run: bool) -> None:
        keep, age_s = self._settings.retention_file_versions, self._settings.retention_files_s
        before = None if age_s is None else now - age_s
        while keep is not None or before is not None:
            found = await self._state.read(surplus_files, keep, before, _PAGE)
            report.file_versions += len(found)
            if dry_run or not found:
                return
            await self._state.write(delete_surplus, found, now)
            self._runtime.point("sweep.files_marked")

    async def _shrink(self, holds: Holds, report: Report, now: float, dry_run: bool) -> None:
        """Delete the oldest versions that are not the newest of their file until there is no more than may be."""
        limit = self._settings.retention_files_bytes
        excess = 0 if limit is None else await self._state.read(file_bytes) - limit
        after = 0
        while excess > 0:
            found = await self._state.read(surplus_files, 1, None, _PAGE, after)
            chosen = versions_to_go(found, excess, await self._held(found, holds))
            excess -= sum(one.bytes for one in chosen)
            report.file_versions += len(chosen)
            if chosen and not dry_run:
                await self._state.write(delete_surplus, chosen, now)
                self._runtime.point("sweep.files_marked")
            if len(found) < _PAGE:
                return
            after = found[-1].key

    async def _held(self, versions: Sequence[FileVersion], holds: Holds) -> frozenset[str]:
        """Their objects that somebody uses, or reads."""
        borrowed = await self._state.read(lent, [one.object for one in versions])
        return holds.used | borrowed.keys() | frozenset(self._reading())

    async def _release(self, holds: Holds, report: Report, now: float, dry_run: bool) -> None:
        after, rows = 0, None
        while rows is None or len(rows) == _PAGE:
            rows = await self._state.read(deleted_files, now - self._settings.retention_grace_s, after, _PAGE)
            if not rows:
                return
            after = rows[-1].key
            held = await self._held(rows, holds)
            free = [row for row in rows if row.object not in held]
            if dry_run:
                report.add_deleted(Deleted(len(free), sum(row.bytes for row in free)))
                continue
            deleted = await self._objects.delete([Stored(row.object, row.bytes, 0.0) for row in free])
            report.add_deleted(deleted)
            self._runtime.point("sweep.files_deleted")
            await self._state.write(forget_files, [row for row in free if row.object not in deleted.stuck])
