"""Modules and instances as the gateway shows them, and what validation asks about modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from plugmesh.contracts.module import ModuleContract
from plugmesh.discovery.port import Watch
from plugmesh.errors import FlowInvalid, NotFound
from plugmesh.flows.problem import did_you_mean
from registry.registry import Member, MemberChange, Registry
from registry.versions import choose, parse_reference


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
        """The contract of the version that a run would get now, or else of the best known one that fits."""
        try:
            name, requirement = parse_reference(module_reference)
        except FlowInvalid:
            return None
        version = choose(requirement, self._registry.live_versions(name))
        version = version or choose(requirement, self._registry.versions(name))
        return None if version is None else self._registry.contract(name, version)

    def is_live(self, module_reference: str) -> bool:
        """Whether an instance that can take work serves a version that fits."""
        try:
            name, requirement = parse_reference(module_reference)
        except FlowInvalid:
            return False
        return choose(requirement, self._registry.live_versions(name)) is not None

    def versions(self, name: str) -> tuple[str, ...]:
        """The known versions of a module, lowest first."""
        return self._registry.versions(name)

    # -- what people ask ---------------------------------------------------------------------------------------------

    def all(self) -> list[dict[str, Any]]:
        """Every module that was ever here, with its newest contract's texts and how many instances serve it now."""
        return [self._module(name) for name in self.names()]

    def contract(self, name: str, version: str | None = None) -> dict[str, Any]:
        """One contract, of the version that a run would get if none is asked for. Raises `NotFound`."""
        if name not in self.names():
            hint = did_you_mean(name, self.names()) or "GET /api/v1/modules lists them"
            raise NotFound(f"there is no module {name!r} ({hint})")
        found = self.find(name) if version is None else self._registry.contract(name, version)
        if found is None:
            raise NotFound(f"{name} has no version {version!r}: there are {', '.join(self.versions(name))}")
        instances = [member.instance for member in self._registry.serving(name, found.version)]
        return {
            "contract": found.model_dump(mode="json"),
            "digest": found.digest,
            "versions": list(self.versions(name)),
            "live_versions": list(self._registry.live_versions(name)),
            "instances": instances,
        }

    def instances(self) -> list[dict[str, Any]]:
        """Every instance, dead ones included as long as they are known."""
        members = self._registry.members()
        return [_instance(members[name]) for name in sorted(members)]

    def liveness(self) -> Iterator[str]:
        """The liveness of each instance."""
        return (member.liveness.value for member in self._registry.members().values())

    def _module(self, name: str) -> dict[str, Any]:
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
            "kind": contract.kind.value,
            "title": contract.title,
            "doc": contract.doc,
        }


def _instance(member: Member) -> dict[str, Any]:
    registration = member.registration
    return {
        "id": member.instance,
        "host": registration.host,
        "pid": registration.pid,
        "liveness": member.liveness.value,
        "usable": member.usable,
        "draining": member.draining,
        "connected": member.connected,
        "beat_age_s": round(member.beat_age_s, 3),
        "slots": registration.slots,
        "running": member.running,
        "labels": registration.labels,
        "modules": [f"{name}@{version}" for name, versions in sorted(member.offers.items()) for version in versions],
        "refused": [
            {"module": refusal.module, "version": refusal.version, "difference": refusal.difference}
            for refusal in member.refused
        ],
        "started_at": registration.started_at,
        "sdk": registration.sdk,
    }
