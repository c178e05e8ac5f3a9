"""From convictions in commits to versions that nobody is given any more."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from plugmesh.discovery.port import Watch
from plugmesh.state.convictions import convictions
from plugmesh.state.records import Conviction
from plugmesh.state.store import State as Store
from registry.registry import MemberChange, Registry
from scheduler.poison import Ledger, Quarantine

_log = logging.getLogger(__name__)


class Quarantines:
    """The ledger of one scheduler, kept in step with SQL and with the registry's switches. `suspects` is kept up to date with
    the versions that a step which works acquits."""

    def __init__(self, store: Store, registry: Registry, suspects: set[tuple[str, str]]) -> None:
        self._store, self._registry, self._suspects = store, registry, suspects
        self._ledger = Ledger()
        self._watch: Watch | None = None
        self._lifts = 0
        self.convictions = self.quarantines = 0
        """Since the start: deaths that were counted, and versions that were quarantined for them."""

    async def start(self) -> None:
        """Read what is kept, and catch up on quarantines that a process before this one did not get to."""
        self._watch = self._registry.watch(self._changed)
        await self._count_anew()

    async def follow(self) -> None:
        """Where other schedulers write convictions, too, count theirs. Raises what the store raises."""
        if not self._store.exclusive:
            await self._count_anew()

    async def _count_anew(self) -> None:
        lifts = self._lifts
        found = await self._store.read(convictions)
        if lifts == self._lifts:  # else somebody has lifted a quarantine meanwhile: not all of them count any more
            self._ledger = Ledger()
            for quarantine in self._ledger.replay(found):
                self._impose(quarantine)
            self._suspect()

    def stop(self) -> None:
        """Hear no more of the registry."""
        if self._watch is not None:
            self._watch.close()

    def count(self, found: Iterable[Conviction]) -> None:
        """These convictions are in SQL, or may be: whatever became of the commit, the deaths were seen. A version whose
        acquittal was not written with them is a suspect again, for the next step that works."""
        for conviction in found:
            self.convictions += 1
            quarantine = self._ledger.convict(conviction)
            if quarantine is not None:
                self._impose(quarantine)
        self._suspect()

    def acquit(self, versions: Iterable[tuple[str, str]]) -> None:
        """These versions have worked: their convictions are gone from SQL."""
        for module, version in versions:
            self._ledger.lift(module, version)

    def _suspect(self) -> None:
        self._suspects.clear()
        self._suspects.update(self._ledger.suspects())

    def _impose(self, quarantine: Quarantine) -> None:
        switch = quarantine.switch
        if self._registry.quarantine(switch):
            self.quarantines += 1
            _log.warning("%s@%s is quarantined: %s", switch.module, switch.version, switch.reason)

    def _changed(self, change: MemberChange) -> None:
        if change.enabled is not None:
            self._lifts += 1
            self._ledger.lift(*change.enabled)
            self._suspect()
