"""Versions of files: those beyond what is kept are deleted as a person would; deleted ones go when no run needs them."""

from __future__ import annotations

from collections.abc import Callable, Collection

from plugmesh.objects.port import Stored
from plugmesh.runtime import Runtime
from plugmesh.state.file_versions import deleted_files, surplus_files
from plugmesh.state.retention import lent
from plugmesh.state.store import State
from plugmesh.state.sweeping import delete_surplus, forget_files
from scheduler.sweep.decide import RetentionSettings
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
        keep, age_s = self._settings.retention_file_versions, self._settings.retention_files_s
        before = None if age_s is None else now - age_s
        while keep is not None or before is not None:
            found = await self._state.read(surplus_files, keep, before, _PAGE)
            report.file_versions += len(found)
            if dry_run or not found:
                return
            await self._state.write(delete_surplus, found, now)
            self._runtime.point("sweep.files_marked")

    async def _release(self, holds: Holds, report: Report, now: float, dry_run: bool) -> None:
        after, rows = 0, None
        while rows is None or len(rows) == _PAGE:
            rows = await self._state.read(deleted_files, now - self._settings.retention_grace_s, after, _PAGE)
            if not rows:
                return
            after = rows[-1].key
            borrowed = await self._state.read(lent, [row.object for row in rows])
            held = holds.used | borrowed.keys() | frozenset(self._reading())
            free = [row for row in rows if row.object not in held]
            if dry_run:
                report.add_deleted(Deleted(len(free), sum(row.bytes for row in free)))
                continue
            deleted = await self._objects.delete([Stored(row.object, row.bytes, 0.0) for row in free])
            report.add_deleted(deleted)
            self._runtime.point("sweep.files_deleted")
            await self._state.write(forget_files, [row for row in free if row.object not in deleted.stuck])
