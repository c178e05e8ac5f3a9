"""Which module versions are poison: they end the processes that run them, in one run after another.

Pure: the time comes with each conviction. Only deaths that a supervisor saw are counted, and instances that were lost
with a step that ran alone on them; an error that a module raises is none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from plugmesh.state.modules import EVERY_VERSION, MESH, ModuleSwitch
from plugmesh.state.records import Conviction

RUNS = 3
"""So many distinct runs must speak against a version: one run may only have data that nothing can cope with."""
WITHIN_S = 3600.0
"""They count together when they lie within this time, and when the version did not work in between: what happens now and
then to a version that works has another cause, be it the data or somebody who ends processes."""
_SHOWN = 200
"""Characters of a death's reason that are repeated to whoever waits."""


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A version that nobody should be given any more, and what spoke against it, a conviction a run, oldest first."""

    module: str
    version: str
    convictions: tuple[Conviction, ...]

    @property
    def switch(self) -> ModuleSwitch:
        """The switch that keeps the version from being used."""
        last = self.convictions[-1]
        ref = f"{self.module}@{self.version}"
        died = last.reason.removeprefix(f"{ref}: ").partition("\n")[0][:_SHOWN]
        reason = (
            f"{len(self.convictions)} runs ended its process, the last one in step {last.step} of {last.run}: {died}; "
            f"see what it does there, then lift the quarantine: plugmesh module enable {ref}"
        )
        return ModuleSwitch(self.module, self.version, MESH, last.at, reason, "quarantined")


class Ledger:
    """What speaks against which version. Of a run that convicts a version more than once, the last time counts."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], dict[str, Conviction]] = {}

    def convict(self, conviction: Conviction) -> Quarantine | None:
        """Count it. The answer is a quarantine as soon as `RUNS` runs within `WITHIN_S` speak against the version, and
        for each later one again."""
        version = (conviction.module, conviction.version)
        others = (other for other in self._runs.get(version, {}).values() if other.run != conviction.run)
        counted = [other for other in others if other.at > conviction.at - WITHIN_S]
        counted.append(conviction)
        self._runs[version] = {one.run: one for one in counted}
        return Quarantine(*version, tuple(counted)) if len(counted) >= RUNS else None

    def replay(self, kept: Iterable[Conviction]) -> list[Quarantine]:
        """Count what was kept, oldest first. The quarantines that follow from it, of each version the last one.

        A process that died between a conviction and the quarantine finds it here.
        """
        found = {}
        for conviction in kept:
            quarantine = self.convict(conviction)
            if quarantine is not None:
                found[conviction.module, conviction.version] = quarantine
        return list(found.values())

    def suspects(self) -> set[tuple[str, str]]:
        """Versions that something speaks against, but not yet enough."""
        return {version for version, runs in self._runs.items() if len(runs) < RUNS}

    def lift(self, module: str, version: str) -> None:
        """Forget what speaks against a version, or with `*` against all of a module: it begins anew."""
        for known in [key for key in self._runs if key[0] == module and version in (EVERY_VERSION, key[1])]:
            del self._runs[known]
