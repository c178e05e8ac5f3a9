"""What is known about the modules of one flow at one moment, so that it can be checked on another thread."""

from __future__ import annotations

from collections.abc import Collection

from plugmesh.contracts.flow import Flow
from plugmesh.contracts.module import ModuleContract
from plugmesh.flows.validate import ContractView


class Snapshot:
    """A `ContractView` that does not change, of the modules that `flow` names."""

    def __init__(self, flow: Flow, contracts: ContractView) -> None:
        references = {node.module for node in flow.nodes.values() if node.module}
        self._names = tuple(contracts.names())
        self._found = {reference: contracts.find(reference) for reference in references}
        self._live = {reference for reference in references if contracts.is_live(reference)}
        self._disabled = {reference: contracts.disabled(reference) for reference in references}
        self._quarantined = {reference: contracts.quarantined(reference) for reference in references}
        names = {reference.partition("@")[0] for reference in references}
        self._versions = {name: tuple(contracts.versions(name)) for name in names}

    def names(self) -> Collection[str]:
        return self._names

    def find(self, module_reference: str) -> ModuleContract | None:
        return self._found.get(module_reference)

    def is_live(self, module_reference: str) -> bool:
        return module_reference in self._live

    def disabled(self, module_reference: str) -> str:
        return self._disabled.get(module_reference, "")

    def quarantined(self, module_reference: str) -> str:
        return self._quarantined.get(module_reference, "")

    def versions(self, name: str) -> Collection[str]:
        return self._versions.get(name, ())
