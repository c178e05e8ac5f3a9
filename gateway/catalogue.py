"""Modules as the gateway shows them, what validation asks about them, and who may use them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from plugmesh.contracts.module import ModuleContract
from plugmesh.discovery.port import Watch
from plugmesh.errors import FlowInvalid, NotFound
from plugmesh.flows.problem import did_you_mean
from plugmesh.state.modules import EVERY_VERSION, ModuleSwitch
from registry.registry import MemberChange, Registry
from registry.versions import choose, fitting_versions, parse_reference


class Modules:
    """The registry, seen by the gateway; the `ContractView` of validation."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._names: tuple[str, ...] | None = None
        self._watch: Watch | None = None

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` when modules come, go or change."""

        def heard(change: MemberChange) -> None:
            if change.modules_changed:
                self._names = None
                changed()

        self._watch = self._registry.watch(heard)

    def close(self) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.close()

    # -- what validation asks ----------------------------------------------------------------------------------------

    def names(self) -> tuple[str, ...]:
        """The names of all modules that were ever here."""
        if self._names is None:
            self._names = tuple(dict.fromkeys(contract.name for contract in self._registry.modules()))
        return self._names

    def find(self, module_reference: str) -> ModuleContract | None:
        """The contract of the version that a run would get now (once it is out of quarantine, if it is in it), or else
        of the best known one that fits."""
        try:
            name, requirement = parse_reference(module_reference)
        except FlowInvalid:
            return None
        version = choose(requirement, self._allowed(name))
        version = version or choose(requirement, self._registry.served_versions(name))
        version = version or choose(requirement, self._registry.versions(name))
        return None if version is None else self._registry.contract(name, version)

    def is_live(self, module_reference: str) -> bool:
        """Whether an instance that can take work serves a version that fits."""
        name = module_reference.partition("@")[0]
        return bool(fitting_versions(module_reference, None, self._registry.live_versions(name)))

    def disabled(self, module_reference: str) -> str:
        """Who has disabled every version that fits, and why; empty if one may be used."""
        name = module_reference.partition("@")[0]
        fitting = fitting_versions(module_reference, None, self._registry.versions(name))
        switches = [self._registry.disabled(name, version) for version in fitting]
        return str(switches[-1]) if switches and None not in switches else ""

    def quarantined(self, module_reference: str) -> str:
        """Why the version that a run would choose is quarantined, though others that fit may not be; empty if it is
        not."""
        try:
            name, requirement = parse_reference(module_reference)
        except FlowInvalid:
            return ""
        version = choose(requirement, self._allowed(name))
        switch = None if version is None else self._registry.disabled(name, version)
        return "" if switch is None else str(switch)

    def versions(self, name: str) -> tuple[str, ...]:
        """The known versions of a module, lowest first."""
        return self._registry.versions(name)

    # -- what people ask ---------------------------------------------------------------------------------------------

    def all(self) -> list[dict[str, Any]]:
        """Every module that was ever here, with its newest contract's texts and how many instances serve it now."""
        return [self.document(name) for name in self.names()]

    def document(self, name: str) -> dict[str, Any]:
        """One module as lists and the feed show it; it must be known."""
        live = self._registry.live_versions(name)
        serving = {member.instance for version in live for member in self._registry.serving(name, version)}
        contract = self.find(name) or self._registry.contract(name, self.versions(name)[-1])
        assert contract is not None
        return {
            "name": name,
            "version": contract.version,
            "versions": list(self.versions(name)),
            "live_versions": list(live),
            "live": len(serving),
            "disabled": self._switches(name),
            "kind": contract.kind.value,
            "title": contract.title,
            "doc": contract.doc,
        }

    def contract(self, name: str, version: str | None = None) -> dict[str, Any]:
        """One contract, of the version that a run would get if none is asked for. Raises `NotFound`."""
        found = self.known(name, version)
        instances = [member.instance for member in self._registry.serving(name, found.version)]
        return {
            "contract": found.model_dump(mode="json"),
            "digest": found.digest,
            "versions": list(self.versions(name)),
            "live_versions": list(self._registry.live_versions(name)),
            "instances": instances,
            "disabled": self._switches(name),
        }

    def all_versions(self, name: str) -> list[dict[str, Any]]:
        """Every version that was ever here, newest first. Raises `NotFound`."""
        self.known(name)
        return [self._version(name, version) for version in reversed(self.versions(name))]

    def known(self, name: str, version: str | None = None) -> ModuleContract:
        """The contract of a version, or of the one that a run would get now. Raises `NotFound`."""
        if name not in self.names():
            hint = did_you_mean(name, self.names()) or "GET /api/v1/modules lists them"
            raise NotFound(f"there is no module {name[:200]!r} ({hint})", kind="module", name=name[:200])
        found = self._registry.contract(name, version or self._best(name))
        if found is None:
            known = ", ".join(self.versions(name))
            raise NotFound(
                f"{name} has no version {str(version)[:100]!r}: there are {known}",
                kind="module",
                name=f"{name}@{version}",
            )
        return found

    def liveness(self) -> Iterator[str]:
        """The liveness of each instance."""
        return (member.liveness.value for member in self._registry.members().values())

    # -- what people decide ------------------------------------------------------------------------------------------

    async def disable(self, name: str, version: str | None, *, actor: str, reason: str, at: float) -> dict[str, Any]:
        """Give a module, or one version, no new attempts. Raises `NotFound`, `StateUnavailable`."""
        self.known(name, version)
        await self._registry.disable(ModuleSwitch(name, version or EVERY_VERSION, actor, at, reason))
        return self.document(name)

    async def enable(self, name: str, version: str | None) -> dict[str, Any]:
        """Let a module be used again; lift a quarantine. Raises `NotFound`, `Conflict`, `StateUnavailable`."""
        self.known(name, version)
        await self._registry.enable(name, version or EVERY_VERSION)
        return self.document(name)

    def _allowed(self, name: str) -> list[str]:
        """The versions that are served and that no person has disabled."""
        switches = {version: self._registry.disabled(name, version) for version in self._registry.served_versions(name)}
        return [version for version, switch in switches.items() if switch is None or switch.kind == "quarantined"]

    def _best(self, name: str) -> str:
        found = self.find(name)
        return self.versions(name)[-1] if found is None else found.version  # only pre-releases: they are asked for

    def _version(self, name: str, version: str) -> dict[str, Any]:
        contract = self._registry.contract(name, version)
        assert contract is not None
        served = version in self._registry.served_versions(name)
        switch = self._registry.disabled(name, version)
        return {
            "version": version,
            "digest": contract.digest,
            "served": served,
            "instances": [member.instance for member in self._registry.serving(name, version)],
            "disabled": None if switch is None else asdict(switch),
        }

    def _switches(self, name: str) -> list[dict[str, Any]]:
        return [asdict(switch) for switch in self._registry.switches(name)]
