"""Which modules a person has disabled, and which versions the mesh has quarantined, in memory."""

from __future__ import annotations

from collections.abc import Iterable

from plugmesh.errors import Conflict
from plugmesh.state.modules import EVERY_VERSION, ModuleSwitch


class Switches:
    """The switches of all modules: one for each version that is off, or one with the version `*` for all of a module."""

    def __init__(self, switches: Iterable[ModuleSwitch] = ()) -> None:
        self._switches = {(switch.module, switch.version): switch for switch in switches}

    def of(self, module: str, version: str) -> ModuleSwitch | None:
        """What keeps this version from being used."""
        if not self._switches:
            return None
        return self._switches.get((module, EVERY_VERSION)) or self._switches.get((module, version))

    def exactly(self, module: str, version: str) -> ModuleSwitch | None:
        """The switch of this version alone, or with `*` the one for all of a module."""
        return self._switches.get((module, version))

    def quarantined(self) -> frozenset[tuple[str, str]]:
        """The names and versions that the mesh has quarantined."""
        return frozenset(key for key, switch in self._switches.items() if switch.kind == "quarantined")

    def differences(self, before: Switches) -> list[tuple[str, str]]:
        """The names and versions that were switched since."""
        keys = sorted({*self._switches, *before._switches})
        return [key for key in keys if self._switches.get(key) != before._switches.get(key)]

    def all_of(self, module: str) -> tuple[ModuleSwitch, ...]:
        """Every switch of a module, by version."""
        found = (switch for switch in self._switches.values() if switch.module == module)
        return tuple(sorted(found, key=lambda switch: switch.version))

    def add(self, switch: ModuleSwitch) -> None:
        """A module was disabled or quarantined; what was said of the same version before is replaced."""
        self._switches[switch.module, switch.version] = switch

    def check_enable(self, module: str, version: str) -> None:
        """Raises `Conflict` if enabling one version would leave it disabled."""
        if version != EVERY_VERSION and (module, EVERY_VERSION) in self._switches:
            raise Conflict(
                f"all versions of {module} are disabled, so {version} alone cannot be enabled: enable {module} without a "
                "version, then disable the versions that must not be used"
            )

    def remove(self, module: str, version: str) -> None:
        """A version was enabled, or with `*` all of a module."""
        for known in [key for key in self._switches if key[0] == module and version in (EVERY_VERSION, key[1])]:
            del self._switches[known]
